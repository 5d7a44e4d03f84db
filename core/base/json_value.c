/* Asking a JSON text that was read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_impl.h"

const struct pfw_json *pfw_json_root(const struct pfw_json_doc *doc)
{
	return doc->values;
}

uint32_t pfw_json_kind(const struct pfw_json *v)
{
	return v ? v->kind : PFW_JSON_NONE;
}

const char *pfw_json_kind_text(const struct pfw_json *v)
{
	static const char *const texts[] = {
		"nothing", "null", "a truth value", "a number", "a string",
		"an array", "an object",
	};

	return texts[pfw_json_kind(v)];
}

uint32_t pfw_json_line(const struct pfw_json *v)
{
	return v ? v->line : 0;
}

size_t pfw_json_count(const struct pfw_json *v)
{
	return pfw_json_kind(v) >= PFW_JSON_STRING ? v->n : 0;
}

const char *pfw_json_text(const struct pfw_json *v)
{
	uint32_t kind = pfw_json_kind(v);

	return kind == PFW_JSON_STRING || kind == PFW_JSON_NUMBER ? v->u.text :
								    NULL;
}

const char *pfw_json_string(const struct pfw_json *v)
{
	return pfw_json_kind(v) == PFW_JSON_STRING ? v->u.text : NULL;
}

int pfw_json_u64(const struct pfw_json *v, uint64_t *out)
{
	unsigned long long n;

	if (pfw_json_kind(v) != PFW_JSON_NUMBER ||
	    v->u.text[strspn(v->u.text, "0123456789")])
		return -EINVAL;
	errno = 0;
	n = strtoull(v->u.text, NULL, 10);
	if (errno)
		return -ERANGE;
	*out = n;
	return 0;
}

int pfw_json_i64(const struct pfw_json *v, int64_t *out)
{
	const char *from;
	long long n;

	if (pfw_json_kind(v) != PFW_JSON_NUMBER)
		return -EINVAL;
	from = v->u.text + (v->u.text[0] == '-');
	if (from[strspn(from, "0123456789")])
		return -EINVAL;
	errno = 0;
	n = strtoll(v->u.text, NULL, 10);
	if (errno)
		return -ERANGE;
	*out = n;
	return 0;
}

int pfw_json_double(const struct pfw_json *v, double *out)
{
	double d;

	if (pfw_json_kind(v) != PFW_JSON_NUMBER)
		return -EINVAL;
	d = strtod(v->u.text, NULL);
	if (d - d != 0)
		return -ERANGE;
	*out = d;
	return 0;
}

int pfw_json_bool(const struct pfw_json *v, int *out)
{
	if (pfw_json_kind(v) != PFW_JSON_BOOL)
		return -EINVAL;
	*out = (int)v->n;
	return 0;
}

const struct pfw_json *pfw_json_get(const struct pfw_json *v, const char *name)
{
	uint32_t from = 0, to;

	if (pfw_json_kind(v) != PFW_JSON_OBJECT)
		return NULL;
	to = v->n;
	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		int order = strcmp(name, v->u.names[mid]->u.text);

		if (!order)
			return v->u.names[mid] + 1;
		if (order < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

const struct pfw_json *pfw_json_first(const struct pfw_json *v)
{
	if (pfw_json_kind(v) < PFW_JSON_ARRAY || !v->n)
		return NULL;
	return v->kind == PFW_JSON_OBJECT ? v + 2 : v + 1;
}

const struct pfw_json *pfw_json_next(const struct pfw_json *v,
				     const struct pfw_json *child)
{
	const struct pfw_json *next = child + child->span;

	if (next == v + v->span)
		return NULL;
	return v->kind == PFW_JSON_OBJECT ? next + 1 : next;
}

const char *pfw_json_name(const struct pfw_json *member)
{
	return member[-1].u.text;
}
