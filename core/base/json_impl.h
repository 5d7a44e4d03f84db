/*
 * json_impl.h: a JSON text that was read.
 */
#ifndef PFW_CORE_JSON_IMPL_H
#define PFW_CORE_JSON_IMPL_H

#include <pipefw/json.h>

/*
 * Values lie one after the other as in the text: an object is followed by a
 * name and a value for each member, an array by its items.
 */
struct pfw_json {
	union {
		size_t at; /**< in the text, while it is being read */
		const char *text;
		const struct pfw_json **names; /**< of an object, sorted */
	} u;
	uint32_t n;    /**< members, items, bytes; of a truth value, it */
	uint32_t span; /**< values it takes, itself and all that is inside */
	uint32_t line;
	uint32_t kind;
};

struct pfw_json_doc {
	char *text; /**< own copy; strings are decoded in place */
	struct pfw_json *values;
	const struct pfw_json **names;
};

#endif
