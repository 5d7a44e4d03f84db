#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "model/safetensors.h"
#include "tmpdir.h"

/** A file of a header's length, the header, and @p n bytes of data. */
static const char *st_file(const char *name, uint64_t len, const char *json,
			   size_t n, const void *data)
{
	size_t json_len = strlen(json);
	char *text = calloc(1, 8 + json_len + n);
	const char *path;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (int i = 0; i < 8; i++)
		text[i] = (char)(len >> (8 * i));
	memcpy(text + 8, json, json_len);
	if (data)
		memcpy(text + 8 + json_len, data, n);
	path = tmp_write(name, text, 8 + json_len + n);
	free(text);
	return path;
}

/** The sentence for a file or folder, without the test's folder. */
static const char *refusal_of(const char *path)
{
	static struct pfw_error err;
	struct pfw_st_reader *r;
	size_t n = strlen(tmp_dir) + 1;

	err.text[0] = '\0';
	if (!pfw_st_open(path, &r, &err))
		pfw_st_close(r);
	return strncmp(err.text, tmp_dir, n - 1) ? err.text : err.text + n;
}

static const char *refusal(const char *json, size_t n)
{
	const char *text = refusal_of(st_file("f", strlen(json), json, n, NULL));

	return *text ? text + 3 : text; /* "f: " */
}

#define T(name, dtype, shape, from, to)                                        \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape               \
	",\"data_offsets\":[" from "," to "]}"

static void taken(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal("{}", 0), "");
	CU_ASSERT_STRING_EQUAL(refusal(" \n{}   ", 0), "");
	CU_ASSERT_STRING_EQUAL(refusal("{\"__metadata__\":{\"a\":\"b\"}}", 0), "");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("s", "F32", "[]", "0", "4") "}", 4), "");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("e", "F32", "[0]", "4", "4") ","
				       T("s", "F32", "[1]", "0", "4") "}", 4), "");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("e", "F32", "[0,18446744073709551615,9]", "0", "0") "}",
				       0), "");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("q", "F4", "[4]", "0", "2") "}", 2), "");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("d", "U8", "[1,1,1,1,2]", "0", "2") "}",
				       2), "");
	tmp_remove();
}

/* 21: shorter than 8 bytes; N > 100 MB; N > file. */
static void lengths(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal_of(tmp_write("f", "1234567", 7)),
			       "f: has 7 bytes, a .safetensors file has 8 at least");
	CU_ASSERT_STRING_EQUAL(refusal_of(tmp_write("f", "", 0)),
			       "f: has 0 bytes, a .safetensors file has 8 at least");
	CU_ASSERT_STRING_EQUAL(refusal_of(st_file("f", 100000001, "{}", 0, NULL)),
			       "f: tells of a header of 100000001 bytes; at most 100000000 are taken, and the file has 2 more");
	CU_ASSERT_STRING_EQUAL(refusal_of(st_file("f", UINT64_MAX, "{}", 0, NULL)),
			       "f: tells of a header of 18446744073709551615 bytes; at most 100000000 are taken, and the file has 2 more");
	CU_ASSERT_STRING_EQUAL(refusal_of(st_file("f", 3, "{}", 0, NULL)),
			       "f: tells of a header of 3 bytes; at most 100000000 are taken, and the file has 2 more");
	CU_ASSERT_STRING_EQUAL(refusal_of(st_file("f", 0, "", 0, NULL)),
			       "f: header: line 1, column 1: the text ends where a value belongs");
	tmp_remove();
}

