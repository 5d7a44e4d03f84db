/*
 * safetensors.h: reading and writing .safetensors files.
 *
 * Format: 8 bytes little-endian length N, N bytes of JSON, data to the end.
 * The reader trusts no length: all checks are made before any allocation larger
 * than the header.  Source: the format's README (huggingface/safetensors).
 */
#ifndef PFW_CORE_SAFETENSORS_H
#define PFW_CORE_SAFETENSORS_H

#include <pipefw/stage.h>

#define PFW_ST_F32 0u
#define PFW_ST_F16 1u
#define PFW_ST_BF16 2u
#define PFW_ST_OTHER 3u /**< known to the format, not to us */

struct pfw_st_tensor {
	char *name;
	uint32_t dtype; /**< PFW_ST_* */
	const char *dtype_text; /**< as the format calls it */
	uint32_t n_dims;
	uint64_t dims[PFW_MAX_DIMS]; /**< the first ones, where it has more */
	uint64_t offset; /**< in the file, bytes */
	uint64_t bytes;
	uint32_t file;   /**< index of the file it is in */
};

/** One file, or the shards that an index names. */
struct pfw_st_reader;

/**
 * @p path: a .safetensors file, a .safetensors.index.json, or a folder that
 * holds model.safetensors or model.safetensors.index.json.
 */
int pfw_st_open(const char *path, struct pfw_st_reader **out,
		struct pfw_error *err);
void pfw_st_close(struct pfw_st_reader *r);
size_t pfw_st_count(const struct pfw_st_reader *r);
const struct pfw_st_tensor *pfw_st_get(const struct pfw_st_reader *r, size_t i);
/** NULL: no such tensor. */
const struct pfw_st_tensor *pfw_st_find(const struct pfw_st_reader *r,
					const char *name);
/** -ENOTSUP, with its name: of a type that pfw_st_read_f32() cannot read. */
int pfw_st_check_type(const struct pfw_st_tensor *t, struct pfw_error *err);
/** Elements [from, from + n) as fp32, whatever the file holds. */
int pfw_st_read_f32(const struct pfw_st_reader *r,
		    const struct pfw_st_tensor *t, uint64_t from, uint64_t n,
		    float *out, struct pfw_error *err);

/**
 * Checks a header: @p json (@p len bytes) of a file of @p file_bytes in all.
 * Gives its tensors in the order of their data; the caller's to free with
 * pfw_st_free().
 */
int pfw_st_parse(const char *json, size_t len, uint64_t file_bytes,
		 struct pfw_st_tensor **out, size_t *n, struct pfw_error *err);
void pfw_st_free(struct pfw_st_tensor *tensors, size_t n);

/**
 * A header for fp32 tensors, as the format wants it (same alignment, so sorted
 * by name).  *header is the caller's to free(); it holds the 8 length bytes too.
 * @p offsets [n] are positions in the file, in the order of the input.  Equal
 * input, equal bytes.
 */
int pfw_st_header(const char *const *names, const uint32_t *n_dims,
		  const uint64_t (*dims)[PFW_MAX_DIMS], size_t n,
		  char **header, size_t *header_bytes, uint64_t *offsets,
		  uint64_t *file_bytes, struct pfw_error *err);

#endif
