#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/size.h"
#include "model/layout.h"

/* More layers than any model has: a limit on what a plugin makes us allocate. */
#define MAX_LAYERS 65536u
/* Parameters, each counted where it is used. */
#define MAX_USES (1u << 24)
/* Tensors of a boundary. */
#define MAX_BOUNDARY 16u
/* Of one stage and kind: 64 TiB, above any machine of today. */
#define MAX_BYTES (1ull << 46)

static int no_memory(struct pfw_error *err)
{
	return pfw_error_set(err, ENOMEM, "no memory for the model's tables");
}

static int check_shape(const struct pfw_model *m, const char *stage,
		       struct pfw_error *err)
{
	const struct pfw_call_shape *s = &m->shape;

	if (!s->batch || !s->seq || s->seq > m->context)
		return pfw_error_set(err, EINVAL,
				     "%u sequences of %u tokens in a "
				     "micro-batch: need at least 1 sequence of "
				     "1 to %u tokens (the model's context)",
				     s->batch, s->seq, m->context);
	if ((uint64_t)s->batch * s->seq > INT32_MAX)
		return pfw_error_set(err, EINVAL,
				     "%u sequences (pipeline.microbatch_size) of "
				     "%u tokens (model.context) are more than "
				     "2147483647 tokens in a micro-batch: make "
				     "one of them smaller", s->batch, s->seq);
	if (s->split && !(m->ops->flags & PFW_STAGE_SPLITS))
		return pfw_error_set(err, EINVAL,
				     "stage '%s' cannot run input and weight "
				     "gradients apart: choose a schedule that "
				     "does not split the backward pass", stage);
	if (!m->n_layers || m->n_layers > MAX_LAYERS)
		return pfw_error_set(err, EINVAL,
				     "stage '%s' lists %u layers; 1 to %u are "
				     "allowed", stage, m->n_layers, MAX_LAYERS);
	return 0;
}

static int list_layers(struct pfw_model *m, struct pfw_error *err)
{
	m->layers = calloc(m->n_layers, sizeof(*m->layers));
	if (!m->layers)
		return no_memory(err);
	for (uint32_t i = 0; i < m->n_layers; i++) {
		struct pfw_layer *l = &m->layers[i];

		l->size = sizeof(*l);
		m->ops->layer(m->object, i, &m->shape, l);
		if (l->n_params > MAX_USES - m->n_uses)
			return pfw_error_set(err, EINVAL,
					     "the model's layers have more than "
					     "%u parameters: mend the stage "
					     "plugin", MAX_USES);
		if (l->whole && (!l->n_whole || l->n_whole > m->n_layers - i))
			return pfw_error_set(err, EINVAL,
					     "layer %u of %u begins a whole of %u "
					     "layers: mend the stage plugin",
					     i + 1, m->n_layers, l->n_whole);
		m->n_uses += l->n_params;
	}
	return 0;
}

static int cut_layers(struct pfw_model *m, const char *layout,
		      struct pfw_error *err)
{
	m->stages = calloc(m->n_stages, sizeof(*m->stages));
	if (!m->stages)
		return no_memory(err);
	if (layout)
		return pfw_layout_parse(layout, m->layers, m->n_layers,
					m->stages, m->n_stages, err);
	return pfw_layout_balance(m->layers, m->n_layers, m->stages,
				  m->n_stages, err);
}

/* Of n_dims numbers, PFW_SIZE_MAX where they are too many or too large. */
static uint64_t product(uint64_t n, const uint64_t *dims, uint32_t n_dims)
{
	if (n_dims > PFW_MAX_DIMS)
		return PFW_SIZE_MAX;
	for (uint32_t d = 0; d < n_dims; d++)
		n = pfw_size_mul(n, dims[d]);
	return n;
}

