#include "conform/rig.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/forms.h"
#include "settings/config.h"

int pfw_rig_device_open(struct pfw_registry *reg, const char *name,
			uint32_t dtype, uint32_t threads,
			struct pfw_rig_device *out, struct pfw_error *err)
{
	const struct pfw_device_info info = { .size = sizeof(info),
					      .dtype = dtype,
					      .threads = threads,
					      .spin_ns = 20000 };
	struct pfw_rig_device d = { .name = name, .dtype = dtype };
	const struct pfw_loaded *cpu;
	struct pfw_values *values;
	int rc = pfw_registry_get(reg, PFW_KIND_DEVICE, "cpu", &cpu, err);

	if (!rc)
		rc = pfw_values_from_texts(cpu->info.options,
					   cpu->info.n_options, "cpu", NULL, 0,
					   &values, err);
	if (rc)
		return rc;
	d.ops = &cpu->ops.device;
	d.device.props.size = sizeof(d.device.props);
	rc = d.ops->open(values, &info, &d.object, &d.device.props, err);
	pfw_values_free(values);
	if (rc)
		return rc;
	rc = d.ops->open_queue(d.object, &d.queue, err);
	if (!rc && d.ops->enter_thread)
		rc = d.ops->enter_thread(d.object, err);
	if (rc) {
		d.ops->close(d.object);
		return rc;
	}
	d.device.kernels = d.ops->kernels(d.object);
	*out = d;
	return 0;
}

void pfw_rig_device_close(struct pfw_rig_device *device)
{
	if (!device->ops)
		return;
	device->ops->close_queue(device->queue);
	device->ops->close(device->object);
}

/*
 * Memory with guards on both sides, the front one of which begins with its size.
 * The rig of a test cannot go on without it, nor can a check.
 */
#define GUARD 16384u
#define GUARD_BYTE 0xa5

static size_t *size_of(void *p)
{
	return (size_t *)(void *)((char *)p - GUARD);
}

/* Poisoned: as floats all NaN. */
static void *make(size_t bytes)
{
	size_t size = pfw_align_up(bytes ? bytes : 1);
	char *p = aligned_alloc(PFW_ALIGN, size + 2 * GUARD);

	if (!p)
		abort();
	memset(p, GUARD_BYTE, size + 2 * GUARD);
	p += GUARD;
	*size_of(p) = size;
	return memset(p, 0xff, size);
}

static int is_intact(void *p)
{
	const unsigned char *at = p, *end = at + *size_of(p);

	for (uint32_t i = 1; i <= GUARD - sizeof(size_t); i++)
		if (at[-(int)i] != GUARD_BYTE || end[i - 1] != GUARD_BYTE)
			return 0;
	return 1;
}

static void drop(struct pfw_rig *r, void *p, const char *what)
{
	if (!p)
		return;
	if (!is_intact(p) && !r->spilt[0])
		snprintf(r->spilt, sizeof(r->spilt), "%s, of %zu bytes", what,
			 *size_of(p));
	free((char *)p - GUARD);
}

static void drop_all(struct pfw_rig *r, void *list, uint32_t n,
		     const char *what)
{
	void **p = list;

	for (uint32_t i = 0; p && i < n; i++)
		drop(r, p[i], what);
	free(p);
}

/* Weights of every parameter.  Matrices keep the size of what goes through
 * them, as far as where the GELU bends; what would be 0 or 1 moves too. */
static void fill_weights(struct pfw_rig *r)
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

/* Matrices as the device's products read them. */
static void form_weights(struct pfw_rig *r)
{
	const struct pfw_device *device = &r->on->device;

	for (uint32_t i = 0; i < r->model->n_uses; i++) {
		const struct pfw_param *use = r->model->uses[i].info;
		const float *weight = r->table[i];

		for (uint32_t form = 0; form < PFW_FORMS; form++) {
			uint64_t bytes = pfw_form_bytes(device, r->on->queue,
							use, form);
			void **to = form == PFW_FORM_ACT ?
					    &r->weights_act[i] :
					    &r->packed[2 * i + form];

			if (!bytes)
				continue;
			*to = make(bytes);
			pfw_form_make(device, r->on->queue, use, form, weight,
				      NULL, *to);
		}
	}
}

int pfw_rig_open(struct pfw_rig *r, const struct pfw_loaded *stage,
		 const struct pfw_values *values, const struct pfw_rig_device *on,
		 const struct pfw_rig_setup *setup, struct pfw_error *err)
{
	const struct pfw_call_shape shape = {
		.size = sizeof(shape), .batch = setup->batch, .seq = setup->seq,
		.act_dtype = on->device.props.act_dtype, .split = setup->split };
	int rc;

	*r = (struct pfw_rig){ .on = on, .stage = stage };
	rc = pfw_model_open(stage, values, &shape,
			    setup->stages ? setup->stages : 1, setup->layout,
			    &r->model, err);
	if (rc)
		return rc;
	r->weights = calloc(r->model->n_params + 1, sizeof(*r->weights));
	r->table = calloc(r->model->n_uses + 1, sizeof(*r->table));
	r->grads = calloc(r->model->n_uses + 1, sizeof(*r->grads));
	r->packed = calloc(2 * r->model->n_uses + 1, sizeof(*r->packed));
	r->weights_act = calloc(r->model->n_uses + 1, sizeof(*r->weights_act));
	if (!r->weights || !r->table || !r->grads || !r->packed ||
	    !r->weights_act) {
		pfw_rig_close(r);
		return pfw_error_set(err, ENOMEM, "no memory for weights");
	}
	fill_weights(r);
	form_weights(r);
	return 0;
}

