/* The epilogue of one block of C: two vectors a row. */
#include "amx/amx.h"
#include "isa/vec.h"
#include "isa/vmath.h"

struct rows {
	const float *sums, *bias;
	const bf16 *residual;
	bf16 *aux;
	void *c;
	size_t ld, rows, cols;
};

/* One vector of a row; @p left as in LOAD; @p wide: C is fp32. */
INLINE void finish_vector(const struct rows *r, size_t row, size_t i,
			  size_t left, const uint32_t steps, const int wide)
{
	const size_t at = row * r->ld;
	float *wide_c = (float *)r->c + at;
	bf16 *c = (bf16 *)r->c + at;
	vf x = vf_load(r->sums + row * BLOCK + i);

	if (steps & AMX_ADD_TO)
		x += wide ? LOAD(wide_c) : LOAD(c);
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
		x += wide ? LOAD(wide_c) : LOAD(c);
	if (steps & AMX_AWAY)
		_mm512_stream_ps(wide_c + i, x);
	else if (wide)
		STORE(wide_c, x);
	else
		STORE(c, x);
}

INLINE void finish_rows(const struct rows *r, const uint32_t steps,
			const int wide)
{
	if (r->cols == BLOCK) {
		for (size_t row = 0; row < r->rows; row++) {
			finish_vector(r, row, 0, VW, steps, wide);
			finish_vector(r, row, VW, VW, steps, wide);
		}
		return;
	}
	for (size_t row = 0; row < r->rows; row++)
		for (size_t i = 0; i < r->cols; i += VW)
			finish_vector(r, row, i, r->cols - i, steps, wide);
}

/* Those that a transformer uses have loops without questions. */
INLINE void dispatch(const struct rows *r, uint32_t steps, const int wide)
{
	switch (steps) {
	case 0:
		finish_rows(r, 0, wide);
		break;
	case AMX_AWAY:
		finish_rows(r, AMX_AWAY, wide);
		break;
	case PFW_EPI_ACCUMULATE:
		finish_rows(r, PFW_EPI_ACCUMULATE, wide);
		break;
	case PFW_EPI_BIAS:
		finish_rows(r, PFW_EPI_BIAS, wide);
		break;
	case PFW_EPI_BIAS | PFW_EPI_GELU:
		finish_rows(r, PFW_EPI_BIAS | PFW_EPI_GELU, wide);
		break;
	case PFW_EPI_BIAS | PFW_EPI_RESIDUAL:
		finish_rows(r, PFW_EPI_BIAS | PFW_EPI_RESIDUAL, wide);
		break;
	case PFW_EPI_DGELU:
		finish_rows(r, PFW_EPI_DGELU, wide);
		break;
	default:
		finish_rows(r, steps, wide);
	}
}

void amx_finish(const struct pfw_gemm *g, const struct amx_place *at,
		uint32_t steps, const float *sums)
{
	const size_t first = at->row * g->n + at->col;
	const int wide = g->c_dtype == PFW_F32;
	struct rows r = { .sums = sums, .ld = g->n, .rows = at->rows,
			  .cols = at->cols,
			  .c = (char *)g->c + first * (wide ? sizeof(float)
							    : sizeof(bf16)) };

	if (steps & PFW_EPI_BIAS)
		r.bias = g->bias + at->col;
	if (steps & (PFW_EPI_GELU | PFW_EPI_DGELU))
		r.aux = (bf16 *)g->aux + first;
	if (steps & PFW_EPI_RESIDUAL)
		r.residual = (const bf16 *)g->residual + first;
	if (wide)
		dispatch(&r, steps, 1);
	else
		dispatch(&r, steps, 0);
}
