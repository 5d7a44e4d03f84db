#include "tiny_model.h"

#include <stdio.h>
#include <string.h>

static size_t config_json(void *model, const char *extra, char *buf, size_t len)
{
	(void)model;
	return (size_t)snprintf(buf, len, "{\"model_type\": \"tiny\", %s}\n", extra);
}

static int matches(void *model, const char *param, const char *name)
{
	(void)model;
	if (!param)
		return !strcmp(name, "mask");
	return !strcmp(param, name) ||
	       (!strncmp(name, "old.", 4) && !strcmp(param, name + 4));
}

static const struct pfw_stage_ops ops = {
	.size = sizeof(ops),
	.config_json = config_json,
	.matches = matches,
};

static struct pfw_model_param params[TINY_PARAMS] = {
	{ .info = { .name = "w", .n_dims = 2, .dims = { 2, 3 } }, .elements = 6 },
	{ .info = { .name = "b", .n_dims = 1, .dims = { 3 } }, .elements = 3 },
	{ .info = { .name = "e", .n_dims = 2, .dims = { 4, 1 } }, .elements = 4 },
};

const struct pfw_model tiny_model = {
	.ops = &ops, .params = params, .n_params = TINY_PARAMS, .elements = 13,
};

float tiny_value(uint64_t step, uint32_t param, uint32_t part, uint64_t i)
{
	return (float)(step * 1000 + param * 100 + part * 10 + i);
}

static int write_all(struct pfw_checkpoint_writer *w, uint64_t step,
		     struct pfw_error *err)
{
	float data[6];
	int rc = 0;

	for (uint32_t p = 0; p < TINY_PARAMS; p++)
		for (uint32_t part = 0; part < 3 && !rc; part++) {
			for (uint64_t i = 0; i < params[p].elements; i++)
				data[i] = tiny_value(step, p, part, i);
			rc = pfw_checkpoint_write(w, p, part, 0,
						  params[p].elements, data,
						  err);
		}
	return rc;
}

int tiny_save(const char *run_dir, uint64_t step, struct pfw_error *err)
{
	return tiny_save_with(run_dir, step, NULL, err);
}

int tiny_save_with(const char *run_dir, uint64_t step, const char *tokenizer_dir,
		   struct pfw_error *err)
{
	struct pfw_train_state state = {
		.step = step, .updates = step - 1, .sample = 4 * step,
		.seed = UINT64_MAX, .data = UINT64_MAX - step, .bad_steps = 1,
	};
	struct pfw_checkpoint_writer *w;
	int rc, closed;

	rc = pfw_checkpoint_create(run_dir, &tiny_model, &state, "byte",
				   tokenizer_dir, err);
	if (!rc)
		rc = pfw_checkpoint_open_writer(run_dir, &tiny_model, step, &w, err);
	if (rc)
		return rc;
	rc = write_all(w, step, err);
	closed = pfw_checkpoint_close_writer(w, rc ? NULL : err);
	if (!rc)
		rc = closed;
	return rc ? rc : pfw_checkpoint_commit(run_dir, step, err);
}

int tiny_is_whole(const char *dir, struct pfw_train_state *state, char *note,
		  size_t note_len, struct pfw_error *err)
{
	struct pfw_checkpoint_reader *r;
	float data[6];
	int good = 1;

	if (pfw_checkpoint_open_reader(dir, &tiny_model, state, &r, err))
		return 0;
	snprintf(note, note_len, "%s", pfw_checkpoint_note(r));
	for (uint32_t p = 0; p < TINY_PARAMS; p++)
		for (uint32_t part = 0; part < 3 && good; part++) {
			good = !pfw_checkpoint_read(r, p, part, data, err);
			for (uint64_t i = 0; i < params[p].elements; i++)
				good &= data[i] == tiny_value(state->step, p,
							      part, i);
		}
	pfw_checkpoint_close_reader(r);
	return good && state->seed == UINT64_MAX &&
	       state->data == UINT64_MAX - state->step &&
	       state->updates == state->step - 1 &&
	       state->sample == 4 * state->step && state->bad_steps == 1 &&
	       state->bad_in_row == 0;
}
