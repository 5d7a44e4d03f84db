/*
 * complete.h: completions, and what they tell.
 */
#ifndef VERBS_COMPLETE_H
#define VERBS_COMPLETE_H

#include "channel.h"

/* The kind of a work request, in the topmost byte of its wr_id. */
#define VERBS_RECEIVE 1u
#define VERBS_MESSAGE 2u /* reads a slot */
#define VERBS_OTHER 3u   /* credits, what was sent inline, good-byes */

static inline uint64_t verbs_receive_id(uint32_t lane, uint32_t index)
{
	return (uint64_t)VERBS_RECEIVE << 56 | (uint64_t)lane << 48 | index;
}

/** @p entries of the send queue are done when this one is. */
static inline uint64_t verbs_send_id(uint32_t kind, uint32_t lane, uint32_t slot,
				     uint32_t entries)
{
	return (uint64_t)kind << 56 | (uint64_t)lane << 48 | (uint64_t)slot << 32 |
	       entries;
}

static inline uint32_t verbs_id_kind(uint64_t id)
{
	return (uint32_t)(id >> 56);
}

static inline uint32_t verbs_id_lane(uint64_t id)
{
	return (uint32_t)(id >> 48) & 0xff;
}

static inline uint32_t verbs_id_slot(uint64_t id)
{
	return (uint32_t)(id >> 32) & 0xffff;
}

/** Takes all completions that are there. */
void verbs_progress(struct verbs_channel *c);

#endif