/* 22: JSON bad, duplicate names, depth bomb, non-integer. */
static void json(void)
{
	char bomb[300];

	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal("{\"a\":", 0),
			       "header: line 1, column 6: the text ends where a value belongs");
	CU_ASSERT_STRING_EQUAL(refusal("{\"a\xff\":1}", 0),
			       "header: line 1, column 4: not UTF-8");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "0", "4") ","
				       T("a", "F32", "[1]", "0", "4") "}", 4),
			       "header: line 1: the name \"a\" comes twice in one object");
	memset(bomb, '[', sizeof(bomb) - 1);
	bomb[sizeof(bomb) - 1] = '\0';
	CU_ASSERT_STRING_EQUAL(refusal(bomb, 0),
			       "header: line 1, column 65: nested more than 64 levels deep");
	CU_ASSERT_STRING_EQUAL(refusal("[]", 0),
			       "the header is an array, not an object");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1.0]", "0", "4") "}", 4),
			       "tensor \"a\": its shape has a number \"1.0\" where a whole number from 0 to 2^64 - 1 belongs");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "0", "4e0") "}", 4),
			       "tensor \"a\": its data_offsets has a number \"4e0\" where a whole number from 0 to 2^64 - 1 belongs");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[\"1\"]", "0", "4") "}", 4),
			       "tensor \"a\": its shape has a string \"1\" where a whole number from 0 to 2^64 - 1 belongs");
	CU_ASSERT_STRING_EQUAL(refusal("{\"a\":7}", 0),
			       "tensor \"a\": not an object of dtype, shape and data_offsets");
	CU_ASSERT_STRING_EQUAL(refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"strides\":[]}}", 0),
			       "tensor \"a\": its data_offsets are not an array of two");
	CU_ASSERT_STRING_EQUAL(refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4),
			       "tensor \"a\": its data_offsets are not an array of two");
	CU_ASSERT_STRING_EQUAL(refusal("{\"__metadata__\":[]}", 0),
			       "__metadata__ is an array, not an object");
	CU_ASSERT_STRING_EQUAL(refusal("{\"__metadata__\":{\"a\":1}}", 0),
			       "__metadata__ has a number for \"a\", it may hold strings only");
	tmp_remove();
}

/* 23: overlapping, gapped, reversed, negative, overflow shapes (2 x 2^63). */
static void offsets(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[2]", "0", "8") ","
				       T("b", "F32", "[2]", "4", "12") "}", 12),
			       "tensor \"b\": its data begins at 4, but what lies before it ends at 8");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "0", "4") ","
				       T("b", "F32", "[1]", "8", "12") "}", 12),
			       "tensor \"b\": its data begins at 8, but what lies before it ends at 4");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "0", "4") ","
				       T("b", "F32", "[1]", "0", "4") "}", 4),
			       "tensor \"b\": its data begins at 0, but what lies before it ends at 4");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "4", "0") "}", 4),
			       "tensor \"a\": its data_offsets run backwards, from 4 to 0");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "-4", "0") "}", 4),
			       "tensor \"a\": its data_offsets has a number \"-4\" where a whole number from 0 to 2^64 - 1 belongs");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[2,9223372036854775808]", "0", "0") "}",
				       0),
			       "tensor \"a\": its shape has more than 2^64 elements");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[4611686018427387904]", "0", "0") "}",
				       0),
			       "tensor \"a\": its shape has more than 2^64 bits");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "U8", "[18446744073709551616]", "0", "0") "}",
				       0),
			       "tensor \"a\": its shape has a number \"18446744073709551616\" where a whole number from 0 to 2^64 - 1 belongs");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[3]", "0", "8") "}", 8),
			       "tensor \"a\": its shape makes 12 bytes, its data_offsets 8");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F4", "[3]", "0", "1") "}", 1),
			       "tensor \"a\": its 3 elements of 4 bits end within a byte");
	tmp_remove();
}

/* 24: trailing bytes; file shorter than data.  25: unknown dtype. */
static void data_and_dtype(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "0", "4") "}", 5),
			       "the header tells of 4 bytes of data, the file has 5");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[1]", "0", "4") "}", 3),
			       "the header tells of 4 bytes of data, the file has 3");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F32", "[4611686018427387]", "0", "18446744073709548") "}",
				       8),
			       "the header tells of 18446744073709548 bytes of data, the file has 8");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("a", "F33", "[1]", "0", "4") "}", 4),
			       "tensor \"a\": its dtype \"F33\" is not one of the format");
	CU_ASSERT_STRING_EQUAL(refusal("{" T("\\u001b[2J", "F33", "[1]", "0", "4") "}", 4),
			       "tensor \"\\u001b[2J\": its dtype \"F33\" is not one of the format");
	tmp_remove();
}

static void shard(const char *name, const char *tensor)
{
	char json[256];

	snprintf(json, sizeof(json),
		 "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
		 tensor);
	st_file(name, strlen(json), json, 4, NULL);
}

static const char *index_refusal(const char *map)
{
	char json[512];
	const char *text;

	snprintf(json, sizeof(json), "{\"weight_map\":%s}", map);
	text = refusal_of(tmp_write("model.safetensors.index.json", json,
				    strlen(json)));
	return *text ? text + strlen("model.safetensors.index.json: ") : text;
}

