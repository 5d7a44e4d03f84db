#include "base/ranks.h"

#include <errno.h>
#include <stdlib.h>

int pfw_ranks_parse(const char *text, uint32_t ranks, uint32_t *first,
		    uint32_t *n)
{
	unsigned long from, to;
	char *end;

	from = to = strtoul(text, &end, 10);
	if (end != text && *end == '-' && end[1] >= '0' && end[1] <= '9')
		to = strtoul(end + 1, &end, 10);
	if (end == text || *end || *text < '0' || *text > '9' || to < from ||
	    to >= ranks)
		return -EINVAL;
	*first = (uint32_t)from;
	*n = (uint32_t)(to - from + 1);
	return 0;
}
