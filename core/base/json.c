#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_impl.h"
#include "base/quoted.h"
#include "base/utf8.h"

#define MAX_DEPTH 64

struct parser {
	char *text;
	size_t len, at;
	uint32_t line;
	size_t line_start;
	struct pfw_json *values;
	size_t n, room;
	size_t n_names;
	struct pfw_error *err;
};

static int fail(const struct parser *p, const char *what)
{
	return pfw_error_set(p->err, EINVAL, "line %u, column %zu: %s", p->line,
			     p->at - p->line_start + 1, what);
}

static int unexpected(const struct parser *p, const char *want)
{
	unsigned char c = p->at < p->len ? (unsigned char)p->text[p->at] : 0;
	char what[80];

	if (p->at == p->len)
		snprintf(what, sizeof(what), "the text ends where %s belongs", want);
	else if (c > 0x20 && c < 0x7f)
		snprintf(what, sizeof(what), "found '%c' where %s belongs", c, want);
	else
		snprintf(what, sizeof(what), "found byte 0x%02x where %s belongs",
			 c, want);
	return fail(p, what);
}

static void skip_space(struct parser *p)
{
	for (; p->at < p->len; p->at++) {
		char c = p->text[p->at];

		if (c == '\n') {
			p->line++;
			p->line_start = p->at + 1;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			return;
		}
	}
}

static int eat(struct parser *p, char c)
{
	if (p->at == p->len || p->text[p->at] != c)
		return 0;
	p->at++;
	return 1;
}

/** A value that begins here; gives its index, or -errno. */
static int64_t add(struct parser *p, uint32_t kind)
{
	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct pfw_json *more = realloc(p->values, room * sizeof(*more));

		if (!more)
			return pfw_error_set(p->err, ENOMEM,
					     "out of memory for %zu JSON values",
					     room);
		p->values = more;
		p->room = room;
	}
	p->values[p->n] = (struct pfw_json){
		.u.at = p->at, .span = 1, .line = p->line, .kind = kind,
	};
	return (int64_t)p->n++;
}

static int parse_hex4(struct parser *p, uint32_t *out)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p->at < p->len ? p->text[p->at] : 0;

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return unexpected(p, "one of four hexadecimal digits");
		p->at++;
	}
	*out = v;
	return 0;
}

/** What follows "\u": one unit of UTF-16, or two. */
static int parse_unicode(struct parser *p, uint32_t *out)
{
	uint32_t high, low;
	int rc = parse_hex4(p, &high);

	if (rc)
		return rc;
	if (!high)
		return fail(p, "\\u0000 is not taken in a string");
	if (high < 0xd800 || high >= 0xe000) {
		*out = high;
		return 0;
	}
	if (high >= 0xdc00 || !eat(p, '\\') || !eat(p, 'u'))
		return fail(p, "half of a surrogate pair");
	rc = parse_hex4(p, &low);
	if (rc)
		return rc;
	if (low < 0xdc00 || low >= 0xe000)
		return fail(p, "half of a surrogate pair");
	*out = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return 0;
}

/** After a backslash: one character, at most as long as its escape. */
static int parse_escape(struct parser *p, char *out, size_t *n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint32_t c = 0;
	const char *found;
	int rc;

	if (eat(p, 'u')) {
		rc = parse_unicode(p, &c);
		if (!rc)
			*n = pfw_utf8_put(c, out);
		return rc;
	}
	found = p->at < p->len && p->text[p->at] ?
			strchr(from, p->text[p->at]) : NULL;
	if (!found)
		return unexpected(p, "one of \"\\/bfnrtu");
	p->at++;
	*out = to[found - from];
	*n = 1;
	return 0;
}

