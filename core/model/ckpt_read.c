/* Reading a checkpoint, or any saved model, into the parameters of a model. */
#include <errno.h>
#include <pipefw/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checksum.h"
#include "base/file.h"
#include "base/quoted.h"
#include "model/ckpt.h"

#define MAX_CONFIG ((size_t)1 << 20)

struct pfw_checkpoint_reader {
	const struct pfw_model *model;
	struct pfw_st_reader *weights, *moments; /**< moments: NULL: not read */
	const struct pfw_st_tensor **tensors[3]; /**< [n_params] by PFW_PART_* */
	char checkpoint[PATH_MAX];               /**< "": it is none */
	struct pfw_ckpt_sums sums;               /**< of a checkpoint's tensors */
	char note[sizeof(((struct pfw_error *)0)->text) + 256];
};

/** Where to read, from what the user gave. */
struct place {
	char weights[PATH_MAX], moments[PATH_MAX]; /**< moments: "": none */
	char checkpoint[PATH_MAX];                 /**< "": none */
	struct pfw_ckpt_state state;
	char note[sizeof(((struct pfw_error *)0)->text) + 256];
};

static int is_there(const char *dir, const char *name)
{
	struct stat st;
	char path[PATH_MAX];

	return !pfw_path_join(path, sizeof(path), dir, name, NULL) &&
	       !stat(path, &st);
}

static int copy_path(char out[PATH_MAX], const char *path,
		     struct pfw_error *err)
{
	if (snprintf(out, PATH_MAX, "%s", path) >= PATH_MAX)
		return pfw_error_set(err, ENAMETOOLONG, "%s: path too long",
				     path);
	return 0;
}

/** A run's folder, a checkpoint's, one with a model/, or a model itself. */
static int find_place(const char *dir, int with_state, struct place *p,
		      struct pfw_error *err)
{
	char *path = p->checkpoint;
	int rc;

	p->note[0] = p->moments[0] = p->checkpoint[0] = '\0';
	if (is_there(dir, "checkpoints")) {
		rc = pfw_ckpt_find(dir, path, &p->state, p->note,
				   sizeof(p->note), err);
	} else if (with_state || is_there(dir, "state/state.json")) {
		rc = copy_path(path, dir, err);
		if (!rc)
			rc = pfw_ckpt_check(dir, &p->state, err);
	} else if (is_there(dir, "model")) {
		return pfw_path_join(p->weights, PATH_MAX, dir, "model", err);
	} else {
		return copy_path(p->weights, dir, err);
	}
	if (!rc)
		rc = pfw_path_join(p->weights, PATH_MAX, path, "model", err);
	if (!rc)
		rc = pfw_path_join(p->moments, PATH_MAX, path,
				   pfw_ckpt_file(PFW_CKPT_MOMENTS), err);
	return rc;
}

static void shape_text(uint32_t n_dims, const uint64_t *dims, char *out,
		       size_t len)
{
	size_t n = 0;

	snprintf(out, len, "%s", n_dims ? "" : "a single number");
	for (uint32_t i = 0; i < n_dims && i < PFW_MAX_DIMS && n < len; i++)
		n += (size_t)snprintf(out + n, len - n, "%s%llu", i ? " x " : "",
				      (unsigned long long)dims[i]);
	if (n_dims > PFW_MAX_DIMS && n < len)
		snprintf(out + n, len - n, " x ...");
}

static int check_shape(const struct pfw_st_tensor *t, const struct pfw_param *p,
		       struct pfw_error *err)
{
	char found[128], want[128];

	if (t->n_dims == p->n_dims &&
	    !memcmp(t->dims, p->dims, p->n_dims * sizeof(*p->dims)))
		return 0;
	shape_text(t->n_dims, t->dims, found, sizeof(found));
	shape_text(p->n_dims, p->dims, want, sizeof(want));
	return pfw_error_set(err, EINVAL, "tensor %s is %s, the model's is %s",
			     pfw_quote(t->name).text, found, want);
}

/** Is the tensor @p name of a foreign file this parameter?  NULL: is it none? */
static int is_param(const struct pfw_model *model, const char *param,
		    const char *name)
{
	if (model->ops->matches)
		return model->ops->matches(model->object, param, name);
	return param && !strcmp(param, name);
}

