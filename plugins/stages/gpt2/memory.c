#include "memory.h"

#include <string.h>

/* The most that the head's logits take: above it, rows go in chunks.  (A test
 * builds the plugin with less.) */
#ifndef LOGITS_BYTES
#define LOGITS_BYTES (256u << 20)
#endif
/* Chunks are multiples of this many rows. */
#define CHUNK_ROWS 128u

/* Hands out aligned pieces of a region; with base NULL it only counts. */
struct carver {
	char *base;
	uint64_t used;
};

static void *take(struct carver *c, uint64_t bytes)
{
	void *p = c->base ? c->base + c->used : NULL;

	c->used += pfw_align_up(bytes);
	return p;
}

static uint32_t shape_rows(const struct pfw_call_shape *s)
{
	return s->batch * s->seq;
}

/* Bytes of n act numbers a row. */
static uint64_t act_bytes(const struct pfw_call_shape *s, uint64_t n)
{
	return n * shape_rows(s) * pfw_dtype_bytes(s->act_dtype);
}

static uint64_t float_bytes(const struct pfw_call_shape *s, uint64_t n)
{
	return n * shape_rows(s) * sizeof(float);
}

/*
 * What passes from layer to layer of a range where nothing is kept of it (in
 * evaluation, and gradients where W follows I at once) lies at the start of
 * `work`, in two places that change turns.
 */
static void *take_passing(const struct gpt2 *m, const struct pfw_call_shape *s,
			  struct carver *work, uint32_t turn)
{
	void *p[2];

	p[0] = take(work, act_bytes(s, m->hidden));
	p[1] = take(work, act_bytes(s, m->hidden));
	return p[turn % 2];
}

/* The first two pieces of every layer's `saved`. */
static void take_ends(const struct gpt2 *m, uint32_t layer,
		      const struct pfw_call_shape *s, struct carver *saved,
		      void **input, void **grad_output)
{
	*input = is_embedding(layer) ? NULL :
		take(saved, act_bytes(s, m->hidden));
	*grad_output = is_head(m, layer) || !s->split ? NULL :
		take(saved, act_bytes(s, m->hidden));
}

static void take_forward(const struct gpt2 *m, uint32_t layer,
			 const struct pfw_call_shape *s, struct carver *from,
			 struct half *h)
{
	const uint64_t c = act_bytes(s, m->hidden);

	h->h = take(from, c);
	h->mean = take(from, float_bytes(s, 1));
	h->rstd = take(from, float_bytes(s, 1));
	if (is_attention(layer)) {
		h->qkv = take(from, 3 * c);
		h->heads = take(from, c);
		h->stats = take(from, float_bytes(s, m->heads));
	} else {
		h->a = take(from, 4 * c);
		h->g = take(from, 4 * c);
	}
}

static void take_backward(const struct gpt2 *m, uint32_t layer,
			  const struct pfw_call_shape *s, struct carver *from,
			  struct half *h)
{
	const uint64_t c = act_bytes(s, m->hidden);

	if (is_attention(layer))
		h->dqkv = take(from, 3 * c);
	else
		h->da = take(from, 4 * c);
}

static void take_head(const struct gpt2 *m, const struct pfw_call_shape *s,
		      struct carver *work, struct head *h)
{
	const uint64_t row = m->vocab * pfw_dtype_bytes(s->act_dtype);
	uint64_t chunk = LOGITS_BYTES / row / CHUNK_ROWS * CHUNK_ROWS;

	if (chunk < CHUNK_ROWS)
		chunk = CHUNK_ROWS;
	if (chunk > shape_rows(s))
		chunk = shape_rows(s);
	h->chunk = (uint32_t)chunk;
	h->h = take(work, act_bytes(s, m->hidden));
	h->mean = take(work, float_bytes(s, 1));
	h->rstd = take(work, float_bytes(s, 1));
	h->dh = take(work, act_bytes(s, m->hidden));
	h->logits = take(work, chunk * row);
}

/* Evaluation has all of it in work, backward its scratch. */
static void half_bytes(const struct gpt2 *m, uint32_t layer,
		       const struct pfw_call_shape *s, uint64_t *saved,
		       uint64_t *work)
{
	struct carver keep = { 0 }, eval = { 0 }, train = { 0 };
	struct half h;

	take_forward(m, layer, s, &keep, &h);
	if (s->split)
		take_backward(m, layer, s, &keep, &h);
	take_forward(m, layer, s, &eval, &h);
	take_backward(m, layer, s, &train, &h);
	take(&train, act_bytes(s, m->hidden));
	*saved += keep.used;
	*work += eval.used > train.used ? eval.used : train.used;
}

