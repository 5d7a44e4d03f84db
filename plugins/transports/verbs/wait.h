/*
 * wait.h: waits for a channel.
 */
#ifndef VERBS_WAIT_H
#define VERBS_WAIT_H

#include "channel.h"

/** As wait() and check() of pipefw/transport.h. */
int verbs_wait(struct verbs_channel *c, uint32_t slot, uint64_t deadline);
int verbs_check(struct verbs_channel *c, struct pfw_error *err);

#endif
