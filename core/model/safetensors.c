#include "model/safetensors.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/quoted.h"

/** As the format limits it; an index is held to the same. */
#define MAX_HEADER 100000000u

struct file {
	char *path;
	int fd;
};

struct pfw_st_reader {
	struct file *files;
	size_t n_files, room;
	struct pfw_st_tensor *tensors; /**< sorted by name */
	size_t n;
};

static int read_header(const struct file *f, uint64_t file_bytes,
		       struct pfw_st_tensor **out, size_t *n,
		       struct pfw_error *err)
{
	unsigned char head[8];
	uint64_t len = 0;
	char *json;
	int rc;

	if (file_bytes < 8)
		return pfw_error_set(err, EINVAL,
				     "%s: has %llu bytes, a .safetensors file has 8 at least",
				     f->path, (unsigned long long)file_bytes);
	rc = pfw_file_read(f->fd, f->path, head, 8, 0, err);
	if (rc)
		return rc;
	for (int i = 0; i < 8; i++)
		len |= (uint64_t)head[i] << (8 * i);
	if (len > MAX_HEADER || len > file_bytes - 8)
		return pfw_error_set(err, EINVAL,
				     "%s: tells of a header of %llu bytes; at most %u are taken, and the file has %llu more",
				     f->path, (unsigned long long)len, MAX_HEADER,
				     (unsigned long long)(file_bytes - 8));
	json = malloc((size_t)len + 1);
	if (!json)
		return pfw_error_set(err, ENOMEM,
				     "%s: no memory for its header of %llu bytes",
				     f->path, (unsigned long long)len);
	rc = pfw_file_read(f->fd, f->path, json, (size_t)len, 8, err);
	if (!rc) {
		rc = pfw_st_parse(json, (size_t)len, file_bytes, out, n, err);
		if (rc)
			pfw_error_prefix(err, "%s: ", f->path);
	}
	free(json);
	return rc;
}

static int grow_files(struct pfw_st_reader *r, struct pfw_error *err)
{
	size_t room = r->room ? r->room * 2 : 4;
	struct file *more;

	if (r->n_files < r->room)
		return 0;
	more = realloc(r->files, room * sizeof(*more));
	if (!more)
		return pfw_error_set(err, ENOMEM, "out of memory");
	r->files = more;
	r->room = room;
	return 0;
}

/** Takes the tensors into the reader; they are gone from @p add in any case. */
static int take(struct pfw_st_reader *r, struct pfw_st_tensor *add, size_t n,
		struct pfw_error *err)
{
	struct pfw_st_tensor *more;

	more = realloc(r->tensors, (r->n + n + 1) * sizeof(*more));
	if (!more) {
		pfw_st_free(add, n);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	r->tensors = more;
	for (size_t i = 0; i < n; i++) {
		add[i].file = (uint32_t)(r->n_files - 1);
		r->tensors[r->n++] = add[i];
	}
	free(add);
	return 0;
}

static int add_file(struct pfw_st_reader *r, const char *path,
		    struct pfw_error *err)
{
	struct pfw_st_tensor *tensors;
	struct file *f;
	uint64_t bytes;
	size_t n;
	int rc = grow_files(r, err);

