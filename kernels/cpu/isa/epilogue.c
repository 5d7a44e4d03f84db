/* What happens to a product on its way to memory. */
#include "isa/isa.h"
#include "isa/vec.h"
#include "isa/vmath.h"

struct row {
	const float *product, *bias;
	const act *residual;
	act *aux;
	void *c;
	size_t cols;
};

/* @p wide: C is fp32, not act. */
INLINE void finish_row(const struct row *r, uint32_t steps, const int wide)
{
	float *wide_c = r->c;
	act *act_c = r->c;

	for (size_t i = 0; i < r->cols; i += VW) {
		size_t left = r->cols - i;
		vf x = LOAD(r->product);

		if (steps & PFW_EPI_BIAS)
			x += LOAD(r->bias);
		if (steps & PFW_EPI_GELU) {
			vf slope;

			x = vf_gelu(x, &slope);
			vec_store_away(r->aux + i, slope, left);
		}
		if (steps & PFW_EPI_DGELU)
			x *= LOAD(r->aux);
		if (steps & PFW_EPI_RESIDUAL)
			x += LOAD(r->residual);
		if (steps & PFW_EPI_ACCUMULATE)
			x += wide ? LOAD(wide_c) : LOAD(act_c);
		if (wide)
			STORE(wide_c, x);
		else
			STORE(act_c, x);
	}
}

/* Those that a transformer uses have loops without questions. */
INLINE void dispatch_row(const struct row *r, uint32_t steps, const int wide)
{
	switch (steps) {
	case PFW_EPI_BIAS:
		finish_row(r, PFW_EPI_BIAS, wide);
		break;
	case PFW_EPI_BIAS | PFW_EPI_GELU:
		finish_row(r, PFW_EPI_BIAS | PFW_EPI_GELU, wide);
		break;
	case PFW_EPI_BIAS | PFW_EPI_RESIDUAL:
		finish_row(r, PFW_EPI_BIAS | PFW_EPI_RESIDUAL, wide);
		break;
	case PFW_EPI_DGELU:
		finish_row(r, PFW_EPI_DGELU, wide);
		break;
	default:
		finish_row(r, steps, wide);
	}
}

void ISA(epilogue)(const struct pfw_gemm *g, uint32_t steps,
		   const struct cpu_block *block, const float *product,
		   size_t ld)
{
	const size_t c_bytes = pfw_dtype_bytes(g->c_dtype);

	for (size_t i = 0; i < block->rows; i++) {
		size_t at = (block->row + i) * g->n + block->col;
		struct row r = { .product = product + i * ld,
				 .c = (char *)g->c + at * c_bytes,
				 .cols = block->cols };

		if (steps & PFW_EPI_BIAS)
			r.bias = g->bias + block->col;
		if (steps & (PFW_EPI_GELU | PFW_EPI_DGELU))
			r.aux = (act *)g->aux + at;
		if (steps & PFW_EPI_RESIDUAL)
			r.residual = (const act *)g->residual + at;
		if (g->c_dtype == PFW_F32)
			dispatch_row(&r, steps, 1);
		else
			dispatch_row(&r, steps, 0);
	}
}
