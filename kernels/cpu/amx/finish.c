/* The epilogue of one block of C: two vectors a row. */
#include "amx/amx.h"
#include "isa/vec.h"
#include "isa/vmath.h"

struct rows {
	const float *sums, *bias, *residual;
	float *c, *aux;
	size_t ld, rows, cols;
};

/* One vector of a row; @p left as in LOAD. */
INLINE void finish_vector(const struct rows *r, size_t row, size_t i,
			  size_t left, const uint32_t steps)
{
	const size_t at = row * r->ld;
	vf x = vf_load(r->sums + row * BLOCK + i);

	if (steps & AMX_ADD_TO)
		x += LOAD(r->c + at);
	if (steps & PFW_EPI_BIAS)
		x += LOAD(r->bias);
	if (steps & PFW_EPI_GELU) {
		vf slope;

		x = vf_gelu(x, &slope);
		STORE(r->aux + at, slope);
	}
	if (steps & PFW_EPI_DGELU)
		x *= LOAD(r->aux + at);
	if (steps & PFW_EPI_RESIDUAL)
		x += LOAD(r->residual + at);
	if (steps & PFW_EPI_ACCUMULATE)
		x += LOAD(r->c + at);
	STORE(r->c + at, x);
}

INLINE void finish_rows(const struct rows *r, const uint32_t steps)
{
	if (r->cols == BLOCK) {
		for (size_t row = 0; row < r->rows; row++) {
			finish_vector(r, row, 0, VW, steps);
			finish_vector(r, row, VW, VW, steps);
		}
		return;
	}
	for (size_t row = 0; row < r->rows; row++)
		for (size_t i = 0; i < r->cols; i += VW)
			finish_vector(r, row, i, r->cols - i, steps);
}

void amx_finish(const struct pfw_gemm *g, const struct amx_place *at,
		uint32_t steps, const float *sums)
{
	size_t first = at->row * g->n + at->col;
	struct rows r = { .sums = sums, .c = (float *)g->c + first,
			  .ld = g->n, .rows = at->rows, .cols = at->cols };

	if (steps & PFW_EPI_BIAS)
		r.bias = g->bias + at->col;
	if (steps & (PFW_EPI_GELU | PFW_EPI_DGELU))
		r.aux = (float *)g->aux + first;
	if (steps & PFW_EPI_RESIDUAL)
		r.residual = (const float *)g->residual + first;
	switch (steps) {
	case 0:
		finish_rows(&r, 0);
		break;
	case PFW_EPI_ACCUMULATE:
		finish_rows(&r, PFW_EPI_ACCUMULATE);
		break;
	case PFW_EPI_BIAS:
		finish_rows(&r, PFW_EPI_BIAS);
		break;
	case PFW_EPI_BIAS | PFW_EPI_GELU:
		finish_rows(&r, PFW_EPI_BIAS | PFW_EPI_GELU);
		break;
	case PFW_EPI_BIAS | PFW_EPI_RESIDUAL:
		finish_rows(&r, PFW_EPI_BIAS | PFW_EPI_RESIDUAL);
		break;
	case PFW_EPI_DGELU:
		finish_rows(&r, PFW_EPI_DGELU);
		break;
	default:
		finish_rows(&r, steps);
	}
}