static int parse_string(struct parser *p)
{
	int64_t index = add(p, PFW_JSON_STRING);
	size_t to = p->at + 1, n = 0;
	uint32_t c;
	int rc;

	if (index < 0)
		return (int)index;
	if (!eat(p, '"'))
		return unexpected(p, "a string");
	p->values[index].u.at = to;
	while (!eat(p, '"')) {
		if (p->at == p->len || (unsigned char)p->text[p->at] < 0x20)
			return unexpected(p, "the rest of a string");
		if (eat(p, '\\')) {
			char decoded[4];

			rc = parse_escape(p, decoded, &n);
			if (rc)
				return rc;
			memcpy(p->text + to, decoded, n);
		} else {
			n = pfw_utf8_get(p->text + p->at, p->len - p->at, &c);
			if (!n)
				return fail(p, "not UTF-8");
			memmove(p->text + to, p->text + p->at, n);
			p->at += n;
		}
		to += n;
	}
	p->text[to] = '\0'; /* at most over the closing quote */
	p->values[index].n = (uint32_t)(to - p->values[index].u.at);
	return 0;
}

static int digits(struct parser *p)
{
	size_t from = p->at;

	while (p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9')
		p->at++;
	return p->at > from ? 0 : unexpected(p, "a digit");
}

static int parse_number(struct parser *p)
{
	int64_t index = add(p, PFW_JSON_NUMBER);
	int rc;

	if (index < 0)
		return (int)index;
	eat(p, '-');
	rc = eat(p, '0') ? 0 : digits(p);
	if (!rc && eat(p, '.'))
		rc = digits(p);
	if (!rc && (eat(p, 'e') || eat(p, 'E'))) {
		if (!eat(p, '-'))
			eat(p, '+');
		rc = digits(p);
	}
	p->values[index].n = (uint32_t)(p->at - p->values[index].u.at);
	return rc;
}

static int parse_word(struct parser *p)
{
	static const struct {
		const char *word;
		uint32_t kind, n;
	} words[] = {
		{ "true", PFW_JSON_BOOL, 1 },
		{ "false", PFW_JSON_BOOL, 0 },
		{ "null", PFW_JSON_NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i].word);
		int64_t index;

		if (p->len - p->at < n || memcmp(p->text + p->at, words[i].word, n))
			continue;
		index = add(p, words[i].kind);
		if (index < 0)
			return (int)index;
		p->values[index].n = words[i].n;
		p->at += n;
		return 0;
	}
	return unexpected(p, "a value");
}

static int parse_value(struct parser *p, int depth);

/** An array, or an object: that has a name before each value. */
static int parse_list(struct parser *p, int depth, uint32_t kind)
{
	char end = kind == PFW_JSON_OBJECT ? '}' : ']';
	int64_t index = add(p, kind);
	int rc;

	if (index < 0)
		return (int)index;
	if (depth == MAX_DEPTH)
		return fail(p, "nested more than 64 levels deep");
	p->at++;
	skip_space(p);
	if (eat(p, end))
		return 0;
	do {
		if (kind == PFW_JSON_OBJECT) {
			skip_space(p);
			rc = parse_string(p);
			if (rc)
				return rc;
			skip_space(p);
			if (!eat(p, ':'))
				return unexpected(p, "':'");
			p->n_names++;
		}
		rc = parse_value(p, depth + 1);
		if (rc)
			return rc;
		p->values[index].n++;
		skip_space(p);
	} while (eat(p, ','));
	if (!eat(p, end))
		return unexpected(p, kind == PFW_JSON_OBJECT ? "',' or '}'" :
							       "',' or ']'");
	p->values[index].span = (uint32_t)(p->n - (size_t)index);
	return 0;
}

static int parse_value(struct parser *p, int depth)
{
	char c;

	skip_space(p);
	c = p->at < p->len ? p->text[p->at] : 0;
	if (c == '{')
		return parse_list(p, depth, PFW_JSON_OBJECT);
	if (c == '[')
		return parse_list(p, depth, PFW_JSON_ARRAY);
	if (c == '"')
		return parse_string(p);
	if (c == '-' || (c >= '0' && c <= '9'))
		return parse_number(p);
	return parse_word(p);
}