uint64_t pfw_model_boundary_bytes(const struct pfw_model *m, uint32_t layer,
				  const struct pfw_call_shape *shape)
{
	struct pfw_tensor t[MAX_BOUNDARY];
	uint32_t n = m->ops->boundary(m->object, layer, shape, t, MAX_BOUNDARY);
	uint64_t total = 0;

	if (n > MAX_BOUNDARY)
		return PFW_SIZE_MAX;
	for (uint32_t i = 0; i < n; i++)
		total = pfw_size_add(
			total, pfw_size_align(product(pfw_dtype_bytes(t[i].dtype),
						      t[i].dims, t[i].n_dims)));
	return total;
}

static uint64_t count_elements(const struct pfw_param *p)
{
	return product(1, p->dims, p->n_dims);
}

static void size_stage(struct pfw_model *m, struct pfw_model_stage *s)
{
	for (uint32_t i = s->first_layer; i < s->first_layer + s->n_layers; i++) {
		const struct pfw_layer *l = &m->layers[i];
		uint64_t work = pfw_size_align(l->work_bytes);

		s->saved_bytes = pfw_size_add(s->saved_bytes,
					      pfw_size_align(l->saved_bytes));
		if (work > s->work_bytes)
			s->work_bytes = work;
		s->flops_forward += l->flops_forward;
		s->flops_input += l->flops_input;
		s->flops_weight += l->flops_weight;
		m->flops += l->flops_model;
		s->n_uses += l->n_params;
		for (uint32_t p = 0; p < l->n_params; p++)
			s->elements = pfw_size_add(
				s->elements, count_elements(&l->params[p]));
	}
	if (s != &m->stages[m->n_stages - 1])
		s->output_bytes = pfw_model_boundary_bytes(
			m, s->first_layer + s->n_layers - 1, &m->shape);
}

/* What no machine has is refused here, so that nobody multiplies it further. */
static int check_sizes(const struct pfw_model *m, struct pfw_error *err)
{
	for (uint32_t i = 0; i < m->n_params; i++)
		if (m->params[i].elements > MAX_BYTES / sizeof(float))
			return pfw_error_set(err, EINVAL,
					     "parameter %.200s has more numbers "
					     "than any memory: make the model "
					     "smaller, or mend the stage plugin",
					     m->params[i].info.name);
	for (uint32_t i = 0; i < m->n_stages; i++) {
		const struct pfw_model_stage *s = &m->stages[i];

		if (s->elements > MAX_BYTES / sizeof(float) ||
		    s->saved_bytes > MAX_BYTES || s->work_bytes > MAX_BYTES ||
		    s->output_bytes > MAX_BYTES)
			return pfw_error_set(err, EINVAL,
					     "stage %u wants more bytes than any "
					     "memory has, or a boundary of more "
					     "than %u tensors or %u dimensions: "
					     "make the model or "
					     "pipeline.microbatch_size smaller, "
					     "or mend the stage plugin",
					     i, MAX_BOUNDARY, PFW_MAX_DIMS);
	}
	return 0;
}

/* Names of parameters seen so far: open addressing, 0 for a free place, else
 * the parameter's index + 1. */
struct names {
	uint32_t *slots;
	uint32_t mask;
};

static int open_names(struct names *names, uint32_t n, struct pfw_error *err)
{
	uint32_t size = 2;

	while (size / 2 < n)
		size *= 2;
	names->mask = size - 1;
	names->slots = calloc(size, sizeof(*names->slots));
	return names->slots ? 0 : no_memory(err);
}

/* The place of a name: holds it, or is free for it. */
static uint32_t *find_name(const struct names *names, const struct pfw_model *m,
			   const char *name)
{
	uint64_t at = pfw_hash(PFW_HASH_START, name, strlen(name));

	for (;; at++) {
		uint32_t *slot = &names->slots[at & names->mask];

		if (!*slot || !strcmp(m->params[*slot - 1].info.name, name))
			return slot;
	}
}

static int same_shape(const struct pfw_param *a, const struct pfw_param *b)
{
	return a->n_dims == b->n_dims &&
	       !memcmp(a->dims, b->dims, a->n_dims * sizeof(a->dims[0]));
}

