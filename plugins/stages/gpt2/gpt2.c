#include "gpt2.h"

#include <errno.h>
#include <stdlib.h>

/* Head sizes that every device's attention takes. */
#define MIN_HEAD 8u
#define MAX_HEAD 256u

static const struct pfw_option options[] = {
	{ .name = "layers", .type = PFW_OPT_INT, .def = "12",
	  .help = "transformer blocks", .min = 1, .max = 4096 },
	{ .name = "heads", .type = PFW_OPT_INT, .def = "12",
	  .help = "attention heads; hidden / heads is 8 to 256, a multiple of 8",
	  .min = 1, .max = 4096 },
	{ .name = "hidden", .type = PFW_OPT_INT, .def = "768",
	  .help = "width of the residual stream", .min = 8, .max = 65536 },
	{ .name = "context", .type = PFW_OPT_INT, .def = "1024",
	  .help = "longest sequence, in tokens", .min = 1, .max = 1048576 },
	{ .name = "vocab", .type = PFW_OPT_INT, .def = "50257",
	  .help = "tokens in the vocabulary (bytes: 256)", .min = 2,
	  .max = 16777216 },
};

/* The nearest width at or above `hidden` that gives heads of a good size. */
static uint32_t good_hidden(uint32_t hidden, uint32_t heads)
{
	uint32_t size = (hidden / heads + 7) / 8 * 8;

	if (size < MIN_HEAD)
		size = MIN_HEAD;
	while (size * heads < hidden)
		size += 8;
	return size * heads;
}

static int check_heads(const struct gpt2 *m, struct pfw_error *err)
{
	uint32_t size = m->hidden / m->heads;
	uint32_t few = (m->hidden + MAX_HEAD - 1) / MAX_HEAD;

	if (m->hidden % m->heads)
		return pfw_error_set(err, EINVAL,
				     "hidden = %u is not a multiple of heads = "
				     "%u: use hidden = %u", m->hidden, m->heads,
				     good_hidden(m->hidden, m->heads));
	if (size > MAX_HEAD)
		return pfw_error_set(err, EINVAL,
				     "heads of hidden / heads = %u numbers are "
				     "larger than %u: use heads = %u or more",
				     size, MAX_HEAD, few);
	if (size < MIN_HEAD || size % 8)
		return pfw_error_set(err, EINVAL,
				     "heads of hidden / heads = %u numbers are "
				     "not a multiple of 8: use hidden = %u",
				     size, good_hidden(m->hidden, m->heads));
	return 0;
}

static void gpt2_close(void *model)
{
	struct gpt2 *m = model;

	free(m->names);
	free(m->params);
	free(m);
}

static int gpt2_open(const struct pfw_values *opt, void **model,
		     struct pfw_error *err)
{
	struct gpt2 *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return pfw_error_set(err, ENOMEM, "no memory for the model");
	m->layers = (uint32_t)pfw_value_int(opt, "layers");
	m->heads = (uint32_t)pfw_value_int(opt, "heads");
	m->hidden = (uint32_t)pfw_value_int(opt, "hidden");
	m->context = (uint32_t)pfw_value_int(opt, "context");
	m->vocab = (uint32_t)pfw_value_int(opt, "vocab");
	rc = check_heads(m, err);
	if (!rc)
		rc = gpt2_list_params(m, err);
	if (rc) {
		gpt2_close(m);
		return rc;
	}
	*model = m;
	return 0;
}

static void gpt2_limits(void *model, uint32_t *vocab, uint32_t *context)
{
	const struct gpt2 *m = model;

	*vocab = m->vocab;
	*context = m->context;
}

static int beyond(uint64_t is, uint64_t most)
{
	return most && is > most;
}

static int gpt2_check(void *model, const struct pfw_call_shape *shape,
		      const struct pfw_device_limits *limits,
		      struct pfw_error *err)
{
	const struct gpt2 *m = model;
	const uint64_t rows = (uint64_t)shape->batch * shape->seq;

	if (beyond(m->hidden, limits->width))
		return pfw_error_set(err, EINVAL, "hidden = %u is wider than "
				     "%u, the most for this device", m->hidden,
				     limits->width);
	if (beyond(m->hidden / m->heads, limits->head_size))
		return pfw_error_set(err, EINVAL, "heads = %u are of hidden / "
				     "heads = %u numbers, and this device's "
				     "attention takes %u: use more heads",
				     m->heads, m->hidden / m->heads,
				     limits->head_size);
	if (beyond(shape->seq, limits->seq))
		return pfw_error_set(err, EINVAL, "context = %u is longer than "
				     "%u tokens, the most for this device",
				     shape->seq, limits->seq);
	if (beyond(rows, limits->rows))
		return pfw_error_set(err, EINVAL,
				     "pipeline.microbatch_size = %u sequences "
				     "of context = %u are more than %u tokens, "
				     "the most for this device", shape->batch,
				     shape->seq, limits->rows);
	if (beyond(rows * m->heads, limits->head_rows))
		return pfw_error_set(err, EINVAL,
				     "pipeline.microbatch_size = %u sequences "
				     "of context = %u in heads = %u are more "
				     "than %llu tokens of all heads, the most "
				     "for this device", shape->batch,
				     shape->seq, m->heads,
				     (unsigned long long)limits->head_rows);
	return 0;
}

static void gpt2_attention(void *model, const struct pfw_call_shape *shape,
			   struct pfw_attention *out)
{
	const struct gpt2 *m = model;

	*out = (struct pfw_attention){
		.size = sizeof(*out), .batch = shape->batch,
		.seq = shape->seq, .heads = m->heads,
		.head_size = m->hidden / m->heads,
	};
}

static const struct pfw_stage_ops ops = {
	.size = sizeof(ops),
	.flags = PFW_STAGE_SPLITS,
	.open = gpt2_open,
	.close = gpt2_close,
	.n_layers = gpt2_n_layers,
	.layer = gpt2_layer,
	.boundary = gpt2_boundary,
	.limits = gpt2_limits,
	.forward = gpt2_forward,
	.backward = gpt2_backward,
	.backward_input = gpt2_backward_input,
	.backward_weight = gpt2_backward_weight,
	.config_json = gpt2_config_json,
	.from_config_json = gpt2_from_config_json,
	.matches = gpt2_matches,
	.check = gpt2_check,
	.attention = gpt2_attention,
};

PFW_PLUGIN(
	.kind = PFW_KIND_STAGE,
	.thread_model = PFW_THREAD_OBJECT,
	.name = "gpt2",
	.summary = "GPT-2: learned positions, pre-norm, tanh GELU, tied head",
	PFW_OPTIONS(options),
	.ops = &ops,
);