static int compare_names(const void *a, const void *b)
{
	const struct pfw_json *const *x = a, *const *y = b;

	return strcmp((*x)->u.text, (*y)->u.text);
}

/** Sorts an object's names into @p names; none may come twice. */
static int index_object(struct pfw_json *v, const struct pfw_json **names,
			struct pfw_error *err)
{
	const struct pfw_json *name = v + 1;

	for (uint32_t i = 0; i < v->n; i++) {
		names[i] = name;
		name += 1 + name[1].span;
	}
	qsort(names, v->n, sizeof(*names), compare_names);
	v->u.names = names;
	for (uint32_t i = 1; i < v->n; i++)
		if (!strcmp(names[i - 1]->u.text, names[i]->u.text))
			return pfw_error_set(err, EINVAL,
					     "line %u: the name %s comes twice in one object",
					     names[i]->line,
					     pfw_quote(names[i]->u.text).text);
	return 0;
}

/** Offsets become pointers, numbers get a NUL, objects their index. */
static int finish(struct parser *p, struct pfw_json_doc *doc)
{
	size_t used = 0;

	doc->text = p->text;
	doc->values = p->values;
	doc->names = NULL;
	if (p->n_names) {
		doc->names = calloc(p->n_names, sizeof(*doc->names));
		if (!doc->names)
			return pfw_error_set(p->err, ENOMEM,
					     "out of memory for %zu JSON names",
					     p->n_names);
	}
	for (size_t i = 0; i < p->n; i++) {
		struct pfw_json *v = &p->values[i];

		if (v->kind == PFW_JSON_NUMBER)
			p->text[v->u.at + v->n] = '\0';
		if (v->kind == PFW_JSON_NUMBER || v->kind == PFW_JSON_STRING)
			v->u.text = p->text + v->u.at;
	}
	for (size_t i = 0; i < p->n; i++) {
		struct pfw_json *v = &p->values[i];
		int rc;

		if (v->kind != PFW_JSON_OBJECT || !v->n)
			continue;
		rc = index_object(v, doc->names + used, p->err);
		if (rc)
			return rc;
		used += v->n;
	}
	return 0;
}

static int parse_text(struct parser *p)
{
	int rc;

	if (p->len >= 3 && !memcmp(p->text, "\xef\xbb\xbf", 3))
		return fail(p, "a byte order mark, which JSON does not have");
	rc = parse_value(p, 0);
	if (rc)
		return rc;
	skip_space(p);
	return p->at < p->len ? unexpected(p, "the end of the text") : 0;
}

int pfw_json_parse(const char *text, size_t len, struct pfw_json_doc **out,
		   struct pfw_error *err)
{
	struct parser p = { .len = len, .line = 1, .err = err };
	struct pfw_json_doc *doc;
	int rc = -ENOMEM;

	if (len >= UINT32_MAX)
		return pfw_error_set(err, EFBIG,
				     "%zu bytes of JSON, at most %u are taken",
				     len, UINT32_MAX - 1);
	doc = calloc(1, sizeof(*doc));
	p.text = malloc(len + 1);
	if (!doc || !p.text) {
		pfw_error_set(err, ENOMEM, "out of memory for %zu bytes of JSON",
			      len);
		goto err_free;
	}
	memcpy(p.text, text, len);
	p.text[len] = '\0';
	rc = parse_text(&p);
	if (!rc)
		rc = finish(&p, doc);
	if (rc)
		goto err_free;
	*out = doc;
	return 0;

err_free:
	if (doc)
		free(doc->names);
	free(p.values);
	free(p.text);
	free(doc);
	return rc;
}

void pfw_json_free(struct pfw_json_doc *doc)
{
	if (!doc)
		return;
	free(doc->names);
	free(doc->values);
	free(doc->text);
	free(doc);
}
