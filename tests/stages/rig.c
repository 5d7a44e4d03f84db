#include "rig.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"
#include "settings/config.h"

/* The rig serves programs without CUnit too: what must hold ends them. */
#define MUST(what)                                                             \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,       \
				__LINE__, #what);                              \
			abort();                                               \
		}                                                              \
	} while (0)

static void open_cpu(struct subject *s, const struct pfw_loaded *cpu,
		     const char *name, uint32_t dtype, uint32_t threads)
{
	const struct pfw_device_info info = { .size = sizeof(info),
					      .dtype = dtype,
					      .threads = threads,
					      .spin_ns = 20000 };
	struct pfw_values *values;

	s->name = name;
	s->dtype = dtype;
	s->ops = &cpu->ops.device;
	s->device.props.size = sizeof(s->device.props);
	MUST(!pfw_values_from_texts(cpu->info.options, cpu->info.n_options,
				    "cpu", NULL, 0, &values, NULL));
	MUST(!s->ops->open(values, &info, &s->object, &s->device.props, NULL));
	pfw_values_free(values);
	MUST(s->device.props.act_dtype == PFW_F32);
	MUST(!s->ops->open_queue(s->object, &s->queue, NULL));
	if (s->ops->enter_thread)
		MUST(!s->ops->enter_thread(s->object, NULL));
	s->device.kernels = s->ops->kernels(s->object);
}

uint32_t subjects_open(struct pfw_registry *reg, uint32_t threads,
		       struct subject out[MAX_SUBJECTS])
{
	const struct pfw_loaded *cpu;
	struct pfw_error err;
	int rc;

	memset(out, 0, MAX_SUBJECTS * sizeof(out[0]));
	out[0].name = "plain";
	out[0].device = plain_device;
	rc = pfw_registry_get(reg, PFW_KIND_DEVICE, "cpu", &cpu, &err);
	if (rc) {
		printf("\n  without the cpu device: %s\n", err.text);
		MUST(rc == -ENOENT);
		return 1;
	}
	open_cpu(&out[1], cpu, "cpu", PFW_F32, threads);
	open_cpu(&out[2], cpu, "cpu bf16", PFW_BF16, threads);
	return MAX_SUBJECTS;
}

void subjects_close(struct subject *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!s[i].ops)
			continue;
		s[i].ops->close_queue(s[i].queue);
		s[i].ops->close(s[i].object);
	}
}

/* Poisoned: as floats all NaN. */
static void *make(size_t bytes)
{
	size_t size = pfw_align_up(bytes ? bytes : 1);
	void *p = aligned_alloc(PFW_ALIGN, size);

	MUST(p);
	return memset(p, 0xff, size);
}

static void free_all(void *list, uint32_t n)
{
	void **p = list;

	for (uint32_t i = 0; i < n; i++)
		free(p[i]);
	free(p);
}

/* Weights of every parameter.  Matrices keep the size of what goes through
 * them, as far as where the GELU bends; what would be 0 or 1 moves too. */
static void fill_weights(struct rig *r)
{
	const struct pfw_model *m = r->model;

	for (uint32_t i = 0; i < m->n_params; i++) {
		struct pfw_param p = m->params[i].info;
		float base = p.init == PFW_INIT_ONE ? 1.0f : 0.0f;

		r->weights[i] = make(m->params[i].elements * sizeof(float));
		p.init = PFW_INIT_NORMAL;
		p.std = p.n_dims == 2 ? 1.2f / sqrtf((float)p.dims[1]) : 0.1f;
		pfw_param_init(&p, 7, 0, m->params[i].elements, r->weights[i]);
		for (uint64_t k = 0; k < m->params[i].elements; k++)
			r->weights[i][k] += base;
	}
	for (uint32_t i = 0; i < m->n_uses; i++) {
		uint32_t param = m->uses[i].param;

		r->table[i] = r->weights[param];
		r->grads[i] = make(m->params[param].elements * sizeof(float));
	}
}

void rig_open(struct rig *r, const struct pfw_loaded *stage,
	      const struct subject *on, const struct rig_setup *setup)
{
	const struct pfw_call_shape shape = {
		.size = sizeof(shape), .batch = setup->batch, .seq = setup->seq,
		.act_dtype = PFW_F32, .split = setup->split };
	struct pfw_error err = { 0 };
	uint32_t n = 0;
	int rc;

	memset(r, 0, sizeof(*r));
	r->on = on;
	r->stage = stage;
	while (n < 5 && setup->options[n])
		n++;
	rc = pfw_values_from_texts(stage->info.options, stage->info.n_options,
				   "gpt2", setup->options, n, &r->values, &err);
	if (!rc)
		rc = pfw_model_open(stage, r->values, &shape,
				    setup->stages ? setup->stages : 1,
				    setup->layout, &r->model, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.text);
	MUST(!rc);
	r->weights = calloc(r->model->n_params, sizeof(*r->weights));
	r->table = calloc(r->model->n_uses, sizeof(*r->table));
	r->grads = calloc(r->model->n_uses, sizeof(*r->grads));
	MUST(r->weights && r->table && r->grads);
	fill_weights(r);
}