void pfw_rig_close(struct pfw_rig *r)
{
	drop_all(r, r->weights, r->model->n_params, "a parameter");
	drop_all(r, r->grads, r->model->n_uses, "a gradient of a parameter");
	drop_all(r, r->packed, 2 * r->model->n_uses, "a packed parameter");
	drop_all(r, r->weights_act, r->model->n_uses, "a copy of a parameter");
	free(r->table);
	pfw_model_close(r->model);
}

/* What one stage holds of one micro-batch. */
struct slot {
	void *saved, *output, *grad_output;
};

static struct slot *make_slots(const struct pfw_model *m, uint32_t n_micro)
{
	struct slot *slots = calloc((size_t)m->n_stages * n_micro,
				    sizeof(*slots));

	if (!slots)
		abort();
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

static void free_slots(struct pfw_rig *r, struct slot *slots, uint32_t n_micro)
{
	for (uint32_t i = 0; i < r->model->n_stages * n_micro; i++) {
		drop(r, slots[i].saved, "saved");
		drop(r, slots[i].output, "output");
		drop(r, slots[i].grad_output, "grad_input");
	}
	free(slots);
}

/* All of a call but where its scratch is; slots are those of the micro-batch,
 * one a stage. */
static struct pfw_call make_call(struct pfw_rig *r, uint32_t stage,
				 const struct slot *slots)
{
	const struct pfw_model_stage *s = &r->model->stages[stage];
	struct pfw_call c = {
		.size = sizeof(c), .device = &r->on->device,
		.queue = r->on->queue, .first_layer = s->first_layer,
		.n_layers = s->n_layers, .shape = r->model->shape,
		.binding = ++r->binding,
		.weights = r->table + s->first_use,
		.packed = r->packed + 2 * s->first_use,
		.weights_act = r->weights_act + s->first_use,
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
static void run_call(struct pfw_rig *r, uint32_t stage, struct pfw_call *c,
		     void (*what)(void *model, const struct pfw_call *call))
{
	c->work = make(r->model->stages[stage].work_bytes);
	what(r->model->object, c);
	drop(r, c->work, "work");
}

/* A step in the making. */
struct step {
	struct slot *slots;
	const int32_t *tokens, *targets;
	uint32_t n_micro;
	double loss;
};

/* One kind of call for one micro-batch; down: from the last stage. */
static void run_micro(struct pfw_rig *r, struct step *step, uint32_t i, int down,
		      void (*what)(void *model, const struct pfw_call *call))
{
	const struct pfw_model *m = r->model;
	const uint32_t rows = m->shape.batch * m->shape.seq;

	for (uint32_t k = 0; k < m->n_stages; k++) {
		uint32_t s = down ? m->n_stages - 1 - k : k;
		struct pfw_call c = make_call(r, s, step->slots +
						    i * m->n_stages);

		c.flags = PFW_CALL_TRAIN | (i ? PFW_CALL_ACCUMULATE : 0);
		c.tokens = step->tokens + i * rows;
		c.targets = step->targets + i * rows;
		c.loss_scale = 1.0f / (float)(rows * step->n_micro);
		c.loss = &step->loss;
		run_call(r, s, &c, what);
	}
}

static void run_pass(struct pfw_rig *r, struct step *step, int down,
		     void (*what)(void *model, const struct pfw_call *call))
{
	for (uint32_t i = 0; i < step->n_micro; i++)
		run_micro(r, step, i, down, what);
}

double pfw_rig_train(struct pfw_rig *r, const int32_t *tokens,
		     const int32_t *targets, uint32_t n_micro, int how)
{
	const struct pfw_stage_ops *ops = r->model->ops;
	struct step step = { .slots = make_slots(r->model, n_micro),
			     .tokens = tokens, .targets = targets,
			     .n_micro = n_micro };

	for (uint32_t i = 0; i < r->model->n_uses; i++)
		memset(r->grads[i], 0xff, sizeof(float) *
		       r->model->params[r->model->uses[i].param].elements);
	if (how == PFW_RIG_IN_TURN) {
		for (uint32_t i = 0; i < n_micro; i++) {
			run_micro(r, &step, i, 0, ops->forward);
			run_micro(r, &step, i, 1, ops->backward);
		}
	} else {
		run_pass(r, &step, 0, ops->forward);
	}
	if (how == PFW_RIG_BACKWARD)
		run_pass(r, &step, 1, ops->backward);
	if (how == PFW_RIG_APART) {
		run_pass(r, &step, 1, ops->backward_input);
		run_pass(r, &step, 0, ops->backward_weight);
	}
	free_slots(r, step.slots, n_micro);
	return step.loss;
}

double pfw_rig_evaluate(struct pfw_rig *r, const int32_t *tokens,
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
	free_slots(r, slots, 1);
	return loss;
}

void pfw_rig_tokens(int32_t *out, uint32_t n, uint32_t vocab, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		out[i] = vocab ? (int32_t)((seed >> 8) % vocab) : 0;
	}
}
