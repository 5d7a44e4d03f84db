/* A checkpoint's files: made by one rank, filled by all. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pipefw/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/file.h"
#include "model/ckpt.h"

#define MAX_TOKENIZER_FILE ((size_t)64 << 20)

static int make_folder(const char *path, struct pfw_error *err)
{
	if (mkdir(path, 0777) && errno != EEXIST)
		return pfw_error_set(err, errno, "%s: cannot make the folder: %s",
				     path, strerror(errno));
	return 0;
}

static int make_folders(const char *run_dir, const char *tmp,
			struct pfw_error *err)
{
	const char *const inside[] = { "model", "state" };
	char path[PATH_MAX];
	int rc;

	rc = pfw_path_join(path, sizeof(path), run_dir, "checkpoints", err);
	if (!rc)
		rc = make_folder(path, err);
	if (!rc)
		rc = make_folder(tmp, err);
	for (int i = 0; i < 2 && !rc; i++) {
		rc = pfw_path_join(path, sizeof(path), tmp, inside[i], err);
		if (!rc)
			rc = make_folder(path, err);
	}
	return rc;
}

/** Takes the space now: a full disk is found before a rank has written, where
 * the file system can tell. */
static int reserve(int fd, const char *path, uint64_t bytes,
		   struct pfw_error *err)
{
	int rc = fallocate(fd, 0, 0, (off_t)bytes);

	/* Not posix_fallocate(): it would write a byte to every block. */
	if (rc && (errno == EOPNOTSUPP || errno == ENOSYS))
		rc = ftruncate(fd, (off_t)bytes);
	if (rc)
		return pfw_error_set(err, errno, "%s: no room for its %llu bytes: %s",
				     path, (unsigned long long)bytes,
				     strerror(errno));
	return 0;
}

/** The file at full size, with its header. */
static int make_tensors(const char *tmp, const struct pfw_model *model,
			uint32_t file, uint64_t *bytes, struct pfw_error *err)
{
	struct pfw_ckpt_layout layout;
	char path[PATH_MAX];
	int fd, rc;

	rc = pfw_path_join(path, sizeof(path), tmp, pfw_ckpt_file(file), err);
	if (!rc)
		rc = pfw_ckpt_layout_make(model, file, &layout, err);
	if (rc)
		return rc;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		rc = pfw_error_set(err, errno, "%s: cannot make it: %s", path,
				   strerror(errno));
		goto err_layout;
	}
	rc = pfw_file_write(fd, path, layout.header, layout.header_bytes, 0, err);
	if (!rc)
		rc = reserve(fd, path, layout.bytes, err);
	if (rc)
		close(fd);
	else
		rc = pfw_file_finish(fd, path, err);
	*bytes = layout.bytes;
err_layout:
	pfw_ckpt_layout_free(&layout);
	return rc;
}

/** The stage's text, or our own member alone where it has none. */
static char *config_text(const struct pfw_model *model, const char *tokenizer)
{
	char extra[128], quoted[64], *text;
	size_t len;

	pfw_json_quote(tokenizer, quoted, sizeof(quoted));
	snprintf(extra, sizeof(extra), "\"pipefw\": {\"tokenizer\": %s}", quoted);
	if (!model->ops->config_json) {
		len = strlen(extra) + sizeof("{}\n");
		text = malloc(len);
		if (text)
			snprintf(text, len, "{%s}\n", extra);
		return text;
	}
	len = model->ops->config_json(model->object, extra, NULL, 0) + 1;
	text = malloc(len);
	if (text)
		model->ops->config_json(model->object, extra, text, len);
	return text;
}

static int make_config(const char *tmp, const struct pfw_model *model,
		       const char *tokenizer, uint64_t *bytes,
		       struct pfw_error *err)
{
	char path[PATH_MAX], *text;
	int rc;

	rc = pfw_path_join(path, sizeof(path), tmp,
			   pfw_ckpt_file(PFW_CKPT_CONFIG), err);
	if (rc)
		return rc;
	text = config_text(model, tokenizer);
	if (!text)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	*bytes = strlen(text);
	rc = pfw_file_create(path, text, strlen(text), err);
	free(text);
	return rc;
}

