/*
 * fault.h: what went wrong, in words.
 */
#ifndef VERBS_FAULT_H
#define VERBS_FAULT_H

#include "channel.h"

/** The device has no more of @p what. */
int verbs_refused(const struct verbs_rail *rail, const char *what, int code,
		  struct pfw_error *err);
int verbs_no_registration(const struct verbs_channel *c,
			  const struct verbs_rail *rail, int code,
			  struct pfw_error *err);
/** A lane cannot be joined to the peer's: errno of ibv_modify_qp(). */
int verbs_unreachable(const struct verbs_channel *c, uint32_t lane, int code,
		      struct pfw_error *err);

/** The first fault of an open channel; later ones are its consequences. */
void verbs_broke(struct verbs_channel *c, const struct ibv_wc *wc);
void verbs_cannot_post(struct verbs_channel *c, const char *what, int code);
/** The peer sent what it must not. */
void verbs_nonsense(struct verbs_channel *c, const char *what, uint32_t tag);

/** The other end is gone: -EPIPE. */
int verbs_gone(const struct verbs_channel *c, struct pfw_error *err);

/** What one of the rails has to say, once it cannot go on. */
int verbs_watch(const struct verbs_channel *c, uint32_t rail, struct pfw_error *err);

#endif
