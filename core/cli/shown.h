/*
 * shown.h: which ranks a terminal has room for.
 */
#ifndef PFW_CLI_SHOWN_H
#define PFW_CLI_SHOWN_H

#include <stdint.h>

/* So many are all shown; of more, PFW_SHOWN_IDLEST. */
#define PFW_SHOWN_ALL 16u
#define PFW_SHOWN_IDLEST 8u

/*
 * Fills @p shown (PFW_SHOWN_ALL long) with all ranks in their order, or with the
 * idlest ones, the idlest first and the first of equals.  Gives how many.
 */
uint32_t pfw_shown_ranks(uint32_t ranks,
			 int64_t (*idle)(const void *of, uint32_t rank),
			 const void *of, uint32_t *shown);

#endif