/** Gives each tensor of the file its parameter. */
static int match_weights(struct pfw_checkpoint_reader *r, struct pfw_error *err)
{
	const struct pfw_st_tensor **found = r->tensors[PFW_PART_WEIGHT];
	const struct pfw_model *model = r->model;

	for (size_t i = 0; i < pfw_st_count(r->weights); i++) {
		const struct pfw_st_tensor *t = pfw_st_get(r->weights, i);
		uint32_t p = 0;

		while (p < model->n_params &&
		       !is_param(model, model->params[p].info.name, t->name))
			p++;
		if (p == model->n_params && is_param(model, NULL, t->name))
			continue;
		if (p == model->n_params)
			return pfw_error_set(err, EINVAL,
					     "tensor %s is no parameter of the model",
					     pfw_quote(t->name).text);
		if (found[p])
			return pfw_error_set(err, EINVAL,
					     "tensors %s and %s are the same parameter",
					     pfw_quote(found[p]->name).text,
					     pfw_quote(t->name).text);
		found[p] = t;
	}
	return 0;
}

/** Moments have our own names only, and nothing else beside them. */
static int match_moments(struct pfw_checkpoint_reader *r, struct pfw_error *err)
{
	size_t want = (size_t)r->model->n_params * 2;

	for (uint32_t part = PFW_PART_MOMENT1; part <= PFW_PART_MOMENT2; part++)
		for (uint32_t p = 0; p < r->model->n_params; p++) {
			char *name = pfw_ckpt_tensor(
				r->model->params[p].info.name, part);

			if (!name)
				return pfw_error_set(err, ENOMEM, "out of memory");
			r->tensors[part][p] = pfw_st_find(r->moments, name);
			free(name);
		}
	if (pfw_st_count(r->moments) > want)
		return pfw_error_set(err, EINVAL,
				     "%zu tensors, the model has %zu moments",
				     pfw_st_count(r->moments), want);
	return 0;
}

static int check_part(const struct pfw_checkpoint_reader *r, uint32_t part,
		      struct pfw_error *err)
{
	static const char *const what[] = { "", "first moment of ",
					    "second moment of " };

