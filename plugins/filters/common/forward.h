/*
 * forward.h: what a filter does not change, it passes on.
 *
 * A filter's channel begins with a struct forward; then any forward_* function
 * may stand in its table of ops.
 */
#ifndef FILTER_FORWARD_H
#define FILTER_FORWARD_H

#include <pipefw/transport.h>

struct forward {
	const struct pfw_transport_ops *ops;
	void *channel; /* of what lies below */
};

/** Opens the channel below; -EAGAIN leaves it half-open in @p f. */
int forward_open_channel(const struct pfw_below *below,
			 const struct pfw_channel_info *info,
			 const struct pfw_address *peer, struct forward *f,
			 struct pfw_error *err);
void forward_close_channel(struct forward *f);

/** Says what lies below, and nothing else. */
void forward_props(const struct pfw_values *opt, struct pfw_transport_props *out);

void *forward_slot(void *channel, uint32_t slot);
int forward_acquire(void *channel, uint32_t slot, struct pfw_error *err);
int forward_send(void *channel, uint32_t slot, uint64_t bytes,
		 const struct pfw_message_id *id, struct pfw_error *err);
int forward_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		 struct pfw_message_id *id, struct pfw_error *err);
int forward_release(void *channel, uint32_t slot, struct pfw_error *err);
int forward_wait(void *channel, uint32_t slot, uint64_t deadline);
int forward_check(void *channel, struct pfw_error *err);
void forward_stats(void *channel, struct pfw_channel_stats *out);
int forward_post(void *channel, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err);
int forward_bind_queue(void *channel, void *queue, struct pfw_error *err);

#endif
