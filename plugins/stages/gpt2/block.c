#include "steps.h"

#include "linear.h"

static struct pfw_attention attention(const struct run *r,
				      const struct half *h)
{
	const struct pfw_attention a = {
		.size = sizeof(a),
		.batch = r->call->shape.batch, .seq = r->call->shape.seq,
		.heads = r->m->heads, .head_size = r->m->hidden / r->m->heads,
		.qkv = h->qkv, .out = h->heads, .stats = h->stats,
		.grad_out = h->dh, .grad_qkv = h->dqkv,
	};

	return a;
}

/* y = x W + b, with more to the epilogue. */
static void linear_forward(const struct run *r, uint32_t param, const void *x,
			   void *y, uint32_t epilogue, void *aux,
			   const void *residual)
{
	struct pfw_gemm g = linear(r, PFW_GEMM_NN, param, x, y);

	g.epilogue = PFW_EPI_BIAS | epilogue;
	g.bias = run_weight(r, param + 1);
	g.aux = aux;
	g.residual = residual;
	r->k->gemm(r->call->queue, &g);
}

/* dx = dy W^T, times gelu'(aux) where aux is not NULL. */
static void linear_backward_input(const struct run *r, uint32_t param,
				  const void *dy, void *dx, void *aux)
{
	struct pfw_gemm g = linear(r, PFW_GEMM_NT, param, dy, dx);

	if (aux)
		g.epilogue = PFW_EPI_DGELU;
	g.aux = aux;
	r->k->gemm(r->call->queue, &g);
}

static void norm_forward(const struct run *r, const struct half *h)
{
	r->k->layernorm_forward(r->call->queue, h->h, h->mean, h->rstd,
				run_input(r), run_weight(r, LN_W),
				run_weight(r, LN_B), r->rows, r->m->hidden);
}

/* The input's gradient: the output's, by the residual, and what comes back through
 * the norm, h->dh. */
static void norm_backward(const struct run *r, const struct half *h)
{
	r->k->layernorm_backward(r->call->queue, run_grad_input(r),
				 run_grad(r, LN_W), run_grad(r, LN_B), h->dh,
				 run_grad_output(r), run_input(r), h->mean,
				 h->rstd, run_weight(r, LN_W), r->rows,
				 r->m->hidden, run_adds(r));
}

void attention_forward(const struct run *r)
{
	struct pfw_attention a;
	struct half h;

	run_half(r, &h);
	a = attention(r, &h);
	norm_forward(r, &h);
	linear_forward(r, IN_W, h.h, h.qkv, 0, NULL, NULL);
	r->k->attention_forward(r->call->queue, &a);
	linear_forward(r, OUT_W, h.heads, run_output(r), PFW_EPI_RESIDUAL, NULL,
		       run_input(r));
}

void mlp_forward(const struct run *r)
{
	struct half h;

	run_half(r, &h);
	norm_forward(r, &h);
	linear_forward(r, IN_W, h.h, h.g, PFW_EPI_GELU, h.a, NULL);
	linear_forward(r, OUT_W, h.g, run_output(r), PFW_EPI_RESIDUAL, NULL,
		       run_input(r));
}

void attention_backward(const struct run *r, int input, int weight)
{
	struct pfw_attention a;
	struct half h;

	run_half(r, &h);
	a = attention(r, &h);
	if (input) {
		linear_backward_input(r, OUT_W, run_grad_output(r), h.dh, NULL);
		r->k->attention_backward(r->call->queue, &a);
		linear_backward_input(r, IN_W, h.dqkv, h.dh, NULL);
		norm_backward(r, &h);
	}
	if (weight) {
		linear_backward_weight(r, OUT_W, h.heads, run_grad_output(r));
		linear_backward_weight(r, IN_W, h.h, h.dqkv);
	}
}

void mlp_backward(const struct run *r, int input, int weight)
{
	const void *dy = run_grad_output(r);
	struct half h;

	run_half(r, &h);
	if (input) {
		linear_backward_input(r, OUT_W, dy, h.da, h.a);
		linear_backward_input(r, IN_W, h.da, h.dh, NULL);
		norm_backward(r, &h);
	}
	if (weight) {
		linear_backward_weight(r, OUT_W, h.g, dy);
		linear_backward_weight(r, IN_W, h.h, h.da);
	}
}
