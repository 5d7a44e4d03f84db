#include "trailer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t padded(uint64_t bytes)
{
	return (bytes + 7) / 8 * 8;
}

void trailer_props(struct pfw_transport_props *out)
{
	if (out->size < sizeof(*out))
		return;
	out->memory &= PFW_MEM_HOST;
	out->stream_ordered = 0;
	out->max_bytes -= PFW_ALIGN;
}

int trailer_open_channel(const struct pfw_below *below,
			 const struct pfw_channel_info *info,
			 const struct pfw_address *peer, struct trailed *t,
			 struct pfw_error *err)
{
	struct pfw_channel_info larger = *info;

	if (info->memory != PFW_MEM_HOST)
		return pfw_error_set(err, ENOTSUP, "the filter writes behind the "
				     "payload: it takes host memory only");
	t->from = info->from;
	t->to = info->to;
	t->kind = info->kind;
	t->n_slots = info->n_slots;
	t->slot_bytes = info->slot_bytes;
	larger.slot_bytes += PFW_ALIGN;
	return forward_open_channel(below, &larger, peer, &t->below, err);
}

int trailer_fits(const struct trailed *t, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err)
{
	if (slot >= t->n_slots)
		return pfw_error_set(err, EINVAL, "slot %u of a channel of %u "
				     "slots", slot, t->n_slots);
	if (bytes > t->slot_bytes)
		return pfw_error_set(err, EMSGSIZE, "a message of %llu bytes in "
				     "slots of %llu", (unsigned long long)bytes,
				     (unsigned long long)t->slot_bytes);
	return 0;
}

int trailer_send(struct trailed *t, uint32_t slot, uint64_t bytes,
		 uint64_t value, const struct pfw_message_id *id,
		 struct pfw_error *err)
{
	const struct trailer trailer = { .value = value, .bytes = bytes };
	unsigned char *at = forward_slot(t, slot);
	int rc;

	memcpy(at + padded(bytes), &trailer, sizeof(trailer));
	rc = forward_send(t, slot, padded(bytes) + sizeof(trailer), id, err);
	if (rc)
		return rc;
	t->messages++;
	t->bytes += bytes;
	return 0;
}

int trailer_recv(struct trailed *t, uint32_t *slot, struct trailer *trailer,
		 struct pfw_message_id *id, struct pfw_error *err)
{
	const unsigned char *at;
	uint64_t bytes;
	int rc = forward_recv(t, slot, &bytes, id, err);

	if (rc)
		return rc;
	at = forward_slot(t, *slot);
	if (bytes >= sizeof(*trailer))
		memcpy(trailer, at + bytes - sizeof(*trailer), sizeof(*trailer));
	if (bytes < sizeof(*trailer) || trailer->bytes > t->slot_bytes ||
	    padded(trailer->bytes) + sizeof(*trailer) != bytes)
		return trailer_damaged(t, id, "what the filter wrote behind it "
				       "is not there, or the other end has other "
				       "filters", err);
	t->messages++;
	t->bytes += trailer->bytes;
	return 0;
}

int trailer_damaged(const struct trailed *t, const struct pfw_message_id *id,
		    const char *what, struct pfw_error *err)
{
	char of[64] = "";

	if (id->stage != PFW_NONE)
		snprintf(of, sizeof(of), "stage %u, micro-batch %u, ", id->stage,
			 id->microbatch);
	return pfw_error_set(err, EPROTO,
			     "the %s of %sstep %llu (message %llu from rank %u "
			     "to rank %u) was damaged on its way: %s",
			     pfw_channel_kind_name(t->kind), of,
			     (unsigned long long)id->step + 1,
			     (unsigned long long)id->sequence, t->from, t->to,
			     what);
}

void trailer_stats(void *channel, struct pfw_channel_stats *out)
{
	const struct trailed *t = channel;

	forward_stats(channel, out);
	if (out->size >= offsetof(struct pfw_channel_stats, copied_bytes)) {
		out->messages = t->messages;
		out->bytes = t->bytes;
	}
}

int trailer_post(void *channel, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err)
{
	return forward_post(channel, slot,
			    padded(bytes) + sizeof(struct trailer), err);
}
