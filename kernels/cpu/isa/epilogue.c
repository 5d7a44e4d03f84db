/* What happens to a product on its way to memory. */
#include "isa/isa.h"
#include "isa/vec.h"
#include "isa/vmath.h"

struct row {
	const float *product, *bias, *residual;
	float *c, *aux;
	size_t cols;
};

INLINE void finish_row(const struct row *r, uint32_t steps)
{
	for (size_t i = 0; i < r->cols; i += VW) {
		size_t left = r->cols - i;
		vf x = LOAD(r->product);

		if (steps & PFW_EPI_BIAS)
			x += LOAD(r->bias);
		if (steps & PFW_EPI_GELU) {
			vf slope;

			x = vf_gelu(x, &slope);
			STORE(r->aux, slope);
		}
		if (steps & PFW_EPI_DGELU)
			x *= LOAD(r->aux);
		if (steps & PFW_EPI_RESIDUAL)
			x += LOAD(r->residual);
		if (steps & PFW_EPI_ACCUMULATE)
			x += LOAD(r->c);
		STORE(r->c, x);
	}
}

/* Those that a transformer uses have loops without questions. */
static void dispatch_row(const struct row *r, uint32_t steps)
{
	switch (steps) {
	case PFW_EPI_BIAS:
		finish_row(r, PFW_EPI_BIAS);
		break;
	case PFW_EPI_BIAS | PFW_EPI_GELU:
		finish_row(r, PFW_EPI_BIAS | PFW_EPI_GELU);
		break;
	case PFW_EPI_BIAS | PFW_EPI_RESIDUAL:
		finish_row(r, PFW_EPI_BIAS | PFW_EPI_RESIDUAL);
		break;
	case PFW_EPI_DGELU:
		finish_row(r, PFW_EPI_DGELU);
		break;
	default:
		finish_row(r, steps);
	}
}

void ISA(epilogue)(const struct pfw_gemm *g, uint32_t steps,
		   const struct cpu_block *block, const float *product,
		   size_t ld)
{
	for (size_t i = 0; i < block->rows; i++) {
		size_t at = (block->row + i) * g->n + block->col;
		struct row r = { .product = product + i * ld,
				 .c = (float *)g->c + at,
				 .cols = block->cols };

		if (steps & PFW_EPI_BIAS)
			r.bias = g->bias + block->col;
		if (steps & (PFW_EPI_GELU | PFW_EPI_DGELU))
			r.aux = (float *)g->aux + at;
		if (steps & PFW_EPI_RESIDUAL)
			r.residual = (const float *)g->residual + at;
		dispatch_row(&r, steps);
	}
}
