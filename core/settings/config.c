#include "settings/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/read.h"

/* Keys that may stand outside of their group as well. */
static const struct outside {
	const char *name;
	uint32_t group;
} outside[] = {
	{ "init", PFW_GROUP_RUN },
	{ "resume", PFW_GROUP_RUN },
	{ "ranks_per_process", PFW_GROUP_PIPELINE },
};

#define N_OUTSIDE (sizeof(outside) / sizeof(outside[0]))

const config_setting_t *pfw_config_find(const struct pfw_config *cfg,
					const char *path)
{
	const config_setting_t *s = pfw_tree_find(cfg->tree, path);
	const char *name = strchr(path, '.');

	for (size_t i = 0; !s && name && i < N_OUTSIDE; i++)
		if (!strcmp(name + 1, outside[i].name))
			s = pfw_tree_find(cfg->tree, name + 1);
	return s;
}

static const struct pfw_group *group_at(uint32_t index)
{
	size_t n;

	return &pfw_config_groups(&n)[index];
}

const char *pfw_config_group_of(const char *name)
{
	for (size_t i = 0; i < N_OUTSIDE; i++)
		if (!strcmp(name, outside[i].name))
			return group_at(outside[i].group)->name;
	return NULL;
}

static config_setting_t *group_setting(const struct pfw_reader *r,
				       uint32_t index)
{
	return config_setting_get_member(pfw_tree_root(r->tree),
					 group_at(index)->name);
}

/* Groups whose other members are a plugin's. */
static int shares(uint32_t group)
{
	return group == PFW_GROUP_MODEL || group == PFW_GROUP_TRANSPORT ||
	       group == PFW_GROUP_DEVICE;
}

/* Keys that choose plugins are read with the plugins. */
static int is_choice(uint32_t group, const char *name)
{
	switch (group) {
	case PFW_GROUP_MODEL:
		return !strcmp(name, "stage");
	case PFW_GROUP_PIPELINE:
		return !strcmp(name, "schedule");
	case PFW_GROUP_TRANSPORT:
		return !strcmp(name, "name") || !strcmp(name, "local") ||
		       !strcmp(name, "remote");
	case PFW_GROUP_DEVICE:
		return !strcmp(name, "name") || !strcmp(name, "except");
	}
	return 0;
}

static int read_member(struct pfw_reader *r, uint32_t group,
		       const config_setting_t *s, struct pfw_values *values)
{
	const struct pfw_group *g = group_at(group);
	const struct pfw_table table = { g->options, g->n_options };
	uint32_t index = pfw_option_find(g->options, g->n_options,
					 config_setting_name(s));

	if (is_choice(group, config_setting_name(s)))
		return 0;
	if (index != PFW_NONE)
		return pfw_read_value(r, g->name, s, index, values);
	return shares(group) ? 0 : pfw_read_unknown(r, g->name, s, &table, 1);
}

static int read_group(struct pfw_reader *r, uint32_t group,
		      struct pfw_values *values)
{
	const config_setting_t *s = group_setting(r, group);
	int rc = 0;

	if (!s || (shares(group) && !config_setting_is_group(s)))
		return 0;
	if (!config_setting_is_group(s))
		return pfw_tree_refuse(r->tree, s, r->err, EINVAL, "%s must be a "
				       "group: %s = { ... };",
				       group_at(group)->name,
				       group_at(group)->name);
	for (unsigned i = 0; i < (unsigned)config_setting_length(s) && !rc; i++)
		rc = read_member(r, group, config_setting_get_elem(s, i),
				 values);
	return rc;
}

static int read_outside(struct pfw_reader *r, const struct outside *o,
			const config_setting_t *s, struct pfw_config *cfg)
{
	const struct pfw_group *g = group_at(o->group);
	uint32_t index = pfw_option_find(g->options, g->n_options, o->name);
	struct pfw_values *values = cfg->groups[o->group];

	if (values->v[index].state == PFW_VALUE_GIVEN)
		return pfw_tree_refuse(r->tree, s, r->err, EINVAL, "%s is also "
				       "given as %s.%s; leave one out", o->name,
				       g->name, o->name);
	return pfw_read_value(r, g->name, s, index, values);
}

