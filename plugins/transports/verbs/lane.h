/*
 * lane.h: the queue pairs of a channel.
 */
#ifndef VERBS_LANE_H
#define VERBS_LANE_H

#include "channel.h"

/** How many lanes a channel to @p peer has. */
uint32_t verbs_lane_count(const struct verbs_transport *t,
			  const struct verbs_address *peer);

/** Bytes of one work request to it, at most. */
uint32_t verbs_lane_cut(const struct verbs_transport *t,
			const struct verbs_address *peer);

/** Protection domains, completion queues and queue pairs, receives posted. */
int verbs_lanes_make(struct verbs_channel *c, struct pfw_error *err);
void verbs_lanes_free(struct verbs_channel *c);

/** What this end says of its lanes. */
void verbs_lanes_describe(const struct verbs_channel *c, struct verbs_hello *out);

/**
 * Sender: chooses addresses for its lanes, its own and the peer's, in @p hello.
 */
int verbs_lanes_route(struct verbs_channel *c, const struct verbs_address *peer,
		      struct verbs_hello *hello, struct pfw_error *err);
/** Receiver: takes the addresses that the sender chose. */
int verbs_lanes_accept(struct verbs_channel *c, const struct verbs_hello *peer,
		       struct pfw_error *err);

/** Ready to receive and to send; the other end's lanes are in c->peer. */
int verbs_lanes_connect(struct verbs_channel *c, struct pfw_error *err);

/** Posts receive @p index of a lane, which a completion has taken; where it cannot,
 *  the channel is broken. */
void verbs_lane_again(struct verbs_channel *c, uint32_t lane, uint32_t index);

#endif
