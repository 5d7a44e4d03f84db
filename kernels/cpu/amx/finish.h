/*
 * finish.h: the epilogue of one block of C, row by row, so that it can go on while
 * the tiles make the next block.
 */
#ifndef PFW_KERNELS_CPU_AMX_FINISH_H
#define PFW_KERNELS_CPU_AMX_FINISH_H

#include "amx/amx.h"
#include "isa/vec.h"
#include "isa/vmath.h"

/** A step before all others: += C, which holds the part of k before. */
#define AMX_ADD_TO 0x80000000u
/** Alone: C in fp32, in whole cache lines, is not read soon. */
#define AMX_AWAY 0x40000000u

/** Part of C: a block's place, and how much of it is there. */
struct amx_place {
	size_t row, col, rows, cols;
};

/** Sums of a block, [BLOCK][BLOCK], and where they belong. */
struct unfinished {
	const float *sums, *bias;
	const bf16 *residual;
	bf16 *aux;
	void *c;
	size_t ld, row, rows, cols; /**< the next row, of how many */
};

/* As vf_gelu(), to what is left of it in bf16, in half the time: with 2^t for
 * exp(-2u), 2^r by a polynomial (Remez, within 3.6e-6 of it for |r| <= 1/2), the
 * reciprocal to 14 bits.  Beyond 2^-120 and 2^120 the gate is 1 and 0 in fp32. */
INLINE vf gelu16(vf x, vf *slope)
{
	const float log2e = 1.44269504f;
	const vf square = x * x;
	vf t = x * (square * (-2.0f * GELU_SCALE * GELU_CUBE * log2e) -
		    2.0f * GELU_SCALE * log2e);
	vf n, r, q, gate, value;

	t = vf_min(vf_set(120.0f), vf_max(vf_set(-120.0f), t));
	n = _mm512_roundscale_ps(t, 0);
	r = t - n;
	q = r * 0x1.409104p-7f + 0x1.ca9008p-5f;
	q = q * r + 0x1.ebf1b4p-3f;
	q = q * r + 0x1.62dfcap-1f;
	q = q * r + 1.0f;
	gate = _mm512_rcp14_ps(1.0f + (vf)_mm512_scalef_ps(q, n));
	value = x * gate;
	*slope = gate + (value - value * gate) *
			(square * (6.0f * GELU_SCALE * GELU_CUBE) +
			 2.0f * GELU_SCALE);
	return value;
}

INLINE struct unfinished to_finish(const struct pfw_gemm *g,
				   const struct amx_place *at,
				   const float *sums, const uint32_t steps,
				   const int wide)
{
	const size_t first = at->row * g->n + at->col;
	struct unfinished u = { .sums = sums, .ld = g->n, .rows = at->rows,
				.cols = at->cols };

	u.c = (char *)g->c + first * (wide ? sizeof(float) : sizeof(bf16));
	if (steps & PFW_EPI_BIAS)
		u.bias = g->bias + at->col;
	if (steps & (PFW_EPI_GELU | PFW_EPI_DGELU))
		u.aux = (bf16 *)g->aux + first;
	if (steps & PFW_EPI_RESIDUAL)
		u.residual = (const bf16 *)g->residual + first;
	return u;
}

/* One vector, from column @p i on; @p left as in LOAD; @p wide: C is fp32. */
INLINE vf finished(const struct unfinished *u, size_t i, size_t left,
		   const uint32_t steps, const int wide, vf *slope)
{
	const size_t at = u->row * u->ld;
	const float *wide_c = (const float *)u->c + at;
	const bf16 *c = (const bf16 *)u->c + at;
	vf x = vf_load(u->sums + u->row * BLOCK + i);

	if (steps & AMX_ADD_TO)
		x += wide ? LOAD(wide_c) : LOAD(c);
	if (steps & PFW_EPI_BIAS)
		x += LOAD(u->bias);
	if (steps & PFW_EPI_GELU)
		x = gelu16(x, slope);
	if (steps & PFW_EPI_DGELU)
		x *= LOAD(u->aux + at);
	if (steps & PFW_EPI_RESIDUAL)
		x += LOAD(u->residual + at);
	if (steps & PFW_EPI_ACCUMULATE)
		x += wide ? LOAD(wide_c) : LOAD(c);
	return x;
}

INLINE void store_pair(bf16 *x, vf low, vf high)
{
	_mm512_storeu_si512(x, (__m512i)_mm512_cvtne2ps_pbh((__m512)high,
							    (__m512)low));
}

/* What is not read soon, past the caches where it is a whole line. */
INLINE void store_pair_away(bf16 *x, vf low, vf high)
{
	__m512i v = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);

	if ((uintptr_t)x % 64)
		_mm512_storeu_si512(x, v);
	else
		_mm512_stream_si512((void *)x, v);
}

INLINE void finish_whole_row(const struct unfinished *u, const uint32_t steps,
			     const int wide)
{
	const size_t at = u->row * u->ld;
	float *wide_c = (float *)u->c + at;
	vf slope[2] = { { 0 } }, x[2];

	for (int h = 0; h < 2; h++)
		x[h] = finished(u, h * VW, VW, steps, wide, &slope[h]);
	if (steps & PFW_EPI_GELU)
		store_pair_away(u->aux + at, slope[0], slope[1]);
	if (steps & AMX_AWAY) {
		_mm512_stream_ps(wide_c, x[0]);
		_mm512_stream_ps(wide_c + VW, x[1]);
	} else if (wide) {
		vf_store(wide_c, x[0]);
		vf_store(wide_c + VW, x[1]);
	} else {
		store_pair((bf16 *)u->c + at, x[0], x[1]);
	}
}

INLINE void finish_part_of_row(const struct unfinished *u, const uint32_t steps,
			       const int wide)
{
	const size_t at = u->row * u->ld;
	float *wide_c = (float *)u->c + at;
	bf16 *c = (bf16 *)u->c + at;

	for (size_t i = 0; i < u->cols; i += VW) {
		const size_t left = u->cols - i;
		vf slope = { 0 }, x = finished(u, i, left, steps, wide, &slope);

		if (steps & PFW_EPI_GELU)
			STORE(u->aux + at, slope);
		if (steps & AMX_AWAY)
			_mm512_stream_ps(wide_c + i, x);
		else if (wide)
			STORE(wide_c, x);
		else
			STORE(c, x);
	}
}

/** @p n rows more, if there are so many. */
INLINE void finish_rows(struct unfinished *u, size_t n, const uint32_t steps,
			const int wide)
{
	for (; n && u->row < u->rows; n--, u->row++)
		if (u->cols == BLOCK)
			finish_whole_row(u, steps, wide);
		else
			finish_part_of_row(u, steps, wide);
}

#endif
