/*
 * Saves a gpt2 model with the rig's weights as a run would, and computes the loss and the
 * gradients of a saved one, for the comparison with transformers:
 *
 *   gpt2_grads new DIR NAME=VALUE...        DIR/model is the model
 *   gpt2_grads grads MODEL TOKENS BATCH SEQ OUT
 *
 * TOKENS: int32 [2, BATCH, SEQ], tokens and then targets.  OUT is a
 * .safetensors file: the mean loss as "loss", and the gradients by name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/checkpoint.h"
#include "stages/rig.h"

static int fail(const char *what, const struct pfw_error *err)
{
	fprintf(stderr, "gpt2_grads: %s: %s\n", what, err->text);
	return 1;
}

static int save_weights(const struct pfw_rig *r, const char *dir,
			struct pfw_error *err)
{
	const struct pfw_model *m = r->model;
	struct pfw_checkpoint_writer *w;
	int rc = pfw_checkpoint_open_writer(dir, m, 0, &w, err);
	int closed;

	if (rc)
		return rc;
	for (uint32_t i = 0; i < m->n_params && !rc; i++)
		for (uint32_t part = 0; part <= PFW_PART_MOMENT2 && !rc; part++)
			rc = pfw_checkpoint_write(w, i, part, 0,
						  m->params[i].elements,
						  r->weights[i], err);
	closed = pfw_checkpoint_close_writer(w, rc ? NULL : err);
	return rc ? rc : closed;
}

static int save(const struct pfw_rig *r, const char *dir, struct pfw_error *err)
{
	const struct pfw_train_state state = { .seed = 1 };
	int rc = pfw_checkpoint_create(dir, r->model, &state, "byte", NULL,
				       err);

	if (!rc)
		rc = save_weights(r, dir, err);
	if (!rc)
		rc = pfw_checkpoint_commit(dir, 0, err);
	return rc;
}

static int load(struct pfw_rig *r, const char *dir, struct pfw_error *err)
{
	struct pfw_checkpoint_reader *reader;
	int rc = pfw_checkpoint_open_reader(dir, r->model, NULL, &reader, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < r->model->n_params && !rc; i++)
		rc = pfw_checkpoint_read(reader, i, PFW_PART_WEIGHT,
					 r->weights[i], err);
	pfw_checkpoint_close_reader(reader);
	return rc;
}

/* The rig's options, from a config.json. */
struct options {
	char text[5][64];
	uint32_t n;
};

static int collect(void *ctx, const char *name, const char *value,
		   struct pfw_error *err)
{
	struct options *o = ctx;

	if (o->n == 5)
		return pfw_error_set(err, E2BIG, "more than 5 options");
	snprintf(o->text[o->n++], sizeof(o->text[0]), "%s=%s", name, value);
	return 0;
}

static int read_config(const char *dir, const struct pfw_loaded *gpt2,
		       struct options *out, struct pfw_error *err)
{
	char path[4096], *text;
	size_t len;
	int rc = pfw_path_join(path, sizeof(path), dir, "config.json", err);

	if (!rc)
		rc = pfw_file_load(path, 1 << 20, &text, &len, err);
	if (rc)
		return rc;
	rc = gpt2->ops.stage.from_config_json(text, len, collect, out, err);
	free(text);
	return rc;
}

/* Adds up the uses of each parameter, in the gradients of its first. */
static void sum_uses(const struct pfw_rig *r)
{
	const struct pfw_model *m = r->model;

	for (uint32_t u = 0; u < m->n_uses; u++) {
		const struct pfw_model_param *p = &m->params[m->uses[u].param];

		for (uint64_t k = 0; k < p->elements && u != p->first_use; k++)
			r->grads[p->first_use][k] += r->grads[u][k];
	}
}

/* What the file holds: the gradients, and the loss last. */
struct table {
	const char **names;
	uint32_t *n_dims;
	uint64_t (*dims)[PFW_MAX_DIMS];
	uint64_t *offsets;
	size_t n;
};

static void make_table(struct table *t, const struct pfw_model *m)
{
	t->n = m->n_params + 1u;
	t->names = calloc(t->n, sizeof(*t->names));
	t->n_dims = calloc(t->n, sizeof(*t->n_dims));
	t->dims = calloc(t->n, sizeof(*t->dims));
	t->offsets = calloc(t->n, sizeof(*t->offsets));
	if (!t->names || !t->n_dims || !t->dims || !t->offsets)
		abort();
	for (size_t i = 0; i + 1 < t->n; i++) {
		t->names[i] = m->params[i].info.name;
		t->n_dims[i] = m->params[i].info.n_dims;
		memcpy(t->dims[i], m->params[i].info.dims, sizeof(t->dims[i]));
	}
	t->names[t->n - 1] = "loss";
	t->n_dims[t->n - 1] = 1;
	t->dims[t->n - 1][0] = 1;
}

