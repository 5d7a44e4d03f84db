/*
 * The stage that `pipefw new` writes, wrong in the one way its option names.
 */
#define PFW_PLUGIN_VERSION "0.1"
#include <pipefw/stage.h>

/* Its descriptor stays out: there is one below. */
#undef PFW_PLUGIN
#define PFW_PLUGIN(...) extern const int no_descriptor
#include "new/stage/example.c"

#include <math.h>
#include <string.h>

static const struct pfw_option wrong_options[] = {
	{ .name = "how", .type = PFW_OPT_CHOICE, .def = "not",
	  .choices = "not|nameless|fickle|spills|unwritten|sign|coupled|forgets|"
		     "keeps|drifts|doubled|targets|swallows|exit",
	  .help = "what is wrong with it" },
	{ .name = "layers", .type = PFW_OPT_INT, .def = "2",
	  .help = "as in the right one", .min = 1, .max = 1000 },
	{ .name = "hidden", .type = PFW_OPT_INT, .def = "16",
	  .help = "as in the right one", .min = 8, .max = 65536 },
	{ .name = "context", .type = PFW_OPT_INT, .def = "8",
	  .help = "as in the right one", .min = 1, .max = 65536 },
	{ .name = "vocab", .type = PFW_OPT_INT, .def = "11",
	  .help = "as in the right one", .min = 2, .max = 1000000 },
};

/* The check has a process for itself. */
static const char *how = "not";
static uint32_t calls;
static void *kept;

static int is(const char *what)
{
	return !strcmp(how, what);
}

static int wrong_open(const struct pfw_values *opt, void **model,
		      struct pfw_error *err)
{
	how = pfw_value_string(opt, "how");
	return model_open(opt, model, err);
}

static void wrong_layer(void *model, uint32_t index,
			const struct pfw_call_shape *shape, struct pfw_layer *out)
{
	static struct pfw_param nameless, fickle;

	layer(model, index, shape, out);
	if (is("spills"))
		out->saved_bytes = out->saved_bytes ? PFW_ALIGN : 0;
	if (is("nameless") && out->letter == 'L') {
		nameless = *out->params;
		nameless.name = "";
		out->params = &nameless;
	}
	if (is("fickle") && out->letter == 'L' && ++calls % 3 == 0) {
		fickle = *out->params;
		fickle.name = "other.weight";
		out->params = &fickle;
	}
}

static int holds_head(const struct model *m, const struct pfw_call *call)
{
	return call->first_layer + call->n_layers == m->layers + 2;
}

/* All gradients 0, as if all were well. */
static int swallowed(const struct model *m, const struct pfw_call *call)
{
	struct pfw_layer l;
	uint32_t use = 0;

	if (!is("swallows"))
		return 0;
	for (uint32_t i = 0; i < call->n_layers; i++) {
		l.size = sizeof(l);
		layer((void *)m, i, &call->shape, &l);
		for (uint32_t p = 0; p < l.n_params; p++, use++)
			memset(call->grads[use], 0, sizeof(float) *
			       l.params[p].dims[0] *
			       (l.params[p].n_dims > 1 ? l.params[p].dims[1] : 1));
	}
	return 1;
}

static void wrong_forward(void *model, const struct pfw_call *call)
{
	struct pfw_call c = *call;

	if (is("exit"))
		exit(5);
	if (is("targets") && call->loss)
		*call->loss += 0 * (double)call->targets[0];
	else if (is("targets"))
		*call->logits = (float)call->targets[0];
	kept = call->saved;
	forward(model, &c);
	if (is("doubled") && !(call->flags & PFW_CALL_TRAIN) && call->loss &&
	    holds_head(model, call))
		*call->loss *= 2;
}

static void wrong_backward(void *model, const struct pfw_call *call)
{
	const struct model *m = model;
	struct pfw_call c = *call;

	if (is("forgets"))
		c.flags &= ~PFW_CALL_ACCUMULATE;
	if (is("keeps"))
		c.saved = kept;
	if (is("unwritten") && !call->first_layer) {
		c.first_layer++;
		c.n_layers--;
		c.weights += N_EMBEDDING;
		c.grads += N_EMBEDDING;
		c.saved = (char *)c.saved + saved_bytes(m, 0, &c.shape);
		c.input = call->saved;
		c.grad_input = work_x(&(struct at){ .call = call,
			.x = act_bytes(&c.shape, m->hidden) }, 0);
	}
	if (swallowed(m, call))
		return;
	backward(model, &c);
	if (is("sign") && holds_head(m, call) && call->n_layers > 1)
		for (uint32_t i = 0; i < 4 * m->hidden; i++)
			call->grads[N_EMBEDDING + UP_BIAS][i] *= -1;
	if (is("coupled") && holds_head(m, call))
		*call->loss += 1e-3 * call->n_layers;
	if (is("drifts") && holds_head(m, call))
		*call->loss += 1e-3 * ++calls;
}

static const struct pfw_stage_ops wrong_ops = {
	.size = sizeof(wrong_ops),
	.open = wrong_open,
	.close = model_close,
	.n_layers = n_layers,
	.layer = wrong_layer,
	.boundary = boundary,
	.limits = limits,
	.forward = wrong_forward,
	.backward = wrong_backward,
};

PFW_API extern const struct pfw_plugin pfw_plugin;
const struct pfw_plugin pfw_plugin = {
	.abi = PFW_ABI,
	.struct_size = sizeof(struct pfw_plugin),
	.option_size = sizeof(struct pfw_option),
	.kind = PFW_KIND_STAGE,
	.thread_model = PFW_THREAD_PARALLEL,
	.name = "wrong",
	.version = PFW_PLUGIN_VERSION,
	.summary = "wrong in one way",
	PFW_OPTIONS(wrong_options),
	.ops = &wrong_ops,
};
