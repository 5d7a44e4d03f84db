#include "unit.h"

#include <errno.h>
#include <pipefw/json.h>
#include <stdlib.h>
#include <string.h>

/** The sentence for a text that must be refused; "" where it is taken. */
static const char *refusal(const char *text)
{
	static struct pfw_error err;
	struct pfw_json_doc *doc;

	err.text[0] = '\0';
	if (!pfw_json_parse(text, strlen(text), &doc, &err))
		pfw_json_free(doc);
	return err.text;
}

static void values(void)
{
	const char *text = "{\"a\": [1, -2, 1e2, \"x\"], \"b\": {},\n"
			   " \"c\": true, \"d\": null}";
	const struct pfw_json *root, *a, *item;
	struct pfw_json_doc *doc;
	uint64_t u = 7;
	int64_t i;
	double d;
	int b;

	CU_ASSERT_FATAL(!pfw_json_parse(text, strlen(text), &doc, NULL));
	root = pfw_json_root(doc);
	CU_ASSERT_EQUAL(pfw_json_kind(root), PFW_JSON_OBJECT);
	CU_ASSERT_EQUAL(pfw_json_count(root), 4);
	a = pfw_json_get(root, "a");
	CU_ASSERT_EQUAL(pfw_json_count(a), 4);
	item = pfw_json_first(a);
	CU_ASSERT(!pfw_json_u64(item, &u) && u == 1);
	item = pfw_json_next(a, item);
	CU_ASSERT_EQUAL(pfw_json_u64(item, &u), -EINVAL);
	CU_ASSERT(!pfw_json_i64(item, &i) && i == -2);
	item = pfw_json_next(a, item);
	CU_ASSERT_EQUAL(pfw_json_i64(item, &i), -EINVAL);
	CU_ASSERT(!pfw_json_double(item, &d) && d == 100);
	CU_ASSERT_STRING_EQUAL(pfw_json_text(item), "1e2");
	item = pfw_json_next(a, item);
	CU_ASSERT_STRING_EQUAL(pfw_json_string(item), "x");
	CU_ASSERT_PTR_NULL(pfw_json_next(a, item));
	CU_ASSERT_PTR_NULL(pfw_json_first(pfw_json_get(root, "b")));
	CU_ASSERT(!pfw_json_bool(pfw_json_get(root, "c"), &b) && b == 1);
	CU_ASSERT_EQUAL(pfw_json_line(pfw_json_get(root, "c")), 2);
	CU_ASSERT_EQUAL(pfw_json_kind(pfw_json_get(root, "d")), PFW_JSON_NULL);
	CU_ASSERT_PTR_NULL(pfw_json_get(root, "e"));
	CU_ASSERT_STRING_EQUAL(pfw_json_kind_text(NULL), "nothing");
	pfw_json_free(doc);
}

static void members_in_order(void)
{
	const char *text = "{\"z\":{\"q\":[1,[2]]},\"a\":[],\"m\":{}}";
	const struct pfw_json *root;
	struct pfw_json_doc *doc;
	char names[16] = "";

	CU_ASSERT_FATAL(!pfw_json_parse(text, strlen(text), &doc, NULL));
	root = pfw_json_root(doc);
	for (const struct pfw_json *m = pfw_json_first(root); m;
	     m = pfw_json_next(root, m))
		strcat(names, pfw_json_name(m));
	CU_ASSERT_STRING_EQUAL(names, "zam");
	pfw_json_free(doc);
}