static int copy_tokenizer(const char *tmp, const char *from,
			  struct pfw_error *err)
{
	static const char *const names[] = { "vocab.json", "merges.txt" };
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++) {
		char source[PATH_MAX], model[PATH_MAX], target[PATH_MAX], *text;
		size_t len;

		rc = pfw_path_join(source, sizeof(source), from, names[i], err);
		if (!rc)
			rc = pfw_path_join(model, sizeof(model), tmp, "model", err);
		if (!rc)
			rc = pfw_path_join(target, sizeof(target), model, names[i],
					   err);
		if (!rc)
			rc = pfw_file_load(source, MAX_TOKENIZER_FILE, &text, &len,
					   err);
		if (rc)
			return rc;
		rc = pfw_file_create(target, text, len, err);
		free(text);
	}
	return rc;
}

static int make_files(const char *tmp, const struct pfw_model *model,
		      const struct pfw_train_state *state,
		      const char *tokenizer, const char *tokenizer_dir,
		      struct pfw_error *err)
{
	struct pfw_ckpt_state s = { .train = *state };
	char path[PATH_MAX];
	int rc;

	rc = make_tensors(tmp, model, PFW_CKPT_WEIGHTS,
			  &s.bytes[PFW_CKPT_WEIGHTS], err);
	if (!rc)
		rc = make_tensors(tmp, model, PFW_CKPT_MOMENTS,
				  &s.bytes[PFW_CKPT_MOMENTS], err);
	if (!rc)
		rc = make_config(tmp, model, tokenizer,
				 &s.bytes[PFW_CKPT_CONFIG], err);
	if (!rc && tokenizer_dir)
		rc = copy_tokenizer(tmp, tokenizer_dir, err);
	if (!rc)
		rc = pfw_path_join(path, sizeof(path), tmp, "state/state.json",
				   err);
	if (!rc)
		rc = pfw_ckpt_state_write(path, &s, err);
	return rc ? rc : pfw_ckpt_sums_write(tmp, model, err);
}

int pfw_checkpoint_create(const char *run_dir, const struct pfw_model *model,
			  const struct pfw_train_state *state,
			  const char *tokenizer, const char *tokenizer_dir,
			  struct pfw_error *err)
{
	char tmp[PATH_MAX];
	int rc = pfw_ckpt_path(tmp, run_dir, state->step, ".tmp", err);

	if (rc)
		return rc;
	pfw_ckpt_remove(tmp);
	rc = make_folders(run_dir, tmp, err);
	if (!rc)
		rc = make_files(tmp, model, state, tokenizer, tokenizer_dir, err);
	if (rc)
		pfw_ckpt_remove(tmp);
	return rc;
}

struct pfw_checkpoint_writer {
	const struct pfw_model *model;
	struct open_file {
		char path[PATH_MAX];
		int fd;
		uint64_t ahead; /**< bytes written since the last push */
		struct pfw_ckpt_layout layout;
	} files[2]; /**< PFW_CKPT_WEIGHTS, PFW_CKPT_MOMENTS */
	char sums_path[PATH_MAX];
	int sums_fd;
	struct pfw_ckpt_sums sums;
	struct pfw_sum sum; /**< of the part that is being written */
	uint64_t next;      /**< element of it that is due */
};

static int open_file(struct open_file *f, const char *tmp,
		     const struct pfw_model *model, uint32_t file,
		     struct pfw_error *err)
{
	int rc = pfw_path_join(f->path, sizeof(f->path), tmp,
			       pfw_ckpt_file(file), err);

	if (!rc)
		rc = pfw_ckpt_layout_make(model, file, &f->layout, err);
	if (rc)
		return rc;
	f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
	if (f->fd < 0)
		return pfw_error_set(err, errno, "%s: cannot open it: %s",
				     f->path, strerror(errno));
	return 0;
}

static int open_sums(struct pfw_checkpoint_writer *w, const char *tmp,
		     struct pfw_error *err)
{
	int rc = pfw_path_join(w->sums_path, sizeof(w->sums_path), tmp,
			       PFW_CKPT_SUMS, err);

