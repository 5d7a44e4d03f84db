/*
 * state/checksums: a line for each tensor and for each file besides,
 *
 *    0123456789abcdef  model/model.safetensors: NAME
 *    0123456789abcdef  model/config.json
 *
 * Tensors come first, so that where a line lies follows from the model alone:
 * every rank puts in those of the tensors that it writes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/file.h"
#include "model/ckpt.h"

#define DIGITS PFW_CKPT_DIGITS
#define MAX_SUMS ((size_t)1 << 30)

/* Of a file of tensors only the header counts here. */
static const struct file {
	const char *path, *line;
	int header, may_lack;
} files[] = {
	{ "model/config.json", "model/config.json", 0, 0 },
	{ "state/state.json", "state/state.json", 0, 0 },
	{ "model/model.safetensors", "model/model.safetensors (header)", 1, 0 },
	{ "state/optimizer.safetensors", "state/optimizer.safetensors (header)",
	  1, 0 },
	{ "model/vocab.json", "model/vocab.json", 0, 1 },
	{ "model/merges.txt", "model/merges.txt", 0, 1 },
};

#define N_FILES (sizeof(files) / sizeof(files[0]))

void pfw_ckpt_digits(char out[DIGITS + 1], uint64_t sum)
{
	snprintf(out, DIGITS + 1, "%016llx", (unsigned long long)sum);
}

/* A line for one part of a parameter; its length, also where it does not fit. */
static size_t tensor_line(const struct pfw_model *model, uint32_t param,
			  uint32_t part, char *out, size_t len)
{
	const char *name = model->params[param].info.name;
	uint32_t file = part == PFW_PART_WEIGHT ? PFW_CKPT_WEIGHTS :
						  PFW_CKPT_MOMENTS;

	return (size_t)snprintf(out, len, "%0*d  %s: %s%s\n", (int)DIGITS, 0,
				pfw_ckpt_file(file), name,
				pfw_ckpt_tensor_end(part));
}

int pfw_ckpt_sums_make(const struct pfw_model *model, struct pfw_ckpt_sums *out,
		       struct pfw_error *err)
{
	size_t n = (size_t)model->n_params * 3, at = 0;
	struct pfw_ckpt_sums s;
	char none[1];

	s.lines = calloc(n + 1, sizeof(*s.lines));
	for (size_t i = 0; s.lines && i < n; i++) {
		s.lines[i] = at;
		at += tensor_line(model, (uint32_t)(i / 3), (uint32_t)(i % 3),
				  none, 0);
	}
	s.len = at;
	s.text = malloc(at + 1);
	if (!s.lines || !s.text) {
		pfw_ckpt_sums_free(&s);
		return pfw_error_set(err, ENOMEM,
				     "out of memory for the checksums of %zu "
				     "tensors", n);
	}
	for (size_t i = 0; i < n; i++)
		tensor_line(model, (uint32_t)(i / 3), (uint32_t)(i % 3),
			    s.text + s.lines[i], at + 1 - s.lines[i]);
	*out = s;
	return 0;
}

void pfw_ckpt_sums_free(struct pfw_ckpt_sums *sums)
{
	free(sums->lines);
	free(sums->text);
	sums->lines = NULL;
	sums->text = NULL;
}

static int sum_bytes(int fd, const char *path, uint64_t n, uint64_t *out,
		     struct pfw_error *err)
{
	char block[16384];
	struct pfw_sum sum;
	int rc = 0;

	pfw_sum_start(&sum);
	for (uint64_t at = 0; !rc && at < n; at += sizeof(block)) {
		size_t len = n - at < sizeof(block) ? n - at : sizeof(block);

		rc = pfw_file_read(fd, path, block, len, at, err);
		if (!rc)
			pfw_sum_add(&sum, block, len);
	}
	if (!rc)
		*out = pfw_sum_end(&sum);
	return rc;
}

static int sum_file(const char *dir, const struct file *file, uint64_t *out,
		    struct pfw_error *err)
{
	unsigned char head[8] = { 0 };
	char path[PATH_MAX];
	uint64_t bytes, n = 0;
	int fd, rc;

	rc = pfw_path_join(path, sizeof(path), dir, file->path, err);
	if (!rc)
		rc = pfw_file_open(path, &fd, &bytes, err);
	if (rc)
		return rc;
	if (file->header && bytes > sizeof(head)) {
		rc = pfw_file_read(fd, path, head, sizeof(head), 0, err);
		for (int i = 8; i--;)
			n = n << 8 | head[i];
		if (n < bytes - sizeof(head))
			bytes = sizeof(head) + n;
	}
	if (!rc)
		rc = sum_bytes(fd, path, bytes, out, err);
	close(fd);
	return rc;
}

static int is_there(const char *dir, const struct file *file)
{
	char path[PATH_MAX];

	return !pfw_path_join(path, sizeof(path), dir, file->path, NULL) &&
	       !access(path, F_OK);
}

