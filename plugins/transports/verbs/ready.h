/*
 * ready.h: what can be told before a rank is started.
 */
#ifndef VERBS_READY_H
#define VERBS_READY_H

#include <pipefw/transport.h>

/** As ready() of pipefw/transport.h. */
int verbs_ready(const struct pfw_values *opt,
		const struct pfw_channel_info *channels, uint32_t n,
		struct pfw_error *err);

#endif
