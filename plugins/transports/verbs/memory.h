/*
 * memory.h: the slots of a channel, and who may write them.
 *
 * Only the slots of a receiver and the pages of both ends may be written from
 * outside, nothing may be read.
 */
#ifndef VERBS_MEMORY_H
#define VERBS_MEMORY_H

#include "channel.h"

int verbs_memory_make(struct verbs_channel *c, struct pfw_error *err);
void verbs_memory_free(struct verbs_channel *c);

/** Bytes of the host that one rail locks for an end of a channel. */
uint64_t verbs_memory_locked(const struct pfw_channel_info *info);

/** With every rail; the protection domains are there. */
int verbs_memory_register(struct verbs_channel *c, struct pfw_error *err);
void verbs_memory_deregister(struct verbs_channel *c);

/** What the slots may be used for: IBV_ACCESS_*. */
unsigned verbs_memory_access(const struct verbs_channel *c);

#endif
