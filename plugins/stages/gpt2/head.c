#include "steps.h"

#include "linear.h"

/* Rows from `row` on of an act tensor [rows, hidden]. */
static void *rows_from(const struct run *r, void *tensor, uint32_t row)
{
	return (char *)tensor + (size_t)row * r->m->hidden *
		pfw_dtype_bytes(r->call->shape.act_dtype);
}

static uint32_t rows_of_chunk(const struct run *r, const struct head *h,
			      uint32_t row)
{
	return r->rows - row < h->chunk ? r->rows - row : h->chunk;
}

static void head_norm(const struct run *r, const struct head *h)
{
	r->k->layernorm_forward(r->call->queue, h->h, h->mean, h->rstd,
				run_input(r), run_weight(r, LNF_W),
				run_weight(r, LNF_B), r->rows, r->m->hidden);
}

/* Logits of a chunk from h->h; the loss is added up, and with scale not 0 they
 * become their gradient. */
static void head_loss(const struct run *r, const struct head *h, uint32_t row,
		      float scale)
{
	const struct pfw_call *c = r->call;
	struct pfw_gemm g = linear(r, PFW_GEMM_NT, HEAD_W,
				   rows_from(r, h->h, row), h->logits);

	g.m = rows_of_chunk(r, h, row);
	r->k->gemm(c->queue, &g);
	r->k->classifier(c->queue, h->logits, c->targets + row, g.m,
			 r->m->vocab, scale, c->loss);
}

/* The gradients of a chunk: of h->h into h->dh, and of the matrix. */
static void head_grads(const struct run *r, const struct head *h, uint32_t row)
{
	struct pfw_gemm input = linear(r, PFW_GEMM_NN, HEAD_W, h->logits,
				       rows_from(r, h->dh, row));
	const struct pfw_gemm weight = {
		.size = sizeof(weight), .kind = PFW_GEMM_TN,
		.epilogue = run_adds(r) || row ? PFW_EPI_ACCUMULATE : 0,
		.m = r->m->vocab, .n = r->m->hidden,
		.k = rows_of_chunk(r, h, row), .c_dtype = PFW_F32,
		.a = h->logits, .b = rows_from(r, h->h, row),
		.c = run_grad(r, HEAD_W),
	};

	input.m = rows_of_chunk(r, h, row);
	r->k->gemm(r->call->queue, &input);
	r->k->gemm(r->call->queue, &weight);
}

void head_forward(const struct run *r)
{
	struct pfw_gemm g;
	struct head h;

	run_head(r, &h);
	head_norm(r, &h);
	if (!r->call->logits) {
		for (uint32_t row = 0; row < r->rows; row += h.chunk)
			head_loss(r, &h, row, 0.0f);
		return;
	}
	g = linear(r, PFW_GEMM_NT, HEAD_W, h.h, r->call->logits);
	g.c_dtype = PFW_F32;
	r->k->gemm(r->call->queue, &g);
}

void head_backward(const struct run *r)
{
	struct head h;

	run_head(r, &h);
	head_norm(r, &h);
	for (uint32_t row = 0; row < r->rows; row += h.chunk) {
		head_loss(r, &h, row, r->call->loss_scale);
		head_grads(r, &h, row);
	}
	r->k->layernorm_backward(r->call->queue, run_grad_input(r),
				 run_grad(r, LNF_W), run_grad(r, LNF_B), h.dh,
				 NULL, run_input(r), h.mean, h.rstd,
				 run_weight(r, LNF_W), r->rows, r->m->hidden,
				 run_adds(r));
}