/* The keys outside of groups; every group has been read. */
static int read_top(struct pfw_reader *r, struct pfw_config *cfg)
{
	const config_setting_t *root = pfw_tree_root(r->tree), *s;
	struct pfw_option names[PFW_N_GROUPS + N_OUTSIDE];
	const struct pfw_table table = { names, PFW_N_GROUPS + N_OUTSIDE };
	uint32_t at;
	int rc = 0;

	for (uint32_t i = 0; i < PFW_N_GROUPS; i++)
		names[i].name = group_at(i)->name;
	for (uint32_t i = 0; i < N_OUTSIDE; i++)
		names[PFW_N_GROUPS + i].name = outside[i].name;
	for (unsigned i = 0; i < (unsigned)config_setting_length(root) && !rc;
	     i++) {
		s = config_setting_get_elem(root, i);
		at = pfw_option_find(names, table.n, config_setting_name(s));
		if (at == PFW_NONE)
			return pfw_read_unknown(r, "the config", s, &table, 1);
		if (at >= PFW_N_GROUPS)
			rc = read_outside(r, &outside[at - PFW_N_GROUPS], s,
					  cfg);
	}
	return rc;
}

static int read_groups(struct pfw_reader *r, struct pfw_config *cfg)
{
	const struct pfw_group *g;
	int rc = 0;

	for (uint32_t i = 0; i < PFW_N_GROUPS && !rc; i++) {
		g = group_at(i);
		rc = pfw_values_new(g->options, g->n_options, &cfg->groups[i],
				    r->err);
		if (!rc)
			rc = read_group(r, i, cfg->groups[i]);
	}
	return rc ? rc : read_top(r, cfg);
}

static const char *def_of(uint32_t group, const char *name)
{
	const struct pfw_group *g = group_at(group);

	return g->options[pfw_option_find(g->options, g->n_options, name)].def;
}

static int read_model(struct pfw_reader *r, struct pfw_config *cfg)
{
	static const struct pfw_table none = { NULL, 0 };
	const config_setting_t *s = group_setting(r, PFW_GROUP_MODEL);
	const char *saved = cfg->run.resume ? cfg->run.resume : cfg->run.init;
	int rc;

	if (!s)
		return pfw_tree_refuse(r->tree, NULL, r->err, EINVAL, "there is "
				       "no model; it must be a group like model "
				       "= { stage = \"gpt2\"; ... };");
	rc = pfw_read_choice(r, PFW_KIND_STAGE, "model", "stage", s, NULL,
			     &none, &cfg->model);
	if (!rc && saved)
		rc = pfw_read_saved_model(r, saved, &cfg->model);
	return rc ? rc : pfw_read_missing(r, "model", s, cfg->model.values);
}

static int read_plugins(struct pfw_reader *r, struct pfw_config *cfg)
{
	const struct pfw_group *device = group_at(PFW_GROUP_DEVICE);
	const struct pfw_table of_device = { device->options,
					     device->n_options };
	const config_setting_t *s = group_setting(r, PFW_GROUP_PIPELINE);
	int rc;

	if (s)
		s = config_setting_get_member(s, "schedule");
	rc = pfw_read_schedule(r, s, def_of(PFW_GROUP_PIPELINE, "schedule"),
			       &cfg->schedule, &cfg->schedule_file);
	if (!rc)
		rc = pfw_read_transport(r,
					group_setting(r, PFW_GROUP_TRANSPORT),
					def_of(PFW_GROUP_TRANSPORT, "name"),
					&cfg->transport, &cfg->remote);
	s = group_setting(r, PFW_GROUP_DEVICE);
	if (!rc)
		rc = pfw_read_devices(r, s, def_of(PFW_GROUP_DEVICE, "name"),
				      &of_device, cfg);
	return rc;
}

static char *text_of(const struct pfw_values *v, const char *name)
{
	uint32_t i = pfw_option_find(v->options, v->n, name);

	return v->v[i].s;
}

