/*
 * flow.h: messages and credits.
 */
#ifndef VERBS_FLOW_H
#define VERBS_FLOW_H

#include "channel.h"

int verbs_flow_init(struct verbs_channel *c, struct pfw_error *err);
void verbs_flow_free(struct verbs_channel *c);

/** The data plane of pipefw/transport.h. */
int verbs_flow_acquire(struct verbs_channel *c, uint32_t slot, struct pfw_error *err);
int verbs_flow_send(struct verbs_channel *c, uint32_t slot, uint64_t bytes,
		    const struct pfw_message_id *id, struct pfw_error *err);
int verbs_flow_recv(struct verbs_channel *c, uint32_t *slot, uint64_t *bytes,
		    struct pfw_message_id *id, struct pfw_error *err);
int verbs_flow_release(struct verbs_channel *c, uint32_t slot,
		       struct pfw_error *err);

/** Is there what a wait is for: that slot, or at a receiver a message? */
bool verbs_flow_ready(const struct verbs_channel *c, uint32_t slot);
/** Would a completion of its own make it ready? */
bool verbs_flow_needs_own(const struct verbs_channel *c, uint32_t slot);

/** Sender: wants to be woken when the slot comes back. */
void verbs_ask(struct verbs_channel *c, uint32_t slot);
/** Receiver: sends the credits that found no room, and wakes who has asked. */
void verbs_pay(struct verbs_channel *c);
/** Has that anything to do?  Asked at each look, so it is no call. */
static inline bool verbs_owes(const struct verbs_channel *c)
{
	return !c->sending &&
	       (c->n_owed || c->question != __atomic_load_n(&c->page->asked,
							     __ATOMIC_ACQUIRE));
}
/** Sender: were slots given back that were never sent? */
void verbs_flow_check(struct verbs_channel *c);
/** Says good-bye, and waits a little until all that was sent has arrived. */
void verbs_flow_drain(struct verbs_channel *c);

#endif
