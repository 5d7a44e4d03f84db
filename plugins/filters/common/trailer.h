/*
 * trailer.h: channels whose messages have sixteen bytes more, behind the payload,
 * for what a filter's sender tells the receiver.
 *
 * A filter's channel begins with a struct trailed, as with a struct forward.
 */
#ifndef FILTER_TRAILER_H
#define FILTER_TRAILER_H

#include "forward.h"

/** From the next multiple of 8 behind the payload on. */
struct trailer {
	uint64_t value; /**< the filter's */
	uint64_t bytes; /**< of payload */
};

struct trailed {
	struct forward below; /**< its slots have room for a trailer */
	uint32_t from, to, kind;
	uint32_t n_slots;
	uint64_t slot_bytes; /**< ours */
	uint64_t messages, bytes;
};

/** Takes the trailer's room from the longest message; it is the host's. */
void trailer_props(struct pfw_transport_props *out);

/** As forward_open_channel(); call it again with the same @p t. */
int trailer_open_channel(const struct pfw_below *below,
			 const struct pfw_channel_info *info,
			 const struct pfw_address *peer, struct trailed *t,
			 struct pfw_error *err);

/** May so much be sent in this slot?  Before the payload is looked at. */
int trailer_fits(const struct trailed *t, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err);
/** What trailer_fits(). */
int trailer_send(struct trailed *t, uint32_t slot, uint64_t bytes,
		 uint64_t value, const struct pfw_message_id *id,
		 struct pfw_error *err);
/** -EPROTO: it has no trailer. */
int trailer_recv(struct trailed *t, uint32_t *slot, struct trailer *trailer,
		 struct pfw_message_id *id, struct pfw_error *err);

/** Which message it was, and @p what of it. */
int trailer_damaged(const struct trailed *t, const struct pfw_message_id *id,
		    const char *what, struct pfw_error *err);

/* For the table of ops. */
void trailer_stats(void *channel, struct pfw_channel_stats *out);
int trailer_post(void *channel, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err);

#endif