/* 26: missing, extra, in two shards.  27: weight_map with ../, ... */
static void shards(void)
{
	tmp_make();
	shard("a.safetensors", "a");
	shard("b.safetensors", "b");
	shard("c.safetensors", "a");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}"),
			       "");
	CU_ASSERT_STRING_EQUAL(refusal_of(tmp_dir), "");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"a.safetensors\",\"b\":\"a.safetensors\"}"),
			       "tensor \"b\" is not in \"a.safetensors\"");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"a.safetensors\",\"x\":\"b.safetensors\"}"),
			       "tensor \"x\" is not in \"b.safetensors\"");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"a.safetensors\",\"b\":\"c.safetensors\"}"),
			       "tensor \"a\" is in two shards");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"../a.safetensors\"}"),
			       "shard \"../a.safetensors\": the name of a file in the same folder is wanted");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"/etc/passwd\"}"),
			       "shard \"/etc/passwd\": the name of a file in the same folder is wanted");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"x/a.safetensors\"}"),
			       "shard \"x/a.safetensors\": the name of a file in the same folder is wanted");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"..\"}"),
			       "shard \"..\": the name of a file in the same folder is wanted");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":7}"),
			       "tensor \"a\": a number is not the name of a file");
	CU_ASSERT_STRING_EQUAL(index_refusal("[]"),
			       "weight_map is an array, not an object of tensors and files");
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"a.safetensors\",\"a\":\"a.safetensors\"}"),
			       "line 1: the name \"a\" comes twice in one object");
	CU_ASSERT_PTR_NOT_NULL(strstr(index_refusal("{\"a\":\"none\"}"),
				      "none: cannot open it: No such file"));
	tmp_remove();
}

static void extra_tensor_in_shard(void)
{
	const char *two = "{" T("a", "F32", "[1]", "0", "4") ","
			  T("z", "F32", "[1]", "4", "8") "}";

	tmp_make();
	st_file("a", strlen(two), two, 8, NULL);
	CU_ASSERT_STRING_EQUAL(index_refusal("{\"a\":\"a\"}"),
			       "tensor \"z\" of a shard is not in weight_map");
	CU_ASSERT_STRING_EQUAL(refusal_of(tmp_path("none")),
			       "none: cannot open it: No such file or directory");
	unlink(tmp_path("model.safetensors.index.json"));
	CU_ASSERT_STRING_EQUAL(refusal_of(tmp_dir),
			       " has neither model.safetensors nor model.safetensors.index.json");
	tmp_remove();
}

static void reads_as_fp32(void)
{
	/* 1, -2, 65504, the least subnormal, infinity, NaN; then in bf16 */
	const uint16_t half[6] = { 0x3c00, 0xc000, 0x7bff, 1, 0x7c00, 0x7e00 };
	const uint16_t bf16[2] = { 0x3f80, 0xc040 };
	const char *json = "{" T("h", "F16", "[2,3]", "0", "12") ","
			   T("b", "BF16", "[2]", "12", "16") ","
			   T("i", "I16", "[1]", "16", "18") "}";
	const struct pfw_st_tensor *t;
	struct pfw_st_reader *r;
	struct pfw_error err;
	char data[18] = "";
	float got[6];

	tmp_make();
	memcpy(data, half, 12);
	memcpy(data + 12, bf16, 4);
	CU_ASSERT_FATAL(!pfw_st_open(st_file("f", strlen(json), json, 18, data),
				     &r, NULL));
	CU_ASSERT_EQUAL(pfw_st_count(r), 3);
	CU_ASSERT_STRING_EQUAL(pfw_st_get(r, 0)->name, "b");
	t = pfw_st_find(r, "h");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT(t->n_dims == 2 && t->dims[0] == 2 && t->dims[1] == 3);
	CU_ASSERT_FATAL(!pfw_st_read_f32(r, t, 0, 6, got, NULL));
	CU_ASSERT(got[0] == 1 && got[1] == -2 && got[2] == 65504);
	CU_ASSERT(got[3] == 0x1p-24f && isinf(got[4]) && isnan(got[5]));
	CU_ASSERT_FATAL(!pfw_st_read_f32(r, t, 1, 2, got, NULL));
	CU_ASSERT(got[0] == -2 && got[1] == 65504);
	CU_ASSERT_EQUAL(pfw_st_read_f32(r, t, 5, 2, got, &err), -ERANGE);
	CU_ASSERT_EQUAL(pfw_st_read_f32(r, t, UINT64_MAX, 2, got, &err), -ERANGE);
	CU_ASSERT_FATAL(!pfw_st_read_f32(r, pfw_st_find(r, "b"), 0, 2, got, NULL));
	CU_ASSERT(got[0] == 1 && got[1] == -3);
	CU_ASSERT_EQUAL(pfw_st_read_f32(r, pfw_st_find(r, "i"), 0, 1, got, &err),
			-ENOTSUP);
	CU_ASSERT_STRING_EQUAL(err.text + strlen(tmp_dir),
			       "/f: tensor \"i\" is I16; F32, F16 and BF16 are read");
	CU_ASSERT_PTR_NULL(pfw_st_find(r, "none"));
	CU_ASSERT_FATAL(!truncate(tmp_path("f"), 100));
	CU_ASSERT_EQUAL(pfw_st_read_f32(r, t, 0, 6, got, &err), -ENODATA);
	pfw_st_close(r);
	tmp_remove();
}