	for (uint32_t p = 0; p < r->model->n_params; p++) {
		const struct pfw_param *param = &r->model->params[p].info;
		const struct pfw_st_tensor *t = r->tensors[part][p];
		int rc;

		if (!t)
			return pfw_error_set(err, ENOENT,
					     "the %sparameter \"%s\" is missing",
					     what[part], param->name);
		rc = pfw_st_check_type(t, err);
		if (!rc)
			rc = check_shape(t, param, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int open_files(struct pfw_checkpoint_reader *r, const struct place *p,
		      int with_state, struct pfw_error *err)
{
	int rc = pfw_st_open(p->weights, &r->weights, err);

	if (rc)
		return rc;
	rc = match_weights(r, err);
	if (!rc)
		rc = check_part(r, PFW_PART_WEIGHT, err);
	if (rc) {
		pfw_error_prefix(err, "%s: ", p->weights);
		return rc;
	}
	if (!with_state)
		return 0;
	rc = pfw_st_open(p->moments, &r->moments, err);
	if (rc)
		return rc;
	rc = match_moments(r, err);
	if (!rc)
		rc = check_part(r, PFW_PART_MOMENT1, err);
	if (!rc)
		rc = check_part(r, PFW_PART_MOMENT2, err);
	if (rc)
		pfw_error_prefix(err, "%s: ", p->moments);
	return rc;
}

int pfw_checkpoint_open_reader(const char *dir, const struct pfw_model *model,
			       struct pfw_train_state *state,
			       struct pfw_checkpoint_reader **out,
			       struct pfw_error *err)
{
	struct pfw_checkpoint_reader *r;
	struct place place;
	int rc = find_place(dir, state != NULL, &place, err);

	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", dir);
	r->model = model;
	snprintf(r->note, sizeof(r->note), "%s", place.note);
	for (int i = 0; i < 3; i++) {
		r->tensors[i] = calloc(model->n_params, sizeof(*r->tensors[i]));
		if (!r->tensors[i]) {
			rc = pfw_error_set(err, ENOMEM, "%s: out of memory", dir);
			goto err_close;
		}
	}
	rc = open_files(r, &place, state != NULL, err);
	if (!rc && *place.checkpoint)
		rc = pfw_ckpt_sums_read(place.checkpoint, model, &r->sums, err);
	if (rc)
		goto err_close;
	memcpy(r->checkpoint, place.checkpoint, sizeof(r->checkpoint));
	if (state)
		*state = place.state.train;
	*out = r;
	return 0;

err_close:
	pfw_checkpoint_close_reader(r);
	return rc;
}

/* Our own files hold fp32, so what was read is what lies there. */
static int check_sum(const struct pfw_checkpoint_reader *r, uint32_t param,
		     uint32_t part, const float *data, struct pfw_error *err)
{
	const char *line = r->sums.text + r->sums.lines[3 * (size_t)param + part];
	char digits[PFW_CKPT_DIGITS + 1];
	struct pfw_sum sum;

	pfw_sum_start(&sum);
	pfw_sum_add(&sum, data,
		    r->model->params[param].elements * sizeof(*data));
	pfw_ckpt_digits(digits, pfw_sum_end(&sum));
	if (!memcmp(digits, line, PFW_CKPT_DIGITS))
		return 0;
	return pfw_error_set(err, EINVAL,
			     "%s/%s: tensor %s is not what was saved: its "
			     "checksum is %s, %s tells of %.16s; put back a copy "
			     "of the folder, or go on from another one beside it "
			     "(run.resume)",
			     r->checkpoint,
			     pfw_ckpt_file(part == PFW_PART_WEIGHT ?
						   PFW_CKPT_WEIGHTS :
						   PFW_CKPT_MOMENTS),
			     pfw_quote(r->tensors[part][param]->name).text,
			     digits, PFW_CKPT_SUMS, line);
}

int pfw_checkpoint_read(struct pfw_checkpoint_reader *r, uint32_t param,
			uint32_t part, float *data, struct pfw_error *err)
{
	const struct pfw_st_tensor *t = r->tensors[part][param];
	int rc = pfw_st_read_f32(part == PFW_PART_WEIGHT ? r->weights :
							   r->moments,
				 t, 0, r->model->params[param].elements, data,
				 err);

	return !rc && r->sums.text ? check_sum(r, param, part, data, err) : rc;
}

void pfw_checkpoint_close_reader(struct pfw_checkpoint_reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < 3; i++)
		free(r->tensors[i]);
	pfw_ckpt_sums_free(&r->sums);
	pfw_st_close(r->moments);
	pfw_st_close(r->weights);
	free(r);
}

const char *pfw_checkpoint_note(const struct pfw_checkpoint_reader *r)
{
	return r->note;
}

int pfw_checkpoint_model_dir(const char *dir, char *out, size_t len,
			     struct pfw_error *err)
{
	struct place place;
	struct stat st;
	int rc = find_place(dir, 0, &place, err);

	if (rc)
		return rc;
	if (stat(place.weights, &st))
		return pfw_error_set(err, errno, "%s: cannot find it: %s", dir,
				     strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return pfw_error_set(err, ENOTDIR,
				     "%s: is a file where a model's folder is wanted",
				     dir);
	if (strlen(place.weights) >= len)
		return pfw_error_set(err, ENAMETOOLONG, "%s: path too long", dir);
	memcpy(out, place.weights, strlen(place.weights) + 1);
	return 0;
}

int pfw_checkpoint_config(const char *model_dir, char *stage, size_t stage_len,
			  char *tokenizer, size_t tokenizer_len,
			  struct pfw_error *err)
{
	const struct pfw_json *root;
	struct pfw_json_doc *doc;
	const char *name, *type;
	char path[PATH_MAX], *text;
	size_t n;
	int rc;

	rc = pfw_path_join(path, sizeof(path), model_dir, "config.json", err);
	if (!rc)
		rc = pfw_file_load(path, MAX_CONFIG, &text, &n, err);
	if (rc)
		return rc;
	rc = pfw_json_parse(text, n, &doc, err);
	free(text);
	if (rc) {
		pfw_error_prefix(err, "%s: ", path);
		return rc;
	}
	root = pfw_json_root(doc);
	type = pfw_json_string(pfw_json_get(root, "model_type"));
	name = pfw_json_string(pfw_json_get(pfw_json_get(root, "pipefw"),
					    "tokenizer"));
	snprintf(stage, stage_len, "%s", type ? type : "");
	snprintf(tokenizer, tokenizer_len, "%s", name ? name : "");
	pfw_json_free(doc);
	return 0;
}