static void integers_are_exact(void)
{
	const char *text = "[18446744073709551615, 18446744073709551616,"
			   " -9223372036854775808, 9223372036854775808, 1.0, 1e999, 0]";
	const struct pfw_json *root, *v;
	struct pfw_json_doc *doc;
	uint64_t u;
	int64_t i;
	double d;

	CU_ASSERT_FATAL(!pfw_json_parse(text, strlen(text), &doc, NULL));
	root = pfw_json_root(doc);
	v = pfw_json_first(root);
	CU_ASSERT(!pfw_json_u64(v, &u) && u == UINT64_MAX);
	v = pfw_json_next(root, v);
	CU_ASSERT_EQUAL(pfw_json_u64(v, &u), -ERANGE);
	v = pfw_json_next(root, v);
	CU_ASSERT(!pfw_json_i64(v, &i) && i == INT64_MIN);
	v = pfw_json_next(root, v);
	CU_ASSERT_EQUAL(pfw_json_i64(v, &i), -ERANGE);
	v = pfw_json_next(root, v);
	CU_ASSERT_EQUAL(pfw_json_u64(v, &u), -EINVAL);
	v = pfw_json_next(root, v);
	CU_ASSERT_EQUAL(pfw_json_double(v, &d), -ERANGE);
	v = pfw_json_next(root, v);
	CU_ASSERT(!pfw_json_u64(v, &u) && u == 0);
	pfw_json_free(doc);
}

