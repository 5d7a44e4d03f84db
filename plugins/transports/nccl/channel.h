/*
 * channel.h: one end of a channel: what NCCL moves, and what is said of it.
 *
 * Beside the communicator there is a connection of the tcp transport, for heads
 * alone: who a message is, and which slots came free.  NCCL checks neither, and
 * it does not notice either when a peer on the same host is gone.
 */
#ifndef PFW_NCCL_CHANNEL_H
#define PFW_NCCL_CHANNEL_H

#include "../tcp/stream.h"
#include "comm.h"

struct nccl_channel {
	struct tcp_stream stream;  /**< heads */
	const struct nccl_library *lib;
	struct nccl_comm *comm;
	struct nccl_op *ops;       /**< [n_slots] */
	struct tcp_queue posted;   /**< receiver: slots, in the order posted */
	char *device, *host;       /**< slots; host: pinned, or NULL */
	void *listed;              /**< what NCCL calls `device`, or NULL */
	cudaStream_t queue;        /**< whose order counts; NULL: the caller's */
	bool bound;
	bool mourned;              /**< wait() has told that it is lost */
	struct pfw_error failed;   /**< the two ends disagree; code 0: no */
};

/** Memory and events of all slots; the stream is open. */
int nccl_channel_open(struct nccl_channel *c, struct nccl_comm *comm,
		      struct pfw_error *err);
/** Takes its memory from NCCL's list, if no transfer can be at it any more. */
void nccl_channel_delist(struct nccl_channel *c);
/** Frees the memory, which waits for all that the GPU has been given: so not
 *  before every communicator of the rank is closed. */
void nccl_channel_close(struct nccl_channel *c);

/* As in struct pfw_transport_ops; with the lock held. */
void *nccl_channel_slot(struct nccl_channel *c, uint32_t slot);
int nccl_channel_acquire(struct nccl_channel *c, uint32_t slot,
			 struct pfw_error *err);
int nccl_channel_send(struct nccl_channel *c, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err);
int nccl_channel_post(struct nccl_channel *c, uint32_t slot, uint64_t bytes,
		      struct pfw_error *err);
int nccl_channel_recv(struct nccl_channel *c, uint32_t *slot, uint64_t *bytes,
		      struct pfw_message_id *id, struct pfw_error *err);
int nccl_channel_release(struct nccl_channel *c, uint32_t slot,
			 struct pfw_error *err);

/** 0, or why no message will pass any more. */
int nccl_channel_error(const struct nccl_channel *c, struct pfw_error *err);
/** Moves heads, and launches. */
void nccl_channel_turn(struct nccl_channel *c);
/** What wait() waits for is there, or is lost, which is told once. */
bool nccl_channel_is_due(struct nccl_channel *c, uint32_t slot);

#endif
