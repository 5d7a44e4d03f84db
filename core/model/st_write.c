/* The header of a .safetensors file of fp32 tensors. */
#include <errno.h>
#include <pipefw/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

struct entry {
	const char *name;
	size_t index; /**< in the input */
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int tensor_bytes(const char *name, uint32_t n_dims, const uint64_t *dims,
			uint64_t *out, struct pfw_error *err)
{
	uint64_t n = sizeof(float);

	for (uint32_t i = 0; i < n_dims; i++)
		if (__builtin_mul_overflow(n, dims[i], &n))
			return pfw_error_set(err, EOVERFLOW,
					     "tensor %s has more than 2^64 bytes",
					     name);
	*out = n;
	return 0;
}

/** The JSON text; @p offsets from the beginning of the data. */
static int print_entries(FILE *to, const struct entry *entries, size_t n,
			 const uint32_t *n_dims,
			 const uint64_t (*dims)[PFW_MAX_DIMS],
			 uint64_t *offsets, uint64_t *end, struct pfw_error *err)
{
	uint64_t bytes = 0;

	*end = 0;
	/* "format" is what Hugging Face's transformers asks for. */
	fprintf(to, "{\"__metadata__\":{\"format\":\"pt\"}");
	for (size_t i = 0; i < n; i++) {
		size_t k = entries[i].index;
		int rc = tensor_bytes(entries[i].name, n_dims[k], dims[k], &bytes,
				      err);

		if (!rc && i && !strcmp(entries[i].name, entries[i - 1].name))
			rc = pfw_error_set(err, EEXIST, "two tensors called %s",
					   entries[i].name);
		if (rc)
			return rc;
		fputc(',', to);
		pfw_json_print(to, entries[i].name);
		fprintf(to, ":{\"dtype\":\"F32\",\"shape\":[");
		for (uint32_t d = 0; d < n_dims[k]; d++)
			fprintf(to, "%s%llu", d ? "," : "",
				(unsigned long long)dims[k][d]);
		offsets[k] = *end;
		if (__builtin_add_overflow(*end, bytes, end))
			return pfw_error_set(err, EOVERFLOW,
					     "tensors of more than 2^64 bytes");
		fprintf(to, "],\"data_offsets\":[%llu,%llu]}",
			(unsigned long long)offsets[k],
			(unsigned long long)*end);
	}
	fputc('}', to);
	return 0;
}

static int print_header(const struct entry *entries, size_t n,
			const uint32_t *n_dims,
			const uint64_t (*dims)[PFW_MAX_DIMS], char **text,
			size_t *len, uint64_t *offsets, uint64_t *end,
			struct pfw_error *err)
{
	FILE *to = open_memstream(text, len);
	int rc;

	if (!to)
		return pfw_error_set(err, ENOMEM, "out of memory");
	fwrite("\0\0\0\0\0\0\0", 1, 8, to); /* the length, later */
	rc = print_entries(to, entries, n, n_dims, dims, offsets, end, err);
	while (!rc && !ferror(to) && ftell(to) % 8)
		fputc(' ', to);
	if ((ferror(to) | fclose(to)) && !rc)
		rc = pfw_error_set(err, ENOMEM, "out of memory");
	if (rc)
		free(*text);
	return rc;
}

int pfw_st_header(const char *const *names, const uint32_t *n_dims,
		  const uint64_t (*dims)[PFW_MAX_DIMS], size_t n, char **header,
		  size_t *header_bytes, uint64_t *offsets, uint64_t *file_bytes,
		  struct pfw_error *err)
{
	struct entry *entries = calloc(n + 1, sizeof(*entries));
	uint64_t end = 0;
	size_t len;
	char *text;
	int rc;

	if (!entries)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		entries[i] = (struct entry){ names[i], i };
	qsort(entries, n, sizeof(*entries), compare_entries);
	rc = print_header(entries, n, n_dims, dims, &text, &len, offsets, &end,
			  err);
	free(entries);
	if (rc)
		return rc;
	for (int i = 0; i < 8; i++)
		text[i] = (char)((uint64_t)(len - 8) >> (8 * i));
	for (size_t i = 0; i < n; i++)
		offsets[i] += len;
	*header = text;
	*header_bytes = len;
	*file_bytes = len + end;
	return 0;
}
