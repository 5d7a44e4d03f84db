/*
 * fake_impl.h: the insides of the stand-in for libibverbs.
 */
#ifndef PFW_TESTS_FAKE_VERBS_IMPL_H
#define PFW_TESTS_FAKE_VERBS_IMPL_H

#include "fake_verbs.h"

struct fake_cq {
	struct ibv_cq cq;
	struct ibv_wc *ring;
	unsigned first, n;
	bool armed;
	unsigned events; /* taken and not acknowledged */
};

/** Zeros, counted until they are dropped; drop gives 0. */
void *fake_make(size_t size);
int fake_drop(void *p);

/** 0 for fake0, 1 for fake1. */
unsigned fake_number(const struct ibv_context *c);

/** What others could read is counted. */
void fake_allow(unsigned access);
/** Where the host sees what is within the region of that key, which must have been
 *  registered for @p access; else NULL. */
void *fake_at(uint32_t key, uint64_t at, uint64_t len, unsigned access);

/** For the rest of the block nobody else is in here. */
#define FAKE_LOCKED                                                            \
	__attribute__((cleanup(fake_unlock), unused)) int locked = fake_lock()
int fake_lock(void);
void fake_unlock(int *locked);

/** A completion comes; where there is no room for it, the device says so. */
void fake_push(struct fake_cq *cq, const struct ibv_wc *wc);
int fake_poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *out);
int fake_notify(struct ibv_cq *cq, int solicited);

struct ibv_qp *fake_create_qp_ex(struct ibv_context *c,
				 struct ibv_qp_init_attr_ex *a);
int fake_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad);
int fake_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad);

#endif