	if (!rc)
		rc = pfw_ckpt_sums_make(w->model, &w->sums, err);
	if (rc)
		return rc;
	w->sums_fd = open(w->sums_path, O_WRONLY | O_CLOEXEC);
	if (w->sums_fd < 0)
		return pfw_error_set(err, errno, "%s: cannot open it: %s",
				     w->sums_path, strerror(errno));
	return 0;
}

static void free_writer(struct pfw_checkpoint_writer *w)
{
	if (w->sums_fd >= 0)
		close(w->sums_fd);
	pfw_ckpt_sums_free(&w->sums);
	for (int i = 0; i < 2; i++) {
		if (w->files[i].fd >= 0)
			close(w->files[i].fd);
		pfw_ckpt_layout_free(&w->files[i].layout);
	}
	free(w);
}

int pfw_checkpoint_open_writer(const char *run_dir,
			       const struct pfw_model *model, uint64_t step,
			       struct pfw_checkpoint_writer **out,
			       struct pfw_error *err)
{
	struct pfw_checkpoint_writer *w;
	char tmp[PATH_MAX];
	int rc = pfw_ckpt_path(tmp, run_dir, step, ".tmp", err);

	if (rc)
		return rc;
	w = calloc(1, sizeof(*w));
	if (!w)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", tmp);
	w->model = model;
	w->files[0].fd = w->files[1].fd = w->sums_fd = -1;
	for (uint32_t i = 0; i < 2 && !rc; i++)
		rc = open_file(&w->files[i], tmp, model, i, err);
	if (!rc)
		rc = open_sums(w, tmp, err);
	if (rc) {
		free_writer(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* A part's numbers come in order, one part after the other. */
static int add_to_sum(struct pfw_checkpoint_writer *w, uint32_t param,
		      uint32_t part, uint64_t from, uint64_t n,
		      const float *data, struct pfw_error *err)
{
	char digits[PFW_CKPT_DIGITS + 1];

	if (!from)
		pfw_sum_start(&w->sum);
	else
		assert(from == w->next);
	pfw_sum_add(&w->sum, data, n * sizeof(*data));
	w->next = from + n;
	if (w->next < w->model->params[param].elements)
		return 0;
	pfw_ckpt_digits(digits, pfw_sum_end(&w->sum));
	return pfw_file_write(w->sums_fd, w->sums_path, digits, PFW_CKPT_DIGITS,
			      w->sums.lines[3 * (size_t)param + part], err);
}

int pfw_checkpoint_write(struct pfw_checkpoint_writer *w, uint32_t param,
			 uint32_t part, uint64_t from, uint64_t n,
			 const float *data, struct pfw_error *err)
{
	struct open_file *f = &w->files[part == PFW_PART_WEIGHT ?
						PFW_CKPT_WEIGHTS :
						PFW_CKPT_MOMENTS];
	uint32_t tensor = param * f->layout.parts;
	int rc;

	if (part == PFW_PART_MOMENT2)
		tensor++;
	rc = pfw_file_write(f->fd, f->path, data, n * sizeof(*data),
			    f->layout.offsets[tensor] + from * sizeof(*data),
			    err);
	if (!rc)
		rc = add_to_sum(w, param, part, from, n, data, err);
	if (rc)
		return rc;
	f->ahead += n * sizeof(*data);
	if (f->ahead < PFW_PIECE * sizeof(*data))
		return 0;
	f->ahead = 0;
	return pfw_file_push(f->fd, f->path, err);
}

int pfw_checkpoint_close_writer(struct pfw_checkpoint_writer *w,
				struct pfw_error *err)
{
	int rc = 0;

	if (!w)
		return 0;
	for (int i = 0; i < 2 && !rc; i++) {
		rc = pfw_file_finish(w->files[i].fd, w->files[i].path, err);
		w->files[i].fd = -1;
	}
	if (!rc) {
		rc = pfw_file_finish(w->sums_fd, w->sums_path, err);
		w->sums_fd = -1;
	}
	free_writer(w);
	return rc;
}
