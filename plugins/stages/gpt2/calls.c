#include "gpt2.h"

#include "linear.h"
#include "steps.h"

static void embedding_forward(const struct run *r)
{
	const struct pfw_call *c = r->call;

	r->k->embed_forward(c->queue, run_output(r), c->tokens,
			    run_weight(r, WTE), run_weight(r, WPE),
			    c->shape.batch, c->shape.seq, r->m->hidden);
}

static void embedding_weight(const struct run *r)
{
	const struct pfw_call *c = r->call;

	r->k->embed_backward(c->queue, run_grad(r, WTE), run_grad(r, WPE),
			     run_grad_output(r), c->tokens, c->shape.batch,
			     c->shape.seq, r->m->hidden, r->m->vocab,
			     r->m->context, run_adds(r));
}

static void half_forward(const struct run *r)
{
	if (is_attention(r->layer))
		attention_forward(r);
	else
		mlp_forward(r);
}

static void half_backward(const struct run *r, int input, int weight)
{
	if (is_attention(r->layer))
		attention_backward(r, input, weight);
	else
		mlp_backward(r, input, weight);
}

void gpt2_forward(void *model, const struct pfw_call *call)
{
	const int train = call->flags & PFW_CALL_TRAIN;
	struct run r;

	run_start(&r, model, call, train ? RUN_TRAIN : RUN_EVALUATE);
	for (uint32_t i = 0; i < call->n_layers; i++) {
		run_seek(&r, call->first_layer + i);
		if (is_embedding(r.layer))
			embedding_forward(&r);
		else if (!is_head(r.m, r.layer))
			half_forward(&r);
		else if (!train)
			head_forward(&r);
	}
}

static void backward(const struct gpt2 *model, const struct pfw_call *call,
		     enum run_mode mode, int input, int weight)
{
	struct run r;

	run_start(&r, model, call, mode);
	for (uint32_t i = call->n_layers; i--;) {
		run_seek(&r, call->first_layer + i);
		if (is_embedding(r.layer)) {
			if (weight)
				embedding_weight(&r);
		} else if (is_head(r.m, r.layer)) {
			if (input)
				head_backward(&r);
		} else {
			half_backward(&r, input, weight);
		}
	}
}

void gpt2_backward(void *model, const struct pfw_call *call)
{
	backward(model, call, RUN_TRAIN, 1, 1);
}

void gpt2_backward_input(void *model, const struct pfw_call *call)
{
	backward(model, call, RUN_APART, 1, 0);
}

void gpt2_backward_weight(void *model, const struct pfw_call *call)
{
	backward(model, call, RUN_APART, 0, 1);
}
