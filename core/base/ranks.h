/* ranks.h: some of a run's ranks, as a user writes them. */
#ifndef PFW_CORE_RANKS_H
#define PFW_CORE_RANKS_H

#include <stdint.h>

/** "2" or "2-3", of ranks 0 to @p ranks - 1: the first, and how many.
 *  0 or -EINVAL. */
int pfw_ranks_parse(const char *text, uint32_t ranks, uint32_t *first,
		    uint32_t *n);

#endif