/* From the checked values to the struct. */
static void fill(struct pfw_config *cfg)
{
	const struct pfw_values *run = cfg->groups[PFW_GROUP_RUN];
	const struct pfw_values *pipe = cfg->groups[PFW_GROUP_PIPELINE];
	const struct pfw_values *data = cfg->groups[PFW_GROUP_DATA];
	const struct pfw_values *device = cfg->groups[PFW_GROUP_DEVICE];
	const char *dtype = text_of(device, "dtype");

	cfg->run.steps = pfw_value_int(run, "steps");
	cfg->run.seed = (uint64_t)pfw_value_int(run, "seed");
	cfg->run.out = text_of(run, "out");
	cfg->run.timeout = pfw_value_float(run, "timeout");
	cfg->run.save_every = pfw_value_int(run, "save_every");
	cfg->run.init = text_of(run, "init");
	cfg->run.resume = text_of(run, "resume");
	cfg->run.max_bad_steps = pfw_value_int(run, "max_bad_steps");
	cfg->pipeline.ranks = (uint32_t)pfw_value_int(pipe, "ranks");
	cfg->pipeline.chunks = (uint32_t)pfw_value_int(pipe, "chunks");
	cfg->pipeline.microbatches =
		(uint32_t)pfw_value_int(pipe, "microbatches");
	cfg->pipeline.microbatch_size =
		(uint32_t)pfw_value_int(pipe, "microbatch_size");
	cfg->pipeline.ranks_per_process =
		(uint32_t)pfw_value_int(pipe, "ranks_per_process");
	cfg->pipeline.layout = text_of(pipe, "layout");
	cfg->pipeline.cost_from = text_of(pipe, "cost_from");
	cfg->pipeline.memory_cap = (uint32_t)pfw_value_int(pipe, "memory_cap");
	cfg->pipeline.order_any = !strcmp(text_of(pipe, "order"), "any");
	cfg->dtype = strcmp(dtype, "bf16") ? PFW_F32 : PFW_BF16;
	cfg->stochastic = !strcmp(text_of(device, "rounding"), "stochastic");
	cfg->threads = (uint32_t)pfw_value_int(device, "threads");
	cfg->data.train = text_of(data, "train");
	cfg->data.validation_file = text_of(data, "validation_file");
	cfg->data.tokenizer = text_of(data, "tokenizer");
	cfg->data.tokenizer_dir = text_of(data, "tokenizer_dir");
	cfg->data.validation = pfw_value_float(data, "validation");
	cfg->data.eval_every = pfw_value_int(data, "eval_every");
	cfg->data.eval_batches = pfw_value_int(data, "eval_batches");
}

static int fill_optimizer(struct pfw_reader *r, struct pfw_config *cfg)
{
	const struct pfw_values *v = cfg->groups[PFW_GROUP_OPTIMIZER];
	const config_setting_t *s = group_setting(r, PFW_GROUP_OPTIMIZER);
	char found[64];
	uint32_t n;

	cfg->optimizer.lr = pfw_value_float(v, "lr");
	cfg->optimizer.min_lr = pfw_value_set(v, "min_lr") ?
				pfw_value_float(v, "min_lr") :
				cfg->optimizer.lr / 10;
	cfg->optimizer.warmup = pfw_value_int(v, "warmup");
	cfg->optimizer.decay_steps = pfw_value_int(v, "decay_steps");
	cfg->optimizer.weight_decay = pfw_value_float(v, "weight_decay");
	cfg->optimizer.epsilon = pfw_value_float(v, "epsilon");
	cfg->optimizer.clip = pfw_value_float(v, "clip");
	cfg->optimizer.beta1 = pfw_value_floats(v, "betas", 0, &n);
	cfg->optimizer.beta2 = pfw_value_floats(v, "betas", 1, NULL);
	if (n != 2)
		snprintf(found, sizeof(found), "%u number%s", n,
			 n == 1 ? "" : "s");
	else
		snprintf(found, sizeof(found), "[%g, %g]", cfg->optimizer.beta1,
			 cfg->optimizer.beta2);
	if (n != 2 || cfg->optimizer.beta1 >= 1 || cfg->optimizer.beta2 >= 1)
		return pfw_tree_refuse(r->tree,
				       config_setting_get_member(s, "betas"),
				       r->err, EINVAL, "optimizer.betas must be "
				       "two numbers from 0 to less than 1, like "
				       "[0.9, 0.95]; found %s", found);
	if (cfg->optimizer.min_lr > cfg->optimizer.lr) {
		pfw_error_set(r->err, EINVAL, "optimizer.min_lr must be at most "
			      "optimizer.lr (%g), found %g", cfg->optimizer.lr,
			      cfg->optimizer.min_lr);
		pfw_config_blame(cfg, "optimizer", r->err);
		return -EINVAL;
	}
	return 0;
}