	if (rc)
		return rc;
	f = &r->files[r->n_files];
	f->path = strdup(path);
	if (!f->path)
		return pfw_error_set(err, ENOMEM, "out of memory");
	rc = pfw_file_open(path, &f->fd, &bytes, err);
	if (rc) {
		free(f->path);
		return rc;
	}
	r->n_files++;
	rc = read_header(f, bytes, &tensors, &n, err);
	return rc ? rc : take(r, tensors, n, err);
}

static int compare_tensors(const void *a, const void *b)
{
	const struct pfw_st_tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/** The index of the shard @p name, opened where it is new. */
static int find_shard(struct pfw_st_reader *r, const char *dir,
		      const char *name, uint32_t *out, struct pfw_error *err)
{
	char path[PATH_MAX];
	int rc;

	if (strchr(name, '/') || !*name || *name == '.')
		return pfw_error_set(err, EINVAL,
				     "shard %s: the name of a file in the same folder is wanted",
				     pfw_quote(name).text);
	rc = pfw_path_join(path, sizeof(path), dir, name, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < r->n_files; i++)
		if (!strcmp(r->files[i].path, path)) {
			*out = i;
			return 0;
		}
	*out = (uint32_t)r->n_files;
	return add_file(r, path, err);
}

/** Every tensor is where the map says, and the map names every tensor. */
static int check_map(struct pfw_st_reader *r, const struct pfw_json *map,
		     const uint32_t *shards, struct pfw_error *err)
{
	size_t i = 0;

	qsort(r->tensors, r->n, sizeof(*r->tensors), compare_tensors);
	for (size_t k = 1; k < r->n; k++)
		if (!strcmp(r->tensors[k - 1].name, r->tensors[k].name))
			return pfw_error_set(err, EINVAL,
					     "tensor %s is in two shards",
					     pfw_quote(r->tensors[k].name).text);
	for (const struct pfw_json *m = pfw_json_first(map); m;
	     m = pfw_json_next(map, m), i++) {
		const struct pfw_st_tensor *t = pfw_st_find(r, pfw_json_name(m));

		if (!t || t->file != shards[i])
			return pfw_error_set(err, EINVAL,
					     "tensor %s is not in %s",
					     pfw_quote(pfw_json_name(m)).text,
					     pfw_quote(pfw_json_string(m)).text);
	}
	for (size_t k = 0; k < r->n; k++)
		if (!pfw_json_get(map, r->tensors[k].name))
			return pfw_error_set(err, EINVAL,
					     "tensor %s of a shard is not in weight_map",
					     pfw_quote(r->tensors[k].name).text);
	return 0;
}

static int open_shards(struct pfw_st_reader *r, const char *dir,
		       const struct pfw_json *map, struct pfw_error *err)
{
	uint32_t *shards;
	size_t i = 0;
	int rc = 0;

	if (pfw_json_kind(map) != PFW_JSON_OBJECT || !pfw_json_count(map))
		return pfw_error_set(err, EINVAL,
				     "weight_map is %s, not an object of tensors and files",
				     pfw_json_kind_text(map));
	shards = calloc(pfw_json_count(map), sizeof(*shards));
	if (!shards)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (const struct pfw_json *m = pfw_json_first(map); m && !rc;
	     m = pfw_json_next(map, m), i++) {
		if (pfw_json_string(m))
			rc = find_shard(r, dir, pfw_json_string(m), &shards[i],
					err);
		else
			rc = pfw_error_set(err, EINVAL,
					   "tensor %s: %s is not the name of a file",
					   pfw_quote(pfw_json_name(m)).text,
					   pfw_json_kind_text(m));
	}
	if (!rc)
		rc = check_map(r, map, shards, err);
	free(shards);
	return rc;
}

static int open_index(struct pfw_st_reader *r, const char *path,
		      struct pfw_error *err)
{
	const char *slash = strrchr(path, '/');
	struct pfw_json_doc *doc;
	char dir[PATH_MAX] = ".";
	size_t len;
	char *text;
	int rc;

	rc = pfw_file_load(path, MAX_HEADER, &text, &len, err);
	if (rc)
		return rc;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s",
			 slash == path ? 1 : (int)(slash - path), path);
	rc = pfw_json_parse(text, len, &doc, err);
	free(text);
	if (!rc) {
		rc = open_shards(r, dir,
				 pfw_json_get(pfw_json_root(doc), "weight_map"),
				 err);
		pfw_json_free(doc);
	}
	if (rc)
		pfw_error_prefix(err, "%s: ", path);
	return rc;
}

static int has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n >= m && !strcmp(path + n - m, suffix);
}

/** What a folder holds: one file, or an index of shards. */
static int find_in_folder(const char *dir, char *path, size_t len,
			  struct pfw_error *err)
{
	static const char *const names[] = { "model.safetensors",
					     "model.safetensors.index.json" };

	for (size_t i = 0; i < 2; i++) {
		int rc = pfw_path_join(path, len, dir, names[i], err);

		if (rc)
			return rc;
		if (!access(path, F_OK))
			return 0;
	}
	return pfw_error_set(err, ENOENT,
			     "%s: has neither model.safetensors nor model.safetensors.index.json",
			     dir);
}