static void header_and_back(void)
{
	const char *names[] = { "b\"\n", "a" };
	const uint32_t n_dims[] = { 2, 1 };
	const uint64_t dims[][PFW_MAX_DIMS] = { { 2, 3 }, { 1 } };
	const char *want = "{\"__metadata__\":{\"format\":\"pt\"},"
			   "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
			   "\"b\\\"\\n\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]}}";
	uint64_t offsets[2], bytes;
	struct pfw_st_reader *r;
	char *header, *file;
	size_t len;

	tmp_make();
	CU_ASSERT_FATAL(!pfw_st_header(names, n_dims, dims, 2, &header, &len,
				       offsets, &bytes, NULL));
	CU_ASSERT_EQUAL(len % 8, 0);
	CU_ASSERT_EQUAL(memcmp(header + 8, want, strlen(want)), 0);
	CU_ASSERT_EQUAL(header[len - 1], len == 8 + strlen(want) ? '}' : ' ');
	CU_ASSERT_EQUAL(offsets[1], len);
	CU_ASSERT_EQUAL(offsets[0], len + 4);
	CU_ASSERT_EQUAL(bytes, len + 28);
	file = calloc(1, bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	memcpy(file, header, len);
	CU_ASSERT_FATAL(!pfw_st_open(tmp_write("f", file, bytes), &r, NULL));
	CU_ASSERT_EQUAL(pfw_st_find(r, "b\"\n")->offset, offsets[0]);
	pfw_st_close(r);
	free(file);
	free(header);
	tmp_remove();
}

static void header_refusals(void)
{
	const char *names[] = { "a", "a" };
	const uint32_t n_dims[] = { 2, 1 };
	const uint64_t dims[][PFW_MAX_DIMS] = { { 2, UINT64_MAX / 4 }, { 1 } };
	uint64_t offsets[2], bytes;
	struct pfw_error err;
	char *header;
	size_t len;

	CU_ASSERT_EQUAL(pfw_st_header(names, n_dims, dims, 1, &header, &len,
				      offsets, &bytes, &err), -EOVERFLOW);
	CU_ASSERT_EQUAL(pfw_st_header(names, &n_dims[1], &dims[1], 1, &header,
				      &len, offsets, &bytes, &err), 0);
	free(header);
	CU_ASSERT_EQUAL(pfw_st_header(names, (const uint32_t[]){ 0, 0 }, dims, 2,
				      &header, &len, offsets, &bytes, &err),
			-EEXIST);
}

static const struct unit_test tests[] = {
	{ "good files are taken", taken },
	{ "lengths are not believed", lengths },
	{ "the header's JSON", json },
	{ "offsets and shapes", offsets },
	{ "data and dtypes", data_and_dtype },
	{ "shards and their index", shards },
	{ "a tensor the index does not name", extra_tensor_in_shard },
	{ "F16 and BF16 become fp32", reads_as_fp32 },
	{ "a header is written and read back", header_and_back },
	{ "headers that cannot be", header_refusals },
};

UNIT_MAIN("safetensors", tests)
