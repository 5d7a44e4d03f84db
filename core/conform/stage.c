/* The suite of stages, and what it asks of a model before it is run. */
#include <math.h>
#include <string.h>

#include "conform/conform.h"
#include "conform/stage_kit.h"

static int is_plain_name(const char *name)
{
	if (!name || !*name || strlen(name) > 200)
		return 0;
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
			return 0;
	return 1;
}

/* What is wrong with a parameter, or NULL. */
static const char *wrong_param(const struct pfw_param *p)
{
	if (!is_plain_name(p->name))
		return "a name that is empty, or not of printable characters "
		       "without quotes";
	if (!p->n_dims || p->n_dims > PFW_MAX_DIMS)
		return "no dimensions, or more than PFW_MAX_DIMS";
	for (uint32_t i = 0; i < p->n_dims; i++)
		if (!p->dims[i])
			return "a dimension of 0";
	if (p->init > PFW_INIT_NORMAL)
		return "an .init that is none of PFW_INIT_*";
	if (p->init == PFW_INIT_NORMAL && !(p->std > 0 && isfinite(p->std)))
		return "PFW_INIT_NORMAL with a .std that is not above 0";
	if ((p->flags & PFW_PARAM_MATRIX) && p->n_dims != 2)
		return "PFW_PARAM_MATRIX, and not two dimensions";
	return NULL;
}

static void look_at_layer(struct pfw_trial *t, const struct pfw_layer *l,
			  uint32_t index)
{
	const double flops[] = { l->flops_forward, l->flops_input,
				 l->flops_weight };

	if (l->size != sizeof(*l))
		pfw_trial_refuse(t, "layer %u: layer() changes .size", index);
	if (!l->name || !*l->name || l->letter <= ' ' || l->letter > '~' ||
	    l->letter == '|' || l->letter == '*' || l->whole == '|' ||
	    l->whole == '*' || (l->whole && l->whole == l->letter))
		pfw_trial_refuse(t, "layer %u has no name, or no letter", index);
	if (l->n_params && !l->params)
		pfw_trial_refuse(t, "layer %u has %u parameters and no list",
				 index, l->n_params);
	for (int i = 0; i < 3; i++)
		if (!(flops[i] >= 0 && isfinite(flops[i])))
			pfw_trial_refuse(t, "layer %u: its flops are %g", index,
					 flops[i]);
	for (uint32_t p = 0; p < l->n_params; p++)
		if (wrong_param(&l->params[p]))
			pfw_trial_refuse(t, "layer %u, parameter %u has %s",
					 index, p, wrong_param(&l->params[p]));
}

static void look_at_boundary(struct pfw_trial *t, const struct pfw_model *m,
			     uint32_t index)
{
	struct pfw_tensor tensors[8];
	uint32_t n = m->ops->boundary(m->object, index, &m->shape, tensors, 8);

	if (!n)
		pfw_trial_refuse(t, "behind layer %u no tensor travels", index);
	if (m->ops->boundary(m->object, index, &m->shape, NULL, 0) != n)
		pfw_trial_refuse(t, "boundary() behind layer %u says another "
				 "number when there is room for none", index);
	for (uint32_t i = 0; i < n && i < 8; i++)
		if (!tensors[i].n_dims || tensors[i].n_dims > PFW_MAX_DIMS ||
		    !pfw_dtype_bytes(tensors[i].dtype))
			pfw_trial_refuse(t, "behind layer %u, tensor %u has %u "
					 "dimensions, dtype %u", index, i,
					 tensors[i].n_dims, tensors[i].dtype);
}

static void layers(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	struct pfw_rig r;

	pfw_case_open(t, c, &c->setup, &r);
	if (!r.model->context)
		pfw_trial_refuse(t, "limits() gives a context of 0");
	for (uint32_t i = 0; i < r.model->n_layers; i++) {
		struct pfw_layer l = { .size = sizeof(l) };

		pfw_trial_doing(t, "asking for layer %u", i);
		r.model->ops->layer(r.model->object, i, &r.model->shape, &l);
		look_at_layer(t, &l, i);
		if (i + 1 < r.model->n_layers)
			look_at_boundary(t, r.model, i);
	}
	pfw_case_close(t, &r);
}

