/*
 * quoted.h: a name out of a file, for a sentence: in quotes, at most 120 bytes,
 * and nothing in it steers a terminal.
 */
#ifndef PFW_CORE_QUOTED_H
#define PFW_CORE_QUOTED_H

#include <pipefw/json.h>

struct pfw_quoted {
	char text[124];
};

/** Used as `pfw_quote(name).text` in an argument list. */
static inline struct pfw_quoted pfw_quote(const char *name)
{
	struct pfw_quoted q = { "" };

	pfw_json_quote(name, q.text, sizeof(q.text));
	return q;
}

#endif
