/* The header of a .safetensors file, checked before anything else is read. */
#include <errno.h>
#include <pipefw/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/quoted.h"
#include "model/safetensors.h"

/* Source: huggingface/safetensors, safetensors/src/tensor.rs. */
static const struct dtype {
	const char *text;
	uint32_t bits, dtype;
} dtypes[] = {
	{ "F32", 32, PFW_ST_F32 },	{ "F16", 16, PFW_ST_F16 },
	{ "BF16", 16, PFW_ST_BF16 },	{ "BOOL", 8, PFW_ST_OTHER },
	{ "F4", 4, PFW_ST_OTHER },	{ "F6_E2M3", 6, PFW_ST_OTHER },
	{ "F6_E3M2", 6, PFW_ST_OTHER },	{ "U8", 8, PFW_ST_OTHER },
	{ "I8", 8, PFW_ST_OTHER },	{ "F8_E5M2", 8, PFW_ST_OTHER },
	{ "F8_E4M3", 8, PFW_ST_OTHER },	{ "F8_E8M0", 8, PFW_ST_OTHER },
	{ "F8_E4M3FNUZ", 8, PFW_ST_OTHER }, { "F8_E5M2FNUZ", 8, PFW_ST_OTHER },
	{ "I16", 16, PFW_ST_OTHER },	{ "U16", 16, PFW_ST_OTHER },
	{ "I32", 32, PFW_ST_OTHER },	{ "U32", 32, PFW_ST_OTHER },
	{ "F64", 64, PFW_ST_OTHER },	{ "I64", 64, PFW_ST_OTHER },
	{ "U64", 64, PFW_ST_OTHER },	{ "C64", 64, PFW_ST_OTHER },
};

/** "tensor NAME: " before a sentence. */
static int of_tensor(const char *name, int rc, struct pfw_error *err)
{
	pfw_error_prefix(err, "tensor %s: ", pfw_quote(name).text);
	return rc;
}

static int parse_dtype(const struct pfw_json *v, const struct dtype **out,
		       struct pfw_error *err)
{
	const char *text = pfw_json_string(v);

	if (!text)
		return pfw_error_set(err, EINVAL, "its dtype is %s, not a string",
				     pfw_json_kind_text(v));
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
		if (!strcmp(text, dtypes[i].text)) {
			*out = &dtypes[i];
			return 0;
		}
	return pfw_error_set(err, EINVAL,
			     "its dtype %s is not one of the format",
			     pfw_quote(text).text);
}

/** A size, as the format writes it: digits and nothing else. */
static int parse_size(const struct pfw_json *v, const char *what, uint64_t *out,
		      struct pfw_error *err)
{
	int rc = pfw_json_u64(v, out);

	if (!rc)
		return 0;
	return pfw_error_set(err, -rc,
			     "its %s has %s %.40s where a whole number from 0 to 2^64 - 1 belongs",
			     what, pfw_json_kind_text(v),
			     pfw_json_text(v) ? pfw_quote(pfw_json_text(v)).text : "");
}

static int parse_shape(const struct pfw_json *v, struct pfw_st_tensor *t,
		       uint64_t *elements, struct pfw_error *err)
{
	uint64_t n = 1, dim;
	int overflows = 0, zero = 0;

	if (pfw_json_kind(v) != PFW_JSON_ARRAY)
		return pfw_error_set(err, EINVAL, "its shape is %s, not an array",
				     pfw_json_kind_text(v));
	for (const struct pfw_json *d = pfw_json_first(v); d;
	     d = pfw_json_next(v, d)) {
		int rc = parse_size(d, "shape", &dim, err);

		if (rc)
			return rc;
		if (t->n_dims < PFW_MAX_DIMS)
			t->dims[t->n_dims] = dim;
		t->n_dims++;
		zero |= !dim;
		overflows |= __builtin_mul_overflow(n, dim, &n);
	}
	if (overflows && !zero)
		return pfw_error_set(err, EOVERFLOW,
				     "its shape has more than 2^64 elements");
	*elements = zero ? 0 : n;
	return 0;
}

static int parse_offsets(const struct pfw_json *v, uint64_t *begin,
			 uint64_t *end, struct pfw_error *err)
{
	const struct pfw_json *first = pfw_json_first(v);
	int rc;

	if (pfw_json_kind(v) != PFW_JSON_ARRAY || pfw_json_count(v) != 2)
		return pfw_error_set(err, EINVAL,
				     "its data_offsets are not an array of two");
	rc = parse_size(first, "data_offsets", begin, err);
	if (!rc)
		rc = parse_size(pfw_json_next(v, first), "data_offsets", end, err);
	if (!rc && *end < *begin)
		rc = pfw_error_set(err, EINVAL,
				   "its data_offsets run backwards, from %llu to %llu",
				   (unsigned long long)*begin,
				   (unsigned long long)*end);
	return rc;
}

static int parse_tensor(const struct pfw_json *v, struct pfw_st_tensor *t,
			struct pfw_error *err)
{
	const struct dtype *dtype = NULL;
	uint64_t elements = 0, bits, end = 0;
	int rc;

