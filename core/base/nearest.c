#include "base/nearest.h"

#include <string.h>

/* Longer words are nobody's slip of the finger. */
#define LONGEST 64

static unsigned min2(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: Damerau's distance without overlapping swaps. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][LONGEST + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (unsigned j = 0; j <= nb; j++)
		before[j] = last[j] = j;
	for (unsigned i = 1; i <= na; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			row[j] = last[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = min2(row[j], min2(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = min2(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[nb];
}

const char *pfw_nearest(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word), other;
	const char *best = NULL;
	unsigned least = (unsigned)(len + 2) / 3, d;

	if (len == 0 || len > LONGEST)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		other = strlen(words[i]);
		if (other > LONGEST)
			continue;
		d = distance(word, len, words[i], other);
		if (d < least || (d == least && !best)) {
			least = d;
			best = words[i];
		}
	}
	return best;
}