static int open_any(struct pfw_st_reader *r, const char *path,
		    struct pfw_error *err)
{
	char inside[PATH_MAX];
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		int rc = find_in_folder(path, inside, sizeof(inside), err);

		if (rc)
			return rc;
		path = inside;
	}
	return has_suffix(path, ".index.json") ? open_index(r, path, err) :
						 add_file(r, path, err);
}

int pfw_st_open(const char *path, struct pfw_st_reader **out,
		struct pfw_error *err)
{
	struct pfw_st_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	rc = open_any(r, path, err);
	if (rc) {
		pfw_st_close(r);
		return rc;
	}
	if (r->n)
		qsort(r->tensors, r->n, sizeof(*r->tensors), compare_tensors);
	*out = r;
	return 0;
}

void pfw_st_close(struct pfw_st_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_files; i++) {
		close(r->files[i].fd);
		free(r->files[i].path);
	}
	free(r->files);
	pfw_st_free(r->tensors, r->n);
	free(r);
}

size_t pfw_st_count(const struct pfw_st_reader *r)
{
	return r->n;
}

const struct pfw_st_tensor *pfw_st_get(const struct pfw_st_reader *r, size_t i)
{
	return &r->tensors[i];
}

const struct pfw_st_tensor *pfw_st_find(const struct pfw_st_reader *r,
					const char *name)
{
	size_t from = 0, to = r->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = strcmp(name, r->tensors[mid].name);

		if (!order)
			return &r->tensors[mid];
		if (order < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

/** Source: IEEE 754: 1 sign, 5 exponent, 10 fraction bits. */
static float half_to_float(uint32_t h)
{
	uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31;
	uint32_t fraction = h & 0x3ff, bits;
	float f;

	if (exponent == 31) {
		bits = sign | 0x7f800000 | fraction << 13;
	} else if (exponent) {
		bits = sign | (exponent + 112) << 23 | fraction << 13;
	} else {
		f = (float)fraction * 0x1p-24f;
		memcpy(&bits, &f, sizeof(bits));
		bits |= sign;
	}
	memcpy(&f, &bits, sizeof(f));
	return f;
}

static float widen(const unsigned char *raw, uint32_t dtype)
{
	uint32_t bits = (uint32_t)raw[0] | (uint32_t)raw[1] << 8;
	float f;

	if (dtype == PFW_ST_F16)
		return half_to_float(bits);
	bits <<= 16;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

int pfw_st_check_type(const struct pfw_st_tensor *t, struct pfw_error *err)
{
	if (t->dtype != PFW_ST_OTHER)
		return 0;
	return pfw_error_set(err, ENOTSUP, "tensor %s is %s; F32, F16 and BF16 "
			     "are read", pfw_quote(t->name).text, t->dtype_text);
}

int pfw_st_read_f32(const struct pfw_st_reader *r,
		    const struct pfw_st_tensor *t, uint64_t from, uint64_t n,
		    float *out, struct pfw_error *err)
{
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
		       "the file's numbers are read as the machine's");
	const struct file *f = &r->files[t->file];
	uint64_t width = t->dtype == PFW_ST_F32 ? 4 : 2;
	unsigned char *raw = (unsigned char *)out + n * (4 - width);
	int rc = pfw_st_check_type(t, err);

	if (rc) {
		pfw_error_prefix(err, "%s: ", f->path);
		return rc;
	}
	if (from > t->bytes / width || n > t->bytes / width - from)
		return pfw_error_set(err, ERANGE,
				     "%s: tensor %s has no elements %llu to %llu",
				     f->path, pfw_quote(t->name).text, (unsigned long long)from,
				     (unsigned long long)(from + n));
	rc = pfw_file_read(f->fd, f->path, raw, n * width,
			   t->offset + from * width, err);
	if (rc || width == 4)
		return rc;
	/* From the end of out to its beginning: nothing is overtaken. */
	for (uint64_t i = 0; i < n; i++)
		out[i] = widen(raw + 2 * i, t->dtype);
	return 0;
}
