/*
 * Fuzz target: a JSON text.  Refused with a sentence, or every member is found
 * under its name and every string is the same after it was quoted and read.
 */
#include <pipefw/json.h>

#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

static void broken(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void check_string(const char *text)
{
	size_t n = pfw_json_quote(text, NULL, 0);
	char *quoted = malloc(n + 1);
	struct pfw_json_doc *doc;
	const char *again;

	if (!quoted)
		return;
	if (pfw_json_quote(text, quoted, n + 1) != n || strlen(quoted) != n)
		broken("quoted in another length");
	if (pfw_json_parse(quoted, n, &doc, NULL))
		broken("a quoted string is not read");
	again = pfw_json_string(pfw_json_root(doc));
	if (!again || strcmp(again, text) != 0)
		broken("another string after quoting");
	pfw_json_free(doc);
	free(quoted);
}

static void check_value(const struct pfw_json *v)
{
	uint64_t u;
	int64_t i;
	double d;
	size_t n = 0;

	pfw_json_u64(v, &u);
	pfw_json_i64(v, &i);
	pfw_json_double(v, &d);
	if (pfw_json_string(v))
		check_string(pfw_json_string(v));
	for (const struct pfw_json *m = pfw_json_first(v); m;
	     m = pfw_json_next(v, m), n++) {
		if (pfw_json_kind(v) == PFW_JSON_OBJECT &&
		    pfw_json_get(v, pfw_json_name(m)) != m)
			broken("a member is not found");
		check_value(m);
	}
	if (pfw_json_kind(v) >= PFW_JSON_ARRAY && n != pfw_json_count(v))
		broken("another number of members");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pfw_error err = { 0 };
	struct pfw_json_doc *doc;

	if (!pfw_json_parse((const char *)data, size, &doc, &err)) {
		check_value(pfw_json_root(doc));
		pfw_json_free(doc);
	} else if (!*err.text || !err.code) {
		broken("refused without a word");
	}
	return 0;
}