void layer_bytes(const struct gpt2 *m, uint32_t layer,
		 const struct pfw_call_shape *shape, uint64_t *saved,
		 uint64_t *work)
{
	struct carver keep = { 0 }, scratch = { 0 };
	struct head h;
	void *input, *grad_output;

	take_ends(m, layer, shape, &keep, &input, &grad_output);
	take_passing(m, shape, &scratch, 0);
	if (is_head(m, layer))
		take_head(m, shape, &scratch, &h);
	*saved = keep.used;
	*work = scratch.used;
	if (!is_embedding(layer) && !is_head(m, layer))
		half_bytes(m, layer, shape, saved, work);
}

void run_start(struct run *r, const struct gpt2 *m, const struct pfw_call *call,
	       enum run_mode mode)
{
	memset(r, 0, sizeof(*r));
	r->m = m;
	r->call = call;
	r->k = call->device->kernels;
	r->rows = shape_rows(&call->shape);
	r->mode = mode;
}

static uint64_t saved_by(const struct run *r, uint32_t layer)
{
	uint64_t saved, work;

	layer_bytes(r->m, layer, &r->call->shape, &saved, &work);
	return saved;
}

/* Bytes of `saved` of the layers [first, end); blocks are all of one size. */
static uint64_t saved_between(const struct run *r, uint32_t first, uint32_t end)
{
	uint64_t total = 0;

	if (first < end && is_embedding(first))
		total += saved_by(r, first++);
	if (first < end)
		total += saved_by(r, first) * ((end - first + 1) / 2);
	if (first + 1 < end)
		total += saved_by(r, first + 1) * ((end - first) / 2);
	return total;
}

void run_seek(struct run *r, uint32_t layer)
{
	const uint32_t first = r->call->first_layer;

	r->layer = layer;
	r->param = params_before(layer) - params_before(first);
	r->saved = NULL;
	if (r->mode != RUN_EVALUATE && r->call->saved)
		r->saved = (char *)r->call->saved +
			saved_between(r, first, layer);
}

/* What the layer takes in, if it is not the range's first. */
static void *inner_input(const struct run *r, uint32_t layer)
{
	struct carver saved = { 0 }, work = { r->call->work, 0 };
	void *input, *grad_output;
	struct run at = *r;

	if (r->mode == RUN_EVALUATE)
		return take_passing(r->m, &r->call->shape, &work, layer);
	run_seek(&at, layer);
	saved.base = at.saved;
	take_ends(r->m, layer, &r->call->shape, &saved, &input, &grad_output);
	return input;
}

/* The gradient of what it gives out, if it is not the range's last. */
static void *inner_grad_output(const struct run *r, uint32_t layer)
{
	struct carver saved = { 0 }, work = { r->call->work, 0 };
	void *input, *grad_output;
	struct run at = *r;

	if (r->mode != RUN_APART)
		return take_passing(r->m, &r->call->shape, &work, layer);
	run_seek(&at, layer);
	saved.base = at.saved;
	take_ends(r->m, layer, &r->call->shape, &saved, &input, &grad_output);
	return grad_output;
}

static int at_first(const struct run *r)
{
	return r->layer == r->call->first_layer;
}

static int at_last(const struct run *r)
{
	return r->layer + 1 == r->call->first_layer + r->call->n_layers;
}

const void *run_input(const struct run *r)
{
	return at_first(r) ? r->call->input : inner_input(r, r->layer);
}

void *run_output(const struct run *r)
{
	return at_last(r) ? r->call->output : inner_input(r, r->layer + 1);
}

const void *run_grad_output(const struct run *r)
{
	return at_last(r) ? r->call->grad_output :
		inner_grad_output(r, r->layer);
}

void *run_grad_input(const struct run *r)
{
	return at_first(r) ? r->call->grad_input :
		inner_grad_output(r, r->layer - 1);
}

void run_half(const struct run *r, struct half *out)
{
	const struct pfw_call_shape *s = &r->call->shape;
	struct carver saved = { r->saved, 0 }, work = { r->call->work, 0 };
	const int keeps = r->mode != RUN_EVALUATE;
	void *input, *grad_output;

	memset(out, 0, sizeof(*out));
	take_passing(r->m, s, &work, 0);
	if (keeps)
		take_ends(r->m, r->layer, s, &saved, &input, &grad_output);
	take_forward(r->m, r->layer, s, keeps ? &saved : &work, out);
	if (!keeps)
		return;
	take_backward(r->m, r->layer, s, r->mode == RUN_APART ? &saved : &work,
		      out);
	out->dh = take(&work, act_bytes(s, r->m->hidden));
}

void run_head(const struct run *r, struct head *out)
{
	struct carver work = { r->call->work, 0 };

	take_passing(r->m, &r->call->shape, &work, 0);
	take_head(r->m, &r->call->shape, &work, out);
}