static const struct pfw_check check_layers = {
	"layers and parameters",
	"pipefw/stage.h, struct pfw_layer, pfw_param and pfw_tensor: names, letters, "
	"dimensions, initial values; boundary() fills at most max; limits() gives a "
	"context of at least 1",
	"fill every member in layer() and boundary()", 30, layers,
};

/* The same list of uses for any number of stages, each within one. */
static void counted_once(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	struct pfw_rig whole, cut;

	pfw_case_open(t, c, &c->setup, &whole);
	for (uint32_t n = 2; n <= c->n_layers && n <= 8; n++) {
		struct pfw_rig_setup setup = c->setup;
		uint32_t uses = 0, at = 0;

		setup.stages = n;
		pfw_case_open(t, c, &setup, &cut);
		for (uint32_t s = 0; s < n; s++)
			uses += cut.model->stages[s].n_uses;
		if (uses != whole.model->n_uses ||
		    cut.model->n_uses != whole.model->n_uses ||
		    cut.model->elements != whole.model->elements)
			pfw_trial_refuse(t, "in %u stages the model has %u uses "
				"of parameters and %llu numbers, in one %u and "
				"%llu", n, uses,
				(unsigned long long)cut.model->elements,
				whole.model->n_uses,
				(unsigned long long)whole.model->elements);
		while (at < uses && !strcmp(cut.model->uses[at].info->name,
					    whole.model->uses[at].info->name))
			at++;
		if (at < uses)
			pfw_trial_refuse(t, "in %u stages parameter %u is %s, in "
					 "one it is %s", n, at,
					 cut.model->uses[at].info->name,
					 whole.model->uses[at].info->name);
		pfw_case_close(t, &cut);
	}
	pfw_case_close(t, &whole);
}

static const struct pfw_check check_counted_once = {
	"parameters once, in any cut",
	"pipefw/stage.h: the core cuts the list of layers anywhere; what layer() "
	"lists depends on the layer alone",
	"keep nothing of one layer() for the next", 30, counted_once,
};

static void step(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	uint64_t element;
	struct pfw_rig r;
	uint32_t use;
	double loss;

	pfw_case_open(t, c, &c->setup, &r);
	loss = pfw_rig_train(&r, c->tokens, c->targets, PFW_CASE_MICRO,
			     PFW_RIG_BACKWARD);
	if (!isfinite(loss))
		pfw_trial_refuse(t, "the loss is %g; memory is full of NaN at "
				 "first, so it read what nobody wrote", loss);
	use = pfw_case_not_finite(&r, &element);
	if (use != PFW_NONE)
		pfw_trial_refuse(t, "%s: element %llu of the gradient of %s is "
			"%g; memory is full of NaN at first, so nobody wrote it, "
			"or it came of what nobody wrote", c->options,
			(unsigned long long)element,
			r.model->uses[use].info->name,
			(double)r.grads[use][element]);
	pfw_case_close(t, &r);
}

static const struct pfw_check check_step = {
	"a step, in its own memory",
	"pipefw/stage.h, struct pfw_call: all of output, grad_input and grads is "
	"written, overwritten without PFW_CALL_ACCUMULATE; nothing is written outside "
	"of what saved_bytes, work_bytes and boundary() ask for",
	"write what is asked for before you read it; count bytes in one place for "
	"layer() and for the calls", 60, step,
};

