/*
 * reach.h: slots that are a GPU's memory, where the adapter reaches it.
 */
#ifndef VERBS_REACH_H
#define VERBS_REACH_H

#include "channel.h"

int verbs_reach_make(struct verbs_channel *c, struct pfw_error *err);
void verbs_reach_free(struct verbs_channel *c);

/** With every rail; -ENOTSUP: not on this machine, and the transport notes why. */
int verbs_reach_register(struct verbs_channel *c, struct pfw_error *err);

/** "GPU memory by dmabuf", "... by peer memory", "... by staging: why"; "host
 *  memory" where nobody asked for another. */
void verbs_reach_describe(const struct verbs_transport *t, char *out, size_t len);

#endif
