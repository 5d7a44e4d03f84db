/*
 * nccl.h: the transport of a rank, and an end of a channel as the core has it.
 */
#ifndef PFW_NCCL_H
#define PFW_NCCL_H

#include "../tcp/call.h"
#include "channel.h"

struct nccl_transport {
	struct nccl_library lib;
	struct tcp_self self;
	struct tcp_listener listener;
	uint64_t spin_ns;
	uint32_t ctas;
	bool by_edge;            /**< a communicator for all kinds */
	int card;
	pthread_mutex_t lock;    /**< of all communicators and channels */
	pthread_t thread;
	int wake;                /**< an eventfd */
	bool stop;
	struct nccl_comm *comms;
	struct nccl_aborts *aborts;
	struct nccl_end *closed; /**< their memory is freed last */
};

struct nccl_end {
	struct nccl_transport *t;
	struct tcp_call call;
	unsigned stage;        /**< NCCL_* */
	ncclUniqueId id;
	size_t have;           /**< of it */
	struct nccl_channel c;
	struct nccl_end *next; /**< closed */
};

#define NCCL_CONNECTING 0u /**< the two ends look for each other */
#define NCCL_AGREEING 1u   /**< without a launcher: the communicator's id is on
				its way */
#define NCCL_MAKING 2u     /**< NCCL brings the two together */
#define NCCL_OPEN 3u

/* As in struct pfw_transport_ops: invite, open_channel and close_channel. */
int nccl_invite(void *transport, const struct pfw_channel_info *info,
		struct pfw_group_id *out, struct pfw_error *err);
int nccl_end_open(void *transport, const struct pfw_channel_info *info,
		  const struct pfw_address *peer, void **channel,
		  struct pfw_error *err);
void nccl_end_close(void *channel);

/* group.c */
extern const struct pfw_collective_ops nccl_collectives;

#endif