/* Of the files that are there, behind the tensors' lines. */
static int add_files(const char *dir, char *text, size_t len, size_t *used,
		     struct pfw_error *err)
{
	char digits[DIGITS + 1];
	uint64_t sum;
	int rc = 0;

	for (size_t i = 0; !rc && i < N_FILES; i++) {
		if (files[i].may_lack && !is_there(dir, &files[i]))
			continue;
		rc = sum_file(dir, &files[i], &sum, err);
		if (rc)
			return rc;
		pfw_ckpt_digits(digits, sum);
		*used += (size_t)snprintf(text + *used, len - *used, "%s  %s\n",
					  digits, files[i].line);
	}
	return rc;
}

int pfw_ckpt_sums_write(const char *dir, const struct pfw_model *model,
			struct pfw_error *err)
{
	const size_t room = N_FILES * 128;
	struct pfw_ckpt_sums s;
	char path[PATH_MAX], *text;
	int rc = pfw_path_join(path, sizeof(path), dir, PFW_CKPT_SUMS, err);

	if (!rc)
		rc = pfw_ckpt_sums_make(model, &s, err);
	if (rc)
		return rc;
	text = realloc(s.text, s.len + room);
	if (text) {
		s.text = text;
		rc = add_files(dir, s.text, s.len + room, &s.len, err);
	} else {
		rc = pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	}
	if (!rc)
		rc = pfw_file_create(path, s.text, s.len, err);
	pfw_ckpt_sums_free(&s);
	return rc;
}

static int load(const char *dir, char path[PATH_MAX], char **text, size_t *len,
		struct pfw_error *err)
{
	int rc = pfw_path_join(path, PATH_MAX, dir, PFW_CKPT_SUMS, err);

	return rc ? rc : pfw_file_load(path, MAX_SUMS, text, len, err);
}

/* Of a line "DIGITS  NAME": a tensor's, or that of the file *index. */
static int read_line(const char *line, size_t len, size_t *index)
{
	const char *name = line + DIGITS + 2;

	if (len <= DIGITS + 2)
		return -EINVAL;
	len -= DIGITS + 2;
	*index = N_FILES;
	for (size_t i = 0; i < N_FILES; i++)
		if (len == strlen(files[i].line) &&
		    !memcmp(name, files[i].line, len))
			*index = i;
	return *index < N_FILES || memmem(name, len, ": ", 2) ? 0 : -EINVAL;
}

static int check_file(const char *dir, const struct file *file,
		      const char *line, struct pfw_error *err)
{
	char digits[DIGITS + 1];
	uint64_t sum;
	int rc = sum_file(dir, file, &sum, err);

	if (rc)
		return rc;
	pfw_ckpt_digits(digits, sum);
	if (!memcmp(digits, line, DIGITS) && !memcmp(line + DIGITS, "  ", 2))
		return 0;
	return pfw_error_set(err, EINVAL,
			     "%s/%s: is not what was saved: its checksum is %s, "
			     "%s tells of %.16s", dir, file->path, digits,
			     PFW_CKPT_SUMS, line);
}

int pfw_ckpt_sums_check(const char *dir, struct pfw_error *err)
{
	int seen[N_FILES] = { 0 }, rc;
	char path[PATH_MAX], *text;
	size_t len, index, n;

	rc = load(dir, path, &text, &len, err);
	if (rc)
		return rc;
	for (size_t at = 0; !rc && at < len; at += n + 1) {
		n = strcspn(text + at, "\n");
		if (at + n == len || read_line(text + at, n, &index)) {
			rc = pfw_error_set(err, EINVAL,
					   "%s: is damaged at byte %zu", path, at);
		} else if (index < N_FILES) {
			seen[index] = 1;
			rc = check_file(dir, &files[index], text + at, err);
		}
	}
	for (size_t i = 0; !rc && i < N_FILES; i++)
		if (!seen[i] && is_there(dir, &files[i]))
			rc = pfw_error_set(err, EINVAL,
					   "%s: has no line for %s", path,
					   files[i].line);
	free(text);
	return rc;
}

int pfw_ckpt_sums_read(const char *dir, const struct pfw_model *model,
		       struct pfw_ckpt_sums *out, struct pfw_error *err)
{
	struct pfw_ckpt_sums s;
	char path[PATH_MAX], *text;
	size_t len, n = (size_t)model->n_params * 3;
	int rc = pfw_ckpt_sums_make(model, &s, err);

	if (rc)
		return rc;
	rc = load(dir, path, &text, &len, err);
	if (rc)
		goto err_sums;
	for (size_t i = 0; !rc && i < n; i++) {
		size_t at = s.lines[i] + DIGITS;
		size_t to = i + 1 < n ? s.lines[i + 1] : s.len;

		if (len < s.len || memcmp(text + at, s.text + at, to - at))
			rc = pfw_error_set(err, EINVAL,
					   "%s: line %zu is not that of the "
					   "model's tensor: it is damaged",
					   path, i + 1);
	}
	free(s.text);
	s.text = text;
	if (rc)
		goto err_sums;
	*out = s;
	return 0;

err_sums:
	pfw_ckpt_sums_free(&s);
	return rc;
}
