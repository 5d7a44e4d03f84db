/*
 * ability.h: what only trying tells of a device.
 */
#ifndef VERBS_ABILITY_H
#define VERBS_ABILITY_H

#include <infiniband/verbs.h>

#include <stdbool.h>

/** Has it WRITE_WITH_IMM?  Yes, unless its provider says that it has none. */
bool verbs_has_immediate(struct ibv_context *context);

#endif
