#include "steps.h"

#include "linear.h"

static struct pfw_attention attention(const struct run *r,
				      const struct block *b)
{
	const struct pfw_attention a = {
		.size = sizeof(a),
		.batch = r->call->shape.batch, .seq = r->call->shape.seq,
		.heads = r->m->heads, .head_size = r->m->hidden / r->m->heads,
		.qkv = b->qkv, .out = b->heads, .stats = b->stats,
		.grad_out = b->dh, .grad_qkv = b->dqkv,
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

static void norm_forward(const struct run *r, uint32_t param, const void *x,
			 void *out, float *mean, float *rstd)
{
	r->k->layernorm_forward(r->call->queue, out, mean, rstd, x,
				run_weight(r, param), run_weight(r, param + 1),
				r->rows, r->m->hidden);
}

/* dx = dy (the residual's) + what comes back through the norm, b->dh. */
static void norm_backward(const struct run *r, uint32_t param,
			  const struct block *b, const void *dy, const void *x,
			  const float *mean, const float *rstd, void *dx)
{
	r->k->layernorm_backward(r->call->queue, dx, run_grad(r, param),
				 run_grad(r, param + 1), b->dh, dy, x, mean,
				 rstd, run_weight(r, param), r->rows,
				 r->m->hidden, run_adds(r));
}

void block_forward(const struct run *r)
{
	const void *x = run_input(r);
	struct pfw_attention a;
	struct block b;

	run_block(r, &b);
	a = attention(r, &b);
	norm_forward(r, LN1_W, x, b.h1, b.mean1, b.rstd1);
	linear_forward(r, QKV_W, b.h1, b.qkv, 0, NULL, NULL);
	r->k->attention_forward(r->call->queue, &a);
	linear_forward(r, ATTN_W, b.heads, b.r, PFW_EPI_RESIDUAL, NULL, x);
	norm_forward(r, LN2_W, b.r, b.h2, b.mean2, b.rstd2);
	linear_forward(r, FC_W, b.h2, b.g, PFW_EPI_GELU, b.a, NULL);
	linear_forward(r, PROJ_W, b.g, run_output(r), PFW_EPI_RESIDUAL, NULL,
		       b.r);
}

static void mlp_input(const struct run *r, const struct block *b)
{
	const void *dy = run_grad_output(r);

	linear_backward_input(r, PROJ_W, dy, b->da, b->a);
	linear_backward_input(r, FC_W, b->da, b->dh, NULL);
	norm_backward(r, LN2_W, b, dy, b->r, b->mean2, b->rstd2, b->dr);
}

static void mlp_weight(const struct run *r, const struct block *b)
{
	linear_backward_weight(r, PROJ_W, b->g, run_grad_output(r));
	linear_backward_weight(r, FC_W, b->h2, b->da);
}

static void attention_input(const struct run *r, const struct block *b)
{
	const struct pfw_attention a = attention(r, b);

	linear_backward_input(r, ATTN_W, b->dr, b->dh, NULL);
	r->k->attention_backward(r->call->queue, &a);
	linear_backward_input(r, QKV_W, b->dqkv, b->dh, NULL);
	norm_backward(r, LN1_W, b, b->dr, run_input(r), b->mean1, b->rstd1,
		      run_grad_input(r));
}

static void attention_weight(const struct run *r, const struct block *b)
{
	linear_backward_weight(r, ATTN_W, b->heads, b->dr);
	linear_backward_weight(r, QKV_W, b->h1, b->dqkv);
}

void block_backward(const struct run *r, int input, int weight)
{
	struct block b;

	run_block(r, &b);
	if (input)
		mlp_input(r, &b);
	if (weight)
		mlp_weight(r, &b);
	if (input)
		attention_input(r, &b);
	if (weight)
		attention_weight(r, &b);
}