static int add_use(struct pfw_model *m, const struct names *names, uint32_t use,
		   const struct pfw_param *param, struct pfw_error *err)
{
	uint32_t *slot = find_name(names, m, param->name);
	struct pfw_model_param *p;

	if (param->n_dims > PFW_MAX_DIMS)
		return pfw_error_set(err, EINVAL,
				     "parameter %.200s has %u dimensions; at "
				     "most %u are allowed: mend the stage plugin",
				     param->name, param->n_dims, PFW_MAX_DIMS);
	if (!*slot) {
		p = &m->params[m->n_params++];
		*slot = m->n_params;
		p->info = *param;
		p->elements = count_elements(param);
		p->first_use = use;
		m->elements = pfw_size_add(m->elements, p->elements);
	}
	p = &m->params[*slot - 1];
	if (!same_shape(&p->info, param))
		return pfw_error_set(err, EINVAL,
				     "layers '%.80s' and '%.80s' share the "
				     "parameter %.120s but give it different "
				     "shapes: mend the stage plugin",
				     m->layers[m->uses[p->first_use].layer].name,
				     m->layers[m->uses[use].layer].name,
				     param->name);
	p->n_uses++;
	m->uses[use].param = *slot - 1;
	return 0;
}

/* Uses in layer order, each with its parameter. */
static int list_uses(struct pfw_model *m, struct pfw_error *err)
{
	struct names names;
	uint32_t use = 0;
	int rc;

	m->uses = calloc((size_t)m->n_uses + 1, sizeof(*m->uses));
	m->params = calloc((size_t)m->n_uses + 1, sizeof(*m->params));
	if (!m->uses || !m->params)
		return no_memory(err);
	rc = open_names(&names, m->n_uses, err);
	for (uint32_t s = 0; s < m->n_stages && !rc; s++) {
		struct pfw_model_stage *stage = &m->stages[s];
		uint32_t end = stage->first_layer + stage->n_layers;

		stage->first_use = use;
		for (uint32_t i = stage->first_layer; i < end; i++) {
			const struct pfw_layer *l = &m->layers[i];

			for (uint32_t k = 0; k < l->n_params && !rc; k++) {
				m->uses[use].layer = i;
				m->uses[use].stage = s;
				m->uses[use].info = &l->params[k];
				rc = add_use(m, &names, use++, &l->params[k],
					     err);
			}
		}
	}
	free(names.slots);
	return rc;
}

int pfw_model_open(const struct pfw_loaded *stage, const struct pfw_values *opt,
		   const struct pfw_call_shape *shape, uint32_t n_stages,
		   const char *layout, struct pfw_model **out,
		   struct pfw_error *err)
{
	struct pfw_model *m;
	int rc;

	if (!n_stages)
		return pfw_error_set(err, EINVAL, "a pipeline has at least 1 "
				     "stage");
	m = calloc(1, sizeof(*m));
	if (!m)
		return no_memory(err);
	m->ops = &stage->ops.stage;
	m->shape = *shape;
	m->n_stages = n_stages;
	rc = m->ops->open(opt, &m->object, err);
	if (rc) {
		free(m);
		return rc;
	}
	m->n_layers = m->ops->n_layers(m->object);
	m->ops->limits(m->object, &m->vocab, &m->context);
	if (!m->shape.seq)
		m->shape.seq = m->context;
	rc = check_shape(m, stage->info.name, err);
	if (!rc)
		rc = list_layers(m, err);
	if (!rc)
		rc = cut_layers(m, layout, err);
	if (!rc)
		rc = list_uses(m, err);
	for (uint32_t s = 0; !rc && s < n_stages; s++)
		size_stage(m, &m->stages[s]);
	if (!rc)
		rc = check_sizes(m, err);
	if (rc) {
		pfw_model_close(m);
		return rc;
	}
	*out = m;
	return 0;
}

void pfw_model_close(struct pfw_model *model)
{
	if (!model)
		return;
	model->ops->close(model->object);
	free(model->params);
	free(model->uses);
	free(model->stages);
	free(model->layers);
	free(model);
}