void rig_close(struct rig *r)
{
	free_all(r->weights, r->model->n_params);
	free_all(r->grads, r->model->n_uses);
	free(r->table);
	pfw_model_close(r->model);
	pfw_values_free(r->values);
}

/* What one stage holds of one micro-batch. */
struct slot {
	void *saved, *output, *grad_output;
};

static struct slot *make_slots(const struct pfw_model *m, uint32_t n_micro)
{
	struct slot *slots = calloc((size_t)m->n_stages * n_micro,
				    sizeof(*slots));

	MUST(slots);
	for (uint32_t i = 0; i < m->n_stages * n_micro; i++) {
		const struct pfw_model_stage *s = &m->stages[i % m->n_stages];

		slots[i].saved = make(s->saved_bytes);
		if (!s->output_bytes)
			continue;
		slots[i].output = make(s->output_bytes);
		slots[i].grad_output = make(s->output_bytes);
	}
	return slots;
}

static void free_slots(const struct pfw_model *m, struct slot *slots,
		       uint32_t n_micro)
{
	for (uint32_t i = 0; i < m->n_stages * n_micro; i++) {
		free(slots[i].saved);
		free(slots[i].output);
		free(slots[i].grad_output);
	}
	free(slots);
}

/* All of a call but where its scratch is; slots are those of the micro-batch,
 * one a stage. */
static struct pfw_call make_call(const struct rig *r, uint32_t stage,
				 const struct slot *slots)
{
	const struct pfw_model_stage *s = &r->model->stages[stage];
	struct pfw_call c = {
		.size = sizeof(c), .device = &r->on->device,
		.queue = r->on->queue, .first_layer = s->first_layer,
		.n_layers = s->n_layers, .shape = r->model->shape,
		.weights = r->table + s->first_use,
		.grads = r->grads + s->first_use,
		.saved = slots[stage].saved, .output = slots[stage].output,
		.grad_output = slots[stage].grad_output,
	};

	if (stage) {
		c.input = slots[stage - 1].output;
		c.grad_input = slots[stage - 1].grad_output;
	}
	return c;
}

/* With scratch of the very size, poisoned. */
static void run_call(const struct rig *r, uint32_t stage, struct pfw_call *c,
		     void (*what)(void *model, const struct pfw_call *call))
{
	c->work = make(r->model->stages[stage].work_bytes);
	what(r->model->object, c);
	free(c->work);
}

/* One kind of call for all micro-batches; down: from the last stage. */
static void run_pass(struct rig *r, struct slot *slots, const int32_t *tokens,
		     const int32_t *targets, uint32_t n_micro, int down,
		     double *loss,
		     void (*what)(void *model, const struct pfw_call *call))
{
	const struct pfw_model *m = r->model;
	const uint32_t rows = m->shape.batch * m->shape.seq;

	for (uint32_t i = 0; i < n_micro; i++) {
		for (uint32_t k = 0; k < m->n_stages; k++) {
			uint32_t s = down ? m->n_stages - 1 - k : k;
			struct pfw_call c = make_call(r, s, slots +
						      i * m->n_stages);

			c.flags = PFW_CALL_TRAIN |
				  (i ? PFW_CALL_ACCUMULATE : 0);
			c.tokens = tokens + i * rows;
			c.targets = targets + i * rows;
			c.loss_scale = 1.0f / (float)(rows * n_micro);
			c.loss = loss;
			run_call(r, s, &c, what);
		}
	}
}

double rig_train(struct rig *r, const int32_t *tokens, const int32_t *targets,
		 uint32_t n_micro, int how)
{
	const struct pfw_stage_ops *ops = r->model->ops;
	struct slot *slots = make_slots(r->model, n_micro);
	double loss = 0;

	for (uint32_t i = 0; i < r->model->n_uses; i++)
		memset(r->grads[i], 0xff, sizeof(float) *
		       r->model->params[r->model->uses[i].param].elements);
	run_pass(r, slots, tokens, targets, n_micro, 0, &loss, ops->forward);
	MUST(loss == 0);
	if (how == RIG_BACKWARD) {
		run_pass(r, slots, tokens, targets, n_micro, 1, &loss,
			 ops->backward);
	} else {
		run_pass(r, slots, tokens, targets, n_micro, 1, &loss,
			 ops->backward_input);
		run_pass(r, slots, tokens, targets, n_micro, 0, &loss,
			 ops->backward_weight);
	}
	free_slots(r->model, slots, n_micro);
	return loss;
}

double rig_evaluate(struct rig *r, const int32_t *tokens,
		    const int32_t *targets, float *logits)
{
	struct slot *slots = make_slots(r->model, 1);
	double loss = 0;

	for (uint32_t s = 0; s < r->model->n_stages; s++) {
		struct pfw_call c = make_call(r, s, slots);

		c.saved = NULL;
		c.grads = NULL;
		c.grad_output = c.grad_input = NULL;
		c.tokens = tokens;
		c.targets = targets;
		c.loss = logits ? NULL : &loss;
		c.logits = logits;
		run_call(r, s, &c, r->model->ops->forward);
	}
	free_slots(r->model, slots, 1);
	return loss;
}

void rig_tokens(int32_t *out, uint32_t n, uint32_t vocab, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		out[i] = (int32_t)((seed >> 8) % vocab);
	}
}
