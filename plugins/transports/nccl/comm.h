/*
 * comm.h: a communicator of two ranks, its stream, and what goes over it.
 *
 * Operations are issued one by one, in the order they were asked for: both ends
 * ask in the plan's order, and NCCL matches by order alone.  A group completes as
 * a whole, and the proof of a program takes messages one by one: so a group is
 * one operation, which is what a call outside of ncclGroupStart and ncclGroupEnd
 * is, and far below the 256 that are safe.  Nothing here waits: an
 * operation that NCCL is still launching is looked at again by nccl_comm_turn().
 *
 * All calls are made with the transport's lock held.
 */
#ifndef PFW_NCCL_COMM_H
#define PFW_NCCL_COMM_H

#include <pipefw/transport.h>

#include "abort.h"

/** One operation, in the caller's memory until it is launched. */
struct nccl_op {
	struct nccl_op *next;
	void *device;       /**< what NCCL moves */
	void *host;         /**< pinned memory it is copied from or to, or NULL */
	uint64_t bytes;
	uint32_t sending;
	uint32_t gated;     /**< 1: after what `gate` was recorded behind */
	cudaEvent_t gate;
	cudaEvent_t done;   /**< recorded when it is launched */
	uint32_t state;     /**< NCCL_OP_* */
};

#define NCCL_OP_IDLE 0u
#define NCCL_OP_QUEUED 1u   /**< not yet with NCCL, or being launched */
#define NCCL_OP_LAUNCHED 2u /**< `done` will happen, also by an abort */
#define NCCL_OP_DONE 3u     /**< it happened while the communicator was well */

struct nccl_comm {
	const struct nccl_library *lib;
	struct nccl_aborts *aborts;
	struct nccl_comm *next;  /**< of the transport's */
	uint32_t from, to, kind; /**< kind PFW_NONE: all of the edge; from == to:
				      a group's, see group.c */
	uint32_t users;
	ncclUniqueId id;
	bool has_id;
	ncclComm_t comm;         /**< NULL: not made yet, or aborted */
	cudaStream_t stream;     /**< NULL: as above */
	bool ready;              /**< made, at both ends */
	bool launching;          /**< the first of the queue is with NCCL */
	struct nccl_op *first, **last;
	uint64_t changes;        /**< grows with every launch and failure */
	struct pfw_error failed; /**< code 0: it is well */
};

/** A stream for it; the communicator comes with nccl_comm_make(). */
int nccl_comm_open(struct nccl_comm *c, const struct nccl_library *lib,
		   struct nccl_aborts *aborts, struct pfw_error *err);
/** Has what is left aborted: a peer may be gone, and everything that was to arrive
 *  has, or is to be forgotten. */
void nccl_comm_close(struct nccl_comm *c);

/** Takes it out of its list. */
void nccl_comm_remove(struct nccl_comm **list, const struct nccl_comm *c);

/** With `id` set: 0 when all of @p n are there, of which this is @p index;
 *  -EAGAIN. */
int nccl_comm_make(struct nccl_comm *c, uint32_t n, uint32_t index, uint32_t ctas,
		   struct pfw_error *err);

/** The operation is the communicator's until its state is LAUNCHED. */
void nccl_comm_add(struct nccl_comm *c, struct nccl_op *op);
/** Launches what it can. */
void nccl_comm_turn(struct nccl_comm *c);
/** What a call of a group has come to: 0, -EAGAIN, or its failure, noted. */
int nccl_comm_answer(struct nccl_comm *c, const char *call, ncclResult_t rc,
		     struct pfw_error *err);
/** Asks NCCL whether it has failed by itself, which is noted. */
bool nccl_comm_is_well(struct nccl_comm *c);
/** Gives it up: whatever runs on its stream ends, and what ended only now is not
 *  NCCL_OP_DONE. */
void nccl_comm_fail(struct nccl_comm *c, int code, const char *what);
/** 0, or the code and the sentence of its failure. */
int nccl_comm_error(const struct nccl_comm *c, struct pfw_error *err);

#endif