static int check_sense(struct pfw_reader *r, struct pfw_config *cfg)
{
	if (cfg->run.init && cfg->run.resume) {
		pfw_error_set(r->err, EINVAL, "run.init and run.resume are both "
			      "given: leave one out; resume goes on with all of "
			      "a run's state, init takes only the weights of a "
			      "model");
		pfw_config_blame(cfg, "run", r->err);
		return -EINVAL;
	}
	if (cfg->schedule_file && cfg->pipeline.cost_from) {
		pfw_error_set(r->err, EINVAL, "pipeline.cost_from is for a "
			      "schedule that plans, and pipeline.schedule.file "
			      "is planned already: leave one out");
		pfw_config_blame(cfg, "pipeline", r->err);
		return -EINVAL;
	}
	if (cfg->stochastic && cfg->dtype == PFW_F32) {
		pfw_error_set(r->err, EINVAL, "device.rounding = "
			      "\"stochastic\" is of weights to bf16, and "
			      "device.dtype is \"fp32\": set that to \"bf16\", "
			      "or leave rounding out");
		pfw_config_blame(cfg, "device", r->err);
		return -EINVAL;
	}
	if (cfg->optimizer.warmup <= cfg->run.steps)
		return 0;
	if (asprintf(&cfg->warnings, "optimizer.warmup (%lld) is longer than "
		     "run.steps (%lld): the learning rate never gets to %g",
		     (long long)cfg->optimizer.warmup,
		     (long long)cfg->run.steps, cfg->optimizer.lr) < 0) {
		cfg->warnings = NULL;
		return pfw_error_set(r->err, ENOMEM, "out of memory");
	}
	return 0;
}

static int read_all(struct pfw_reader *r, struct pfw_config *cfg)
{
	int rc;

	rc = read_groups(r, cfg);
	if (rc)
		return rc;
	fill(cfg);
	rc = fill_optimizer(r, cfg);
	if (!rc)
		rc = read_model(r, cfg);
	if (!rc)
		rc = read_plugins(r, cfg);
	if (!rc)
		rc = pfw_read_missing(r, "data",
				      group_setting(r, PFW_GROUP_DATA),
				      cfg->groups[PFW_GROUP_DATA]);
	return rc ? rc : check_sense(r, cfg);
}

int pfw_config_load(struct pfw_registry *reg, const char *path,
		    const struct pfw_set *sets, size_t n_sets,
		    struct pfw_config **out, struct pfw_error *err)
{
	struct pfw_reader r = { .registry = reg };
	struct pfw_error own = { 0 };
	struct pfw_config *cfg;
	int rc;

	/* Sentences are made in pieces: there must be a place for them. */
	r.err = err ? err : &own;
	cfg = calloc(1, sizeof(*cfg));
	if (cfg && path)
		cfg->path = strdup(path);
	if (!cfg || (path && !cfg->path)) {
		pfw_config_free(cfg);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	rc = pfw_tree_open(cfg->path, sets, n_sets, &cfg->tree, r.err);
	if (!rc) {
		r.tree = cfg->tree;
		rc = read_all(&r, cfg);
	}
	if (rc)
		pfw_config_free(cfg);
	else
		*out = cfg;
	return rc;
}

static void clear_transport(struct pfw_transport_choice *t)
{
	pfw_choice_clear(&t->transport);
	for (uint32_t i = 0; i < t->n_filters; i++)
		pfw_choice_clear(&t->filters[i]);
}

void pfw_config_free(struct pfw_config *cfg)
{
	if (!cfg)
		return;
	pfw_choice_clear(&cfg->model);
	pfw_choice_clear(&cfg->schedule);
	free(cfg->schedule_file);
	clear_transport(&cfg->transport);
	clear_transport(&cfg->remote);
	pfw_choice_clear(&cfg->device);
	for (uint32_t i = 0; i < cfg->n_exceptions; i++)
		pfw_choice_clear(&cfg->exceptions[i].device);
	for (uint32_t i = 0; i < PFW_N_GROUPS; i++)
		pfw_values_free(cfg->groups[i]);
	pfw_tree_close(cfg->tree);
	free(cfg->warnings);
	free(cfg->path);
	free(cfg);
}

const char *pfw_config_schedule(const struct pfw_config *cfg)
{
	return cfg->schedule_file ? cfg->schedule_file :
				    cfg->schedule.plugin->info.name;
}