static void free_table(struct table *t)
{
	free(t->offsets);
	free(t->dims);
	free(t->n_dims);
	free(t->names);
}

static int write_file(const char *path, const struct pfw_rig *r, float loss,
		      struct pfw_error *err)
{
	const struct pfw_model *m = r->model;
	size_t header_bytes;
	uint64_t file_bytes;
	struct table t;
	char *header = NULL;
	FILE *f;
	int rc;

	make_table(&t, m);
	rc = pfw_st_header(t.names, t.n_dims,
			   (const uint64_t (*)[PFW_MAX_DIMS])t.dims, t.n,
			   &header, &header_bytes, t.offsets, &file_bytes, err);
	f = rc ? NULL : fopen(path, "wb");
	if (f) {
		fwrite(header, 1, header_bytes, f);
		for (size_t i = 0; i + 1 < t.n; i++) {
			fseek(f, (long)t.offsets[i], SEEK_SET);
			fwrite(r->grads[m->params[i].first_use], sizeof(float),
			       m->params[i].elements, f);
		}
		fseek(f, (long)t.offsets[t.n - 1], SEEK_SET);
		fwrite(&loss, sizeof(loss), 1, f);
	}
	if (!rc && (!f || ferror(f) | fclose(f)))
		rc = pfw_error_set(err, EIO, "%s: not written", path);
	free(header);
	free_table(&t);
	return rc;
}

static int32_t *read_tokens(const char *path, uint32_t n)
{
	int32_t *tokens = calloc(n, sizeof(*tokens));
	FILE *f = fopen(path, "rb");

	if (!tokens || !f || fread(tokens, sizeof(*tokens), n, f) != n) {
		free(tokens);
		tokens = NULL;
	}
	if (f)
		fclose(f);
	return tokens;
}

static int make_new(const struct pfw_loaded *gpt2, const struct pfw_rig_device *on,
		    int argc, char **argv)
{
	struct rig_setup setup = { .batch = 1, .seq = 1 };
	struct pfw_error err = { 0 };
	struct pfw_rig r;
	int rc;

	for (int i = 1; i < argc && i < 6; i++)
		setup.options[i - 1] = argv[i];
	rig_open(&r, gpt2, on, &setup);
	rc = save(&r, argv[0], &err);
	pfw_rig_close(&r);
	return rc ? fail(argv[0], &err) : 0;
}

static int make_grads(const struct pfw_loaded *gpt2, const struct pfw_rig_device *on,
		      char **argv)
{
	struct rig_setup setup = {
		.batch = (uint32_t)strtoul(argv[2], NULL, 10),
		.seq = (uint32_t)strtoul(argv[3], NULL, 10) };
	const uint32_t n = setup.batch * setup.seq;
	int32_t *tokens = read_tokens(argv[1], 2 * n);
	struct options options = { .n = 0 };
	struct pfw_error err = { 0 };
	struct pfw_rig r;
	double loss;
	int rc;

	if (!tokens)
		return fail(argv[1], &err);
	rc = read_config(argv[0], gpt2, &options, &err);
	if (rc)
		return fail(argv[0], &err);
	for (uint32_t i = 0; i < options.n; i++)
		setup.options[i] = options.text[i];
	rig_open(&r, gpt2, on, &setup);
	rc = load(&r, argv[0], &err);
	if (!rc) {
		loss = pfw_rig_train(&r, tokens, tokens + n, 1, PFW_RIG_BACKWARD) / n;
		sum_uses(&r);
		rc = write_file(argv[4], &r, (float)loss, &err);
	}
	pfw_rig_close(&r);
	free(tokens);
	return rc ? fail(argv[0], &err) : 0;
}

int main(int argc, char **argv)
{
	struct pfw_registry *registry;
	const struct pfw_loaded *gpt2;
	struct pfw_rig_device subjects[MAX_SUBJECTS], *on;
	struct pfw_error err = { 0 };
	uint32_t n;
	int rc = 2;

	if (pfw_registry_open(NULL, &registry, &err) ||
	    pfw_registry_get(registry, PFW_KIND_STAGE, "gpt2", &gpt2, &err))
		return fail("gpt2", &err);
	n = subjects_open(registry, 2, subjects);
	on = &subjects[n > 1]; /* cpu with fp32 where it is built */
	if (argc > 3 && !strcmp(argv[1], "new"))
		rc = make_new(gpt2, on, argc - 2, argv + 2);
	else if (argc == 7 && !strcmp(argv[1], "grads"))
		rc = make_grads(gpt2, on, argv + 2);
	else
		fprintf(stderr, "usage: see the head of gpt2_grads.c\n");
	subjects_close(subjects, n);
	pfw_registry_close(registry);
	return rc;
}
