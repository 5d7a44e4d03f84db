/*
 * ends.h: both ends of a transport in one pair of hands, for its checks and for
 * the tests of single transports.
 */
#ifndef PFW_CORE_ENDS_H
#define PFW_CORE_ENDS_H

#include <pipefw/transport.h>

#include <stdbool.h>
#include <sys/types.h>

/** How long is waited for what must come. */
#define PFW_PATIENCE 60000000000ull

/** A transport, or a filter on top of another subject. */
struct pfw_subject {
	char name[128];
	const struct pfw_transport_ops *ops;
	const struct pfw_values *opt;
	const struct pfw_subject *below; /**< NULL: a transport */
};

#define PFW_MAX_LAYERS 4u

/** One rank, and what it has opened. */
struct pfw_end {
	const struct pfw_subject *subject;
	void *transport; /**< the uppermost layer's */
	struct pfw_below layers[PFW_MAX_LAYERS]; /**< lowest first */
	uint32_t n_layers;
	struct pfw_address self;
	struct pfw_transport_info info;
	struct pfw_error err;
	void *user; /**< of who runs it; a child's is its parent's */
};

/** What the whole stack says of itself. */
void pfw_subject_props(const struct pfw_subject *s,
		       struct pfw_transport_props *out);

/** One of two ranks; pfw_end_open_of() for more. */
int pfw_end_open(struct pfw_end *e, const struct pfw_subject *s, uint32_t rank,
		 uint64_t job, uint64_t spin_ns);
int pfw_end_open_of(struct pfw_end *e, const struct pfw_subject *s,
		    uint32_t rank, uint32_t ranks, uint64_t job,
		    uint64_t spin_ns);
void pfw_end_close(struct pfw_end *e);

/** From rank @p from of two to the other; memory of the host. */
struct pfw_channel_info pfw_end_channel_info(uint32_t from, uint32_t kind,
					     uint32_t n_slots,
					     uint64_t slot_bytes);
/** This end of the channel @p info; -EAGAIN as in the contract. */
int pfw_end_try(struct pfw_end *e, const struct pfw_channel_info *info,
		const struct pfw_address *peer, void **channel);
/** Goes on until it is open or fails. */
int pfw_end_channel(struct pfw_end *e, const struct pfw_channel_info *info,
		    const struct pfw_address *peer, void **channel);

/** A channel of one thread that holds both ends. */
struct pfw_pair {
	struct pfw_end end[2]; /**< by rank */
	void *tx, *rx;         /**< from rank `from` to the other */
	uint32_t from;
};
int pfw_pair_open(struct pfw_pair *p, const struct pfw_subject *s,
		  uint32_t from, uint32_t n_slots, uint64_t slot_bytes);
void pfw_pair_close(struct pfw_pair *p);

/** Blocking forms of the data plane; -ETIMEDOUT after PFW_PATIENCE. */
int pfw_must_acquire(const struct pfw_subject *s, void *channel, uint32_t slot);
int pfw_must_recv(const struct pfw_subject *s, void *channel, uint32_t *slot,
		  uint64_t *bytes, struct pfw_message_id *id);

/** The receiver's next message will land there; 0 where that needs no saying. */
int pfw_must_post(const struct pfw_subject *s, void *channel, uint32_t slot,
		  uint64_t bytes);

/** An identity for the m-th message, and whether it is that. */
struct pfw_message_id pfw_id_of(uint64_t m);
bool pfw_id_is(const struct pfw_message_id *id, uint64_t m);

/** Puts the calling thread on the n-th processor that it may use, from 0 on. */
void pfw_use_core(int n);
/** Its number; -1: there are fewer. */
int pfw_core_number(int n);

/**
 * Runs @p run as rank 1 in a process of its own, which gets rank 0's address and
 * gives its own, and opens rank 0 here: in this order, since what a transport
 * opens (CUDA) may not survive fork().  Where it fails nothing is left open, and
 * e->err says why.
 */
struct pfw_child {
	pid_t pid;
	int fd; /**< what it has to say at its end */
	struct pfw_address address;
};
int pfw_child_start(struct pfw_child *c, struct pfw_end *e,
		    const struct pfw_subject *s, uint64_t spin_ns, void *user,
		    int (*run)(struct pfw_end *self,
			       const struct pfw_address *parent));
/** What run() gave, its sentence in @p err; another error where the process
 *  ended without. */
int pfw_child_join(struct pfw_child *c, struct pfw_error *err);
/** For one that hangs: by SIGKILL; not waited for. */
void pfw_child_kill(struct pfw_child *c);

#endif
