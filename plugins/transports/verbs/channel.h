/*
 * channel.h: one end of a channel.
 *
 * A channel has one queue pair on each of its lanes; lane i uses rail i modulo
 * their number.  The receiver's slots are written by the sender: a message is
 * RDMA WRITEs whose last one carries its tag as an immediate.  It takes a receive
 * from the other end's queue, which holds one for each slot, so there always is
 * one.  A released slot comes back as an inline WRITE into the sender's page, of
 * which it is told only if it asked before it went to sleep.
 *
 *    plugin     verbs.c     the table of pipefw/transport.h
 *    set-up     meet.c      TCP: who calls whom, and what they tell
 *               lane.c      queue pairs
 *               memory.c    slots, and their registration
 *               reach.c     the same, of slots that are a GPU's memory
 *               ready.c     before all that: could it be
 *    messages   flow.c      acquire, send, receive, release
 *               complete.c  completions
 *               fault.c     their failures in words
 *               wait.c      spinning and sleeping
 */
#ifndef VERBS_CHANNEL_H
#define VERBS_CHANNEL_H

#include "meet.h"

#include <pipefw/device.h>

/* Unsignalled work requests in a row: those that need no completion. */
#define VERBS_MODERATION 16u
/* Send queue entries that are kept for a good-bye and what moderation holds. */
#define VERBS_SPARE (2u * VERBS_MODERATION + 1u)

/* How an adapter reaches the slots of a channel that are a GPU's memory. */
#define VERBS_DMABUF 0u /* by the kernel's own means */
#define VERBS_PEER 1u   /* by a module of the GPU's driver: nvidia_peermem */
#define VERBS_WAYS 2u

struct verbs_transport {
	struct verbs_options opt;
	struct verbs_rails rails;
	struct verbs_listener listener;
	uint64_t spin_ns;
	uint64_t registered; /* bytes */
	uint32_t n_by_send;  /* channels that were opened so */
	uint32_t n_ways[VERBS_WAYS]; /* likewise */
	char unreached[256]; /* why a GPU's memory was not used; "": not so */
	bool unreachable;    /* for that reason none ever will be */
};

struct verbs_lane {
	struct ibv_qp *qp;
	uint32_t rail, gid; /* of own rails, of that rail's gids */
	uint32_t psn;
	uint32_t depth;       /* of the send queue */
	uint32_t in_flight;   /* entries that are not known to be done */
	uint32_t unsignalled; /* the last so many of them */
	uint32_t max_inline;
	uint32_t used; /* receiver: receives that messages have taken */
};

/* What a channel has on one rail. */
struct verbs_port {
	struct ibv_pd *pd;
	struct ibv_comp_channel *events;
	struct ibv_cq *cq;
	struct ibv_mr *slots, *page, *inbox;
	uint32_t unacked; /* events taken from the queue */
};

struct verbs_slot {
	uint64_t generation; /* messages that it has had */
	uint64_t returned;   /* receiver: of these, so many were credited */
	uint64_t message;
	uint64_t bytes;
	struct pfw_message_id id;
	uint32_t busy;    /* sender: lanes that still read it */
	uint32_t arrived; /* receiver: bit mask of lanes */
	uint32_t parts;   /* how many these are */
	uint32_t lanes;   /* receiver: how many must arrive */
	bool held;        /* acquired, or received and not released */
	bool sent;        /* sender: no credit seen yet */
};

struct verbs_channel {
	struct verbs_transport *transport;
	uint32_t from, to, kind, n_slots;
	uint64_t slot_bytes, stride;
	uint64_t first; /* offset of slot 0 */
	bool sending, open;
	bool by_send; /* messages end in a SEND, not in an immediate */

	const struct pfw_device_ops *device_ops; /* NULL: slots of the host */
	void *device;
	unsigned char *memory; /* the slots' */
	uint64_t memory_bytes;
	unsigned char *headers; /* slot 0's */
	uint64_t header_stride;
	void *pages; /* of the host, all that there are */
	uint64_t pages_bytes;
	struct verbs_page *page; /* the last of them */
	uint64_t page_bytes;
	struct verbs_header *inbox; /* by SEND: one for each receive */
	struct verbs_slot *slot;
	uint32_t held; /* sender: acquired slots */

	uint32_t n_ports, n_lanes;
	struct verbs_port port[VERBS_RAILS];
	struct verbs_lane lane[VERBS_LANES];
	struct ibv_send_wr *wr; /* of one message on one lane */
	struct ibv_sge *sge;
	uint32_t wr_most;
	uint32_t cut; /* bytes of one work request at most */

	/* Receiver: slot + 1 of message m at m & mask; credits that found no
	 * room, from the oldest on. */
	uint32_t *order;
	uint32_t mask;
	uint32_t *owed;
	uint32_t owed_first, n_owed;
	uint64_t question; /* the last one that was asked, or answered */

	struct verbs_call call;
	uint64_t met; /* when the peer was heard, 0 before */
	struct verbs_hello peer;

	uint64_t next; /* messages sent, or received */
	uint64_t bytes, sleeps;
	uint32_t byes; /* bit mask of lanes */
	bool bye;     /* the other end has closed in good order */
	bool mourned; /* wait() has come back for its death */
	struct pfw_error broken; /* the first failure; it is final */
};

static inline uint32_t verbs_peer_rank(const struct verbs_channel *c)
{
	return c->sending ? c->to : c->from;
}

static inline unsigned char *verbs_slot_at(const struct verbs_channel *c,
					   uint32_t slot)
{
	return c->memory + c->first + slot * c->stride;
}

static inline unsigned char *verbs_header_at(const struct verbs_channel *c,
					     uint32_t slot)
{
	return c->headers + slot * c->header_stride;
}

static inline const struct ibv_mr *verbs_header_mr(const struct verbs_channel *c,
						   const struct verbs_port *port)
{
	return c->device_ops ? port->page : port->slots;
}

#endif