static void strings(void)
{
	const char *text = "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u00e9\\u20ac\\ud83d\\ude00\","
			   " \"\xc3\xa9\", \"\"]";
	const struct pfw_json *root, *v;
	struct pfw_json_doc *doc;

	CU_ASSERT_FATAL(!pfw_json_parse(text, strlen(text), &doc, NULL));
	root = pfw_json_root(doc);
	v = pfw_json_first(root);
	CU_ASSERT_STRING_EQUAL(pfw_json_string(v), "\"\\/\b\f\n\r\t");
	v = pfw_json_next(root, v);
	CU_ASSERT_STRING_EQUAL(pfw_json_string(v),
			       "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	CU_ASSERT_EQUAL(pfw_json_count(v), 9);
	v = pfw_json_next(root, v);
	CU_ASSERT_STRING_EQUAL(pfw_json_string(v), "\xc3\xa9");
	v = pfw_json_next(root, v);
	CU_ASSERT_STRING_EQUAL(pfw_json_string(v), "");
	pfw_json_free(doc);
}

static void refusals(void)
{
	static const struct {
		const char *text, *sentence;
	} bad[] = {
		{ "", "line 1, column 1: the text ends where a value belongs" },
		{ "\xef\xbb\xbf{}", "line 1, column 1: a byte order mark, which JSON does not have" },
		{ "{} x", "line 1, column 4: found 'x' where the end of the text belongs" },
		{ "[1,\n 2,]", "line 2, column 4: found ']' where a value belongs" },
		{ "[1 2]", "line 1, column 4: found '2' where ',' or ']' belongs" },
		{ "{\"a\" 1}", "line 1, column 6: found '1' where ':' belongs" },
		{ "{\"a\":1,}", "line 1, column 8: found '}' where a string belongs" },
		{ "{\"a\":1", "line 1, column 7: the text ends where ',' or '}' belongs" },
		{ "{\"a\":1,\n\"\\u0061\":2}",
		  "line 2: the name \"a\" comes twice in one object" },
		{ "[01]", "line 1, column 3: found '1' where ',' or ']' belongs" },
		{ "[-]", "line 1, column 3: found ']' where a digit belongs" },
		{ "[.5]", "line 1, column 2: found '.' where a value belongs" },
		{ "[1.]", "line 1, column 4: found ']' where a digit belongs" },
		{ "[1e]", "line 1, column 4: found ']' where a digit belongs" },
		{ "[+1]", "line 1, column 2: found '+' where a value belongs" },
		{ "[NaN]", "line 1, column 2: found 'N' where a value belongs" },
		{ "[tru]", "line 1, column 2: found 't' where a value belongs" },
		{ "\"a\tb\"", "line 1, column 3: found byte 0x09 where the rest of a string belongs" },
		{ "\"a", "line 1, column 3: the text ends where the rest of a string belongs" },
		{ "\"\\x\"", "line 1, column 3: found 'x' where one of \"\\/bfnrtu belongs" },
		{ "\"\\u12g4\"", "line 1, column 6: found 'g' where one of four hexadecimal digits belongs" },
		{ "\"\\u0000\"", "line 1, column 8: \\u0000 is not taken in a string" },
		{ "\"\\ud800\"", "line 1, column 8: half of a surrogate pair" },
		{ "\"\\udc00\\ud800\"", "line 1, column 8: half of a surrogate pair" },
		{ "\"\xc3\"", "line 1, column 2: not UTF-8" },
		{ "\"\xc0\xaf\"", "line 1, column 2: not UTF-8" },
		{ "\"\xed\xa0\x80\"", "line 1, column 2: not UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", "line 1, column 2: not UTF-8" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_STRING_EQUAL(refusal(bad[i].text), bad[i].sentence);
}

static void depth_is_bounded(void)
{
	char text[200];

	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = '\0';
	CU_ASSERT_STRING_EQUAL(refusal(text), "");
	memset(text, '[', 199);
	text[199] = '\0';
	CU_ASSERT_STRING_EQUAL(refusal(text),
			       "line 1, column 65: nested more than 64 levels deep");
}

static void nul_bytes_end_nothing(void)
{
	struct pfw_json_doc *doc;
	struct pfw_error err;

	CU_ASSERT_EQUAL(pfw_json_parse("{}\0", 3, &doc, &err), -EINVAL);
	CU_ASSERT_EQUAL(pfw_json_parse("\"\\\0\"", 4, &doc, &err), -EINVAL);
	CU_ASSERT_EQUAL(pfw_json_parse("\"a\0\"", 4, &doc, &err), -EINVAL);
}

/* As large as GPT-2's vocab.json. */
static void fifty_thousand_names(void)
{
	size_t n = 50257, len = 1;
	char *text = malloc(n * 24 + 3), name[16];
	struct pfw_json_doc *doc;
	uint64_t got, wrong = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	text[0] = '{';
	for (size_t i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "%s\"n%zx\": %zu",
				       i ? ", " : "", i * 40503 % 65536, i);
	text[len++] = '}';
	CU_ASSERT_FATAL(!pfw_json_parse(text, len, &doc, NULL));
	free(text);
	for (size_t i = 0; i < n; i++) {
		sprintf(name, "n%zx", i * 40503 % 65536);
		if (pfw_json_u64(pfw_json_get(pfw_json_root(doc), name), &got) ||
		    got != i)
			wrong++;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	pfw_json_free(doc);
}

static void quoting(void)
{
	const char *in = "a\"\\\n\x01\x7f\xc2\x85\xc3\xa9\xff/";
	const char *want = "\"a\\\"\\\\\\n\\u0001\\u007f\\u0085\xc3\xa9\xef\xbf\xbd/\"";
	char buf[64], small[4];
	struct pfw_json_doc *doc;

	CU_ASSERT_EQUAL(pfw_json_quote(in, buf, sizeof(buf)), strlen(want));
	CU_ASSERT_STRING_EQUAL(buf, want);
	CU_ASSERT_EQUAL(pfw_json_quote(in, small, sizeof(small)), strlen(want));
	CU_ASSERT_EQUAL(strlen(small), 3);
	CU_ASSERT_EQUAL(pfw_json_quote(in, NULL, 0), strlen(want));
	CU_ASSERT_FATAL(!pfw_json_parse(buf, strlen(buf), &doc, NULL));
	CU_ASSERT_STRING_EQUAL(pfw_json_string(pfw_json_root(doc)),
			       "a\"\\\n\x01\x7f\xc2\x85\xc3\xa9\xef\xbf\xbd/");
	pfw_json_free(doc);
}

static const struct unit_test tests[] = {
	{ "values and their kinds", values },
	{ "members in the order of the text", members_in_order },
	{ "integers are exact", integers_are_exact },
	{ "strings are decoded", strings },
	{ "refusals say where and what", refusals },
	{ "depth is bounded", depth_is_bounded },
	{ "NUL bytes", nul_bytes_end_nothing },
	{ "50,257 names are found", fifty_thousand_names },
	{ "quoting", quoting },
};

UNIT_MAIN("json", tests)
