#include "forward.h"

#include <errno.h>

int forward_open_channel(const struct pfw_below *below,
			 const struct pfw_channel_info *info,
			 const struct pfw_address *peer, struct forward *f,
			 struct pfw_error *err)
{
	f->ops = below->ops;
	return f->ops->open_channel(below->transport, info, peer, &f->channel, err);
}

void forward_close_channel(struct forward *f)
{
	if (f->ops)
		f->ops->close_channel(f->channel);
}

void forward_props(const struct pfw_values *opt, struct pfw_transport_props *out)
{
	(void)opt;
	(void)out;
}

void *forward_slot(void *channel, uint32_t slot)
{
	const struct forward *f = channel;

	return f->ops->slot(f->channel, slot);
}

int forward_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	const struct forward *f = channel;

	return f->ops->acquire(f->channel, slot, err);
}

int forward_send(void *channel, uint32_t slot, uint64_t bytes,
		 const struct pfw_message_id *id, struct pfw_error *err)
{
	const struct forward *f = channel;

	return f->ops->send(f->channel, slot, bytes, id, err);
}

int forward_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		 struct pfw_message_id *id, struct pfw_error *err)
{
	const struct forward *f = channel;

	return f->ops->recv(f->channel, slot, bytes, id, err);
}

int forward_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	const struct forward *f = channel;

	return f->ops->release(f->channel, slot, err);
}

int forward_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	const struct forward *f = channel;

	return f->ops->wait(f->channel, slot, deadline);
}

int forward_check(void *channel, struct pfw_error *err)
{
	const struct forward *f = channel;

	return f->ops->check(f->channel, err);
}

void forward_stats(void *channel, struct pfw_channel_stats *out)
{
	const struct forward *f = channel;

	if (f->ops->stats)
		f->ops->stats(f->channel, out);
}

/* Nothing to post where messages arrive by themselves. */
int forward_post(void *channel, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err)
{
	const struct forward *f = channel;

	return f->ops->post ? f->ops->post(f->channel, slot, bytes, err) : 0;
}

int forward_bind_queue(void *channel, void *queue, struct pfw_error *err)
{
	const struct forward *f = channel;

	if (!f->ops->bind_queue)
		return pfw_error_set(err, ENOTSUP, "the transport below the filter "
				     "takes no device queue");
	return f->ops->bind_queue(f->channel, queue, err);
}