static void names(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	const struct pfw_stage_ops *ops = &t->plugin->ops.stage;
	struct pfw_rig r;

	pfw_case_open(t, c, &c->setup, &r);
	for (uint32_t i = 0; i < r.model->n_params; i++) {
		const char *name = r.model->params[i].info.name;

		if (!ops->matches)
			break;
		if (ops->matches(r.model->object, name, name) != 1)
			pfw_trial_refuse(t, "matches() does not know its own %s",
					 name);
		if (ops->matches(r.model->object, NULL, name))
			pfw_trial_refuse(t, "matches() passes over its own %s",
					 name);
		for (uint32_t k = 0; k < r.model->n_params; k++)
			if (k != i && ops->matches(r.model->object, name,
						   r.model->params[k].info.name))
				pfw_trial_refuse(t, "matches() takes %s for %s",
						 r.model->params[k].info.name,
						 name);
	}
	pfw_case_close(t, &r);
	if (!ops->matches)
		pfw_trial_skip(t, "it has no matches(): names are equal");
}

static const struct pfw_check check_names = {
	"names of saved tensors",
	"pipefw/stage.h, matches(): is this name in a foreign file that parameter",
	"compare whole names", 30, names,
};

static int took(void *ctx, const char *name, const char *value,
		struct pfw_error *err)
{
	(void)name;
	(void)value;
	(void)err;
	++*(uint32_t *)ctx;
	return 0;
}

static void config(struct pfw_trial *t)
{
	const struct pfw_stage_ops *ops = &t->plugin->ops.stage;
	const struct pfw_case *c;
	struct pfw_error err = { 0 };
	char text[8192];
	struct pfw_rig r;
	uint32_t n = 0;
	size_t len;

	if (!ops->config_json)
		pfw_trial_skip(t, "it has no config_json()");
	if (!ops->from_config_json)
		pfw_trial_refuse(t, "it has config_json() and no "
				 "from_config_json()");
	c = pfw_trial_case(t);
	pfw_case_open(t, c, &c->setup, &r);
	memset(text, 'x', sizeof(text));
	len = ops->config_json(r.model->object, "", text, 16);
	for (size_t i = 16; i < sizeof(text); i++)
		if (text[i] != 'x')
			pfw_trial_refuse(t, "given 16 bytes, config_json() "
					 "writes byte %zu", i);
	if (len >= sizeof(text))
		pfw_trial_refuse(t, "config_json() would take %zu bytes", len);
	if (ops->config_json(r.model->object, "", text, sizeof(text)) != len ||
	    strlen(text) != len)
		pfw_trial_refuse(t, "config_json() says %zu bytes and writes %zu",
				 len, strlen(text));
	if (ops->from_config_json(text, len, took, &n, &err))
		pfw_trial_refuse(t, "from_config_json() refuses what "
				 "config_json() wrote: %s", err.text);
	for (size_t cut = 0; cut < len; cut++) {
		pfw_trial_doing(t, "reading the first %zu bytes of a "
				"config.json", cut);
		ops->from_config_json(text, cut, took, &n, &err);
	}
	if (!n)
		pfw_trial_refuse(t, "from_config_json() sets no option");
	pfw_case_close(t, &r);
}

static const struct pfw_check check_config = {
	"config.json and back",
	"pipefw/stage.h, config_json() and from_config_json(): gives the length it "
	"would take, writes at most len bytes; reads such a text, whatever is in it",
	"write by snprintf(); check the text as one from elsewhere", 30, config,
};

static const struct pfw_check *const checks[] = {
	&check_layers,
	&check_counted_once,
	&check_step,
	&pfw_check_gradients,
	&pfw_check_cuts,
	&pfw_check_split,
	&pfw_check_again,
	&pfw_check_order,
	&pfw_check_grouping,
	&pfw_check_evaluation,
	&pfw_check_logits,
	&pfw_check_bf16,
	&pfw_check_not_finite,
	&check_names,
	&check_config,
};

const struct pfw_suite pfw_suite_stage = {
	PFW_KIND_STAGE, checks, sizeof(checks) / sizeof(checks[0]), 3,
};
