#include "conform/stage_kit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "settings/config.h"

/* As few parameters as that are enough to be wrong with, and more than so many
 * take too long. */
#define SMALL 4000u
#define LARGE 2000000u

#define MAX_OPTIONS 32u

/* Options on their way to a small model. */
struct small {
	struct pfw_trial *t;
	uint32_t n;
	struct {
		const struct pfw_option *option;
		int64_t value;
	} options[MAX_OPTIONS];
};

static int is_given(const struct pfw_trial *t, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < t->n_sets; i++)
		if (!strncmp(t->sets[i], name, len) && t->sets[i][len] == '=')
			return 1;
	return 0;
}

static void start(struct small *s, struct pfw_trial *t)
{
	*s = (struct small){ .t = t };
	for (uint32_t i = 0; i < t->plugin->info.n_options; i++) {
		const struct pfw_option *o = &t->plugin->info.options[i];

		if (o->type != PFW_OPT_INT || is_given(t, o->name) ||
		    !pfw_value_set(t->values, o->name) || s->n == MAX_OPTIONS)
			continue;
		s->options[s->n].option = o;
		s->options[s->n++].value = pfw_value_int(t->values, o->name);
	}
}

/* The options as values; the caller frees them.  NULL: they are refused. */
static struct pfw_values *values_of(const struct small *s)
{
	const char *pairs[PFW_TRIAL_MAX_SETS + MAX_OPTIONS];
	char text[MAX_OPTIONS][96];
	const struct pfw_trial *t = s->t;
	struct pfw_values *values = NULL;
	size_t n = t->n_sets;

	memcpy(pairs, t->sets, n * sizeof(pairs[0]));
	for (uint32_t i = 0; i < s->n; i++) {
		snprintf(text[i], sizeof(text[i]), "%.60s=%lld",
			 s->options[i].option->name,
			 (long long)s->options[i].value);
		pairs[n++] = text[i];
	}
	pfw_values_from_texts(t->plugin->info.options, t->plugin->info.n_options,
			      t->plugin->info.name, pairs, n, &values, NULL);
	return values;
}

/* Parameters of the model; UINT64_MAX: it does not open. */
static uint64_t elements_of(const struct small *s)
{
	const struct pfw_call_shape shape = { .size = sizeof(shape),
					      .batch = 1, .seq = 1 };
	struct pfw_values *values = values_of(s);
	uint64_t n = UINT64_MAX;
	struct pfw_model *m;

	if (values && !pfw_model_open(s->t->plugin, values, &shape, 1, NULL, &m,
				      NULL)) {
		n = m->elements;
		pfw_model_close(m);
	}
	pfw_values_free(values);
	return n;
}

/* Half as much of an option, if the model opens then: 1. */
static int halve(struct small *s, uint32_t i, uint64_t *elements)
{
	const int64_t was = s->options[i].value;
	uint64_t n;

	s->options[i].value = was / 2 < 2 ? 2 : was / 2;
	if (was > s->options[i].value) {
		n = elements_of(s);
		if (n != UINT64_MAX) {
			*elements = n;
			return 1;
		}
	}
	s->options[i].value = was;
	return 0;
}

static uint64_t shrink(struct small *s)
{
	uint64_t elements = elements_of(s);
	int changed = 1;

	while (changed) {
		changed = 0;
		for (uint32_t i = 0; i < s->n && elements > SMALL; i++)
			changed |= halve(s, i, &elements);
	}
	return elements;
}

static void in_words(const struct small *s, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < s->n && at < len; i++)
		at += (size_t)snprintf(buf + at, len - at, "%s%s=%lld",
				       i ? " " : "", s->options[i].option->name,
				       (long long)s->options[i].value);
}

const struct pfw_case *pfw_trial_case(struct pfw_trial *t)
{
	struct pfw_case *c = pfw_trial_alloc(t, sizeof(*c));
	const struct pfw_call_shape shape = { .size = sizeof(shape),
					      .batch = 1, .seq = 1 };
	struct pfw_error err = { 0 };
	struct pfw_model *m;
	struct small s;
	uint64_t elements;

	if (pfw_rig_device_open(t->registry, "cpu", PFW_F32, 1, &c->cpu, &err))
		pfw_trial_skip(t, "there is no device to run on: %s", err.text);
	pfw_trial_doing(t, "opening small models");
	start(&s, t);
	elements = shrink(&s);
	if (elements == UINT64_MAX)
		elements = 0; /* said below, in its own words */
	if (elements > LARGE)
		pfw_trial_skip(t, "the smallest model found has %llu parameters: "
			       "give options of a smaller one by --set",
			       (unsigned long long)elements);
	c->values = values_of(&s);
	in_words(&s, c->options, sizeof(c->options));
	if (!c->values ||
	    pfw_model_open(t->plugin, c->values, &shape, 1, NULL, &m, &err))
		pfw_trial_refuse(t, "no model opens: %s", err.text);
	c->vocab = m->vocab;
	c->n_layers = m->n_layers;
	c->n_params = m->n_params;
	c->setup.batch = PFW_CASE_BATCH;
	c->setup.seq = m->context < PFW_CASE_MAX_SEQ ? m->context
						     : PFW_CASE_MAX_SEQ;
	c->rows = c->setup.batch * c->setup.seq;
	pfw_model_close(m);
	pfw_rig_tokens(c->tokens, PFW_CASE_MAX_TOKENS, c->vocab, 1);
	pfw_rig_tokens(c->targets, PFW_CASE_MAX_TOKENS, c->vocab, 2);
	pfw_trial_doing(t, "with %s", c->options);
	return c;
}

const struct pfw_case *pfw_trial_case_bf16(struct pfw_trial *t)
{
	struct pfw_case *c = pfw_trial_alloc(t, sizeof(*c));
	struct pfw_error err = { 0 };

	*c = *pfw_trial_case(t);
	if (pfw_rig_device_open(t->registry, "cpu", PFW_BF16, 1, &c->cpu, &err))
		pfw_trial_skip(t, "there is no device to run on: %s", err.text);
	return c;
}

void pfw_case_open(struct pfw_trial *t, const struct pfw_case *c,
		   const struct pfw_rig_setup *setup, struct pfw_rig *r)
{
	struct pfw_error err = { 0 };

	pfw_trial_doing(t, "with %s, in %u stages%s", c->options,
			setup->stages ? setup->stages : 1,
			setup->split ? ", I and W apart" : "");
	if (pfw_rig_open(r, t->plugin, c->values, &c->cpu, setup, &err))
		pfw_trial_refuse(t, "%s: in %u stages: %s", c->options,
				 setup->stages ? setup->stages : 1, err.text);
}

void pfw_case_close(struct pfw_trial *t, struct pfw_rig *r)
{
	pfw_rig_close(r);
	if (r->spilt[0])
		pfw_trial_refuse(t, "it writes outside of %s", r->spilt);
}

uint32_t pfw_case_not_finite(const struct pfw_rig *r, uint64_t *element)
{
	for (uint32_t u = 0; u < r->model->n_uses; u++) {
		uint32_t p = r->model->uses[u].param;

		for (uint64_t k = 0; k < r->model->params[p].elements; k++) {
			if (isfinite(r->grads[u][k]))
				continue;
			*element = k;
			return u;
		}
	}
	return PFW_NONE;
}
