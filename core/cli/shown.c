#include <pipefw/base.h>

#include "cli/shown.h"

static int has(const uint32_t *shown, uint32_t n, uint32_t rank)
{
	for (uint32_t i = 0; i < n; i++)
		if (shown[i] == rank)
			return 1;
	return 0;
}

uint32_t pfw_shown_ranks(uint32_t ranks,
			 int64_t (*idle)(const void *of, uint32_t rank),
			 const void *of, uint32_t *shown)
{
	if (ranks <= PFW_SHOWN_ALL) {
		for (uint32_t r = 0; r < ranks; r++)
			shown[r] = r;
		return ranks;
	}
	for (uint32_t n = 0; n < PFW_SHOWN_IDLEST; n++) {
		uint32_t most = PFW_NONE;

		for (uint32_t r = 0; r < ranks; r++)
			if (!has(shown, n, r) &&
			    (most == PFW_NONE || idle(of, r) > idle(of, most)))
				most = r;
		shown[n] = most;
	}
	return PFW_SHOWN_IDLEST;
}
