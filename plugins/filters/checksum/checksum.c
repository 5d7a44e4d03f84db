/*
 * checksum: every message bears a checksum of itself, and one that is not what
 * was sent ends the run and is named.
 *
 * What a link, a cable or a stray pointer did to a message on its way is seen;
 * what lies below this filter is on the way.  Both ends read each message once
 * more.
 */
#include "../common/trailer.h"

#include "base/checksum.h"

#include <errno.h>
#include <stdlib.h>

static void checksum_props(const struct pfw_values *opt,
			   struct pfw_transport_props *out)
{
	(void)opt;
	trailer_props(out);
}

static int checksum_open(const struct pfw_values *opt,
			 const struct pfw_transport_info *info,
			 const struct pfw_below *below, void **transport,
			 struct pfw_address *self, struct pfw_error *err)
{
	struct pfw_below *t = malloc(sizeof(*t));

	(void)opt;
	(void)info;
	(void)self;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	*t = *below;
	*transport = t;
	return 0;
}

static void checksum_close(void *transport)
{
	free(transport);
}

static int checksum_open_channel(void *transport,
				 const struct pfw_channel_info *info,
				 const struct pfw_address *peer, void **channel,
				 struct pfw_error *err)
{
	struct trailed *c = *channel;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return pfw_error_set(err, ENOMEM, "out of memory");
		*channel = c;
	}
	return trailer_open_channel(transport, info, peer, c, err);
}

static void checksum_close_channel(void *channel)
{
	struct trailed *c = channel;

	if (!c)
		return;
	forward_close_channel(&c->below);
	free(c);
}

/* With its number: an earlier message that still lies in the slot is not it. */
static uint64_t checksum_of(struct trailed *c, uint32_t slot, uint64_t bytes,
			    const struct pfw_message_id *id)
{
	struct pfw_sum sum;

	pfw_sum_start(&sum);
	pfw_sum_add(&sum, forward_slot(c, slot), bytes);
	return pfw_sum_end(&sum) ^ id->sequence;
}

static int checksum_send(void *channel, uint32_t slot, uint64_t bytes,
			 const struct pfw_message_id *id, struct pfw_error *err)
{
	struct trailed *c = channel;
	int rc = trailer_fits(c, slot, bytes, err);

	return rc ? rc : trailer_send(c, slot, bytes,
				      checksum_of(c, slot, bytes, id), id, err);
}

static int checksum_recv(void *channel, uint32_t *slot, uint64_t *bytes,
			 struct pfw_message_id *id, struct pfw_error *err)
{
	struct trailed *c = channel;
	struct trailer trailer;
	int rc = trailer_recv(c, slot, &trailer, id, err);

	if (rc)
		return rc;
	*bytes = trailer.bytes;
	if (checksum_of(c, *slot, trailer.bytes, id) != trailer.value)
		return trailer_damaged(c, id, "its checksum is not what "
				       "the sender found", err);
	return 0;
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.props = checksum_props,
	.open = checksum_open,
	.close = checksum_close,
	.open_channel = checksum_open_channel,
	.close_channel = checksum_close_channel,
	.slot = forward_slot,
	.acquire = forward_acquire,
	.send = checksum_send,
	.recv = checksum_recv,
	.release = forward_release,
	.wait = forward_wait,
	.check = forward_check,
	.stats = trailer_stats,
	.post = trailer_post,
};

PFW_PLUGIN(.kind = PFW_KIND_FILTER, .name = "checksum",
	   .thread_model = PFW_THREAD_OBJECT,
	   .summary = "messages that were damaged on their way end the run",
	   .ops = &ops);
