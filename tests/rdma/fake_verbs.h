/*
 * fake_verbs.h: a stand-in for libibverbs in one process, with two devices, fake0
 * and fake1, whose queue pairs reach each other; and the failures that Soft-RoCE
 * never shows.  Threads may use it.
 */
#ifndef PFW_TESTS_FAKE_VERBS_H
#define PFW_TESTS_FAKE_VERBS_H

#include <infiniband/verbs.h>

#include <stdbool.h>

struct fake_verbs {
	unsigned registrations_left; /* then ENOMEM */
	unsigned sends_left;         /* then ENOMEM: the queue is full */
	unsigned cq_room;            /* completions that a queue can hold */
	bool not_ready;     /* no receive is ever posted: RNR */
	bool hold_wire;     /* what is sent waits for fake_deliver() */
	bool hold_sent;     /* completions of sends wait for fake_complete() */
	enum ibv_wc_status status; /* of the next send that is not 0 */
	uint32_t xor_imm;   /* changes immediates on their way */
	uint64_t xor_word;  /* changes writes of eight bytes on their way */
	unsigned no_immediate; /* bit mask of devices: queue pairs refuse it */
	unsigned iwarp;     /* bit mask of devices */
	bool no_list;       /* they take no list of operations */
	bool no_inline;     /* queue pairs that are made have no inline data */
	unsigned immediates; /* that have arrived */
	unsigned told;      /* sends that have arrived: neither writes nor data */
	enum ibv_mtu mtu;   /* of the ports that are looked at */
	enum ibv_mtu path_mtu; /* of the queue pair that was joined last */
	struct ibv_ah_attr path; /* of that one, too */
	unsigned readable;  /* regions and queue pairs that let others read */
	uint32_t max_msg;   /* of those ports; no device sends more at once */
	uint32_t longest;   /* bytes of a work request that has arrived */
	uint32_t psn;       /* the last one that a queue pair began with */
	unsigned psn_again; /* how often that was the one before, too */
	/* Where the host sees what is at this address of a GPU; NULL: it is the
	 * host's own.  No function: there is no GPU. */
	char *(*gpu)(const void *ptr);
	bool no_dmabuf;     /* the kernel does not take one */
	bool no_peer;       /* nor the address of a GPU */
	unsigned dmabufs, peers; /* registrations of such memory */
	uint64_t locked; /* bytes of other registrations */
};

extern struct fake_verbs fake;

/** Everything works again. */
void fake_reset(void);
/** What is on the wire arrives: in order on each queue pair, but the last pair
 *  that sent something first. */
void fake_deliver(void);
void fake_complete(void);
/** The device says so. */
void fake_event(unsigned device, enum ibv_event_type type);
/** Objects that were made and not freed. */
unsigned fake_alive(void);

#endif