	if (pfw_json_count(v) != 3 || pfw_json_kind(v) != PFW_JSON_OBJECT)
		return pfw_error_set(err, EINVAL,
				     "not an object of dtype, shape and data_offsets");
	rc = parse_dtype(pfw_json_get(v, "dtype"), &dtype, err);
	if (!rc)
		rc = parse_shape(pfw_json_get(v, "shape"), t, &elements, err);
	if (!rc)
		rc = parse_offsets(pfw_json_get(v, "data_offsets"), &t->offset,
				   &end, err);
	if (rc)
		return rc;
	t->dtype = dtype->dtype;
	t->dtype_text = dtype->text;
	t->bytes = end - t->offset;
	if (__builtin_mul_overflow(elements, dtype->bits, &bits))
		return pfw_error_set(err, EOVERFLOW,
				     "its shape has more than 2^64 bits");
	if (bits % 8)
		return pfw_error_set(err, EINVAL,
				     "its %llu elements of %u bits end within a byte",
				     (unsigned long long)elements, dtype->bits);
	if (bits / 8 != t->bytes)
		return pfw_error_set(err, EINVAL,
				     "its shape makes %llu bytes, its data_offsets %llu",
				     (unsigned long long)(bits / 8),
				     (unsigned long long)t->bytes);
	return 0;
}

static int check_metadata(const struct pfw_json *v, struct pfw_error *err)
{
	if (pfw_json_kind(v) != PFW_JSON_OBJECT)
		return pfw_error_set(err, EINVAL,
				     "__metadata__ is %s, not an object",
				     pfw_json_kind_text(v));
	for (const struct pfw_json *m = pfw_json_first(v); m;
	     m = pfw_json_next(v, m))
		if (!pfw_json_string(m))
			return pfw_error_set(err, EINVAL,
					     "__metadata__ has %s for %s, it may hold strings only",
					     pfw_json_kind_text(m),
					     pfw_quote(pfw_json_name(m)).text);
	return 0;
}

static int parse_entries(const struct pfw_json *root, struct pfw_st_tensor *all,
			 size_t *n, struct pfw_error *err)
{
	for (const struct pfw_json *m = pfw_json_first(root); m;
	     m = pfw_json_next(root, m)) {
		const char *name = pfw_json_name(m);
		int rc;

		if (!strcmp(name, "__metadata__")) {
			rc = check_metadata(m, err);
			if (rc)
				return rc;
			continue;
		}
		all[*n].name = strdup(name);
		if (!all[*n].name)
			return pfw_error_set(err, ENOMEM, "out of memory");
		rc = parse_tensor(m, &all[(*n)++], err);
		if (rc)
			return of_tensor(name, rc, err);
	}
	return 0;
}

/** By begin, then by end: an empty tensor may lie before another. */
static int compare_data(const void *a, const void *b)
{
	const struct pfw_st_tensor *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

/**
 * The data is one tensor after the other, from the header to the file's end:
 * no holes and nothing behind, where another file could hide.
 */
static int check_data(struct pfw_st_tensor *all, size_t n, uint64_t header,
		      uint64_t file_bytes, struct pfw_error *err)
{
	uint64_t end = 0;

	qsort(all, n, sizeof(*all), compare_data);
	for (size_t i = 0; i < n; i++) {
		if (all[i].offset != end)
			return pfw_error_set(err, EINVAL,
					     "tensor %s: its data begins at %llu, but what lies before it ends at %llu",
					     pfw_quote(all[i].name).text,
					     (unsigned long long)all[i].offset,
					     (unsigned long long)end);
		end += all[i].bytes;
	}
	if (end != file_bytes - header)
		return pfw_error_set(err, EINVAL,
				     "the header tells of %llu bytes of data, the file has %llu",
				     (unsigned long long)end,
				     (unsigned long long)(file_bytes - header));
	for (size_t i = 0; i < n; i++)
		all[i].offset += header;
	return 0;
}

int pfw_st_parse(const char *json, size_t len, uint64_t file_bytes,
		 struct pfw_st_tensor **out, size_t *n, struct pfw_error *err)
{
	struct pfw_st_tensor *all = NULL;
	const struct pfw_json *root;
	struct pfw_json_doc *doc;
	size_t count = 0;
	int rc;

	rc = pfw_json_parse(json, len, &doc, err);
	if (rc) {
		pfw_error_prefix(err, "header: ");
		return rc;
	}
	root = pfw_json_root(doc);
	if (pfw_json_kind(root) != PFW_JSON_OBJECT) {
		rc = pfw_error_set(err, EINVAL, "the header is %s, not an object",
				   pfw_json_kind_text(root));
		goto err_free;
	}
	all = calloc(pfw_json_count(root) + 1, sizeof(*all));
	if (!all) {
		rc = pfw_error_set(err, ENOMEM, "out of memory for %zu tensors",
				   pfw_json_count(root));
		goto err_free;
	}
	rc = parse_entries(root, all, &count, err);
	if (!rc)
		rc = check_data(all, count, 8 + (uint64_t)len, file_bytes, err);
	if (rc)
		goto err_free;
	pfw_json_free(doc);
	*out = all;
	*n = count;
	return 0;

err_free:
	pfw_st_free(all, count);
	pfw_json_free(doc);
	return rc;
}

void pfw_st_free(struct pfw_st_tensor *tensors, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(tensors[i].name);
	free(tensors);
}
