/*
 * attention.h: what forward and backward of the attention on tiles share.
 *
 * As in isa/attention.h scores are kept transposed, [key][query], a query a
 * lane; blocks of BLOCK by BLOCK above the diagonal are passed over.  Products
 * of probabilities need them as bf16 pairs of keys (an operand B), which is a
 * matter of interleaving two rows.
 */
#ifndef PFW_KERNELS_CPU_AMX_ATTENTION_H
#define PFW_KERNELS_CPU_AMX_ATTENTION_H

#include "amx/tiles.h"
#include "isa/attention.h"

/** Bytes of queue scratch. */
#define AMX_SCRATCH (CPU_SCRATCH * sizeof(float))

/** Rows of a head (queries, keys or values) as an operand: @p along, they run
 *  along k and each is a row of A or a column of B; else k counts them. */
INLINE struct amx_source head_rows(const struct head *h, const bf16 *x,
				   size_t ld, size_t first, size_t n, int along)
{
	return (struct amx_source){
		.x = x + first * ld, .ld = ld, .n = along ? n : h->size,
		.k = along ? h->size : n, .k_contiguous = along,
	};
}

/** The rows @p even and @p odd of k, 16 columns, as a row of an operand B. */
INLINE __m512i bf16_pairs(vf even, vf odd)
{
	const __m512i order = _mm512_set_epi16(
		31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
		23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

	return _mm512_permutexvar_epi16(
		order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

/** @p x, but @p hidden in the queries of half @p half before @p key; both
 *  counted from the first of a block on the diagonal. */
INLINE vf hide(vf x, float hidden, int half, size_t key)
{
	int before = (int)key - 16 * half;
	__mmask16 m = before <= 0 ? 0
				  : before >= 16 ? (__mmask16)0xffff
						 : (__mmask16)((1u << before) - 1);

	return _mm512_mask_mov_ps(x, m, vf_set(hidden));
}

/** dst[row][i] = @p turned[i][row] for the rows that are there, @p turned
 *  in blocks [BLOCK][BLOCK] of @p size. */
INLINE void store_turned(bf16 *dst, size_t ld, const float *turned,
			 size_t rows, size_t size)
{
	__m512i r[16];

	for (size_t i = 0; i < size; i += 16)
		for (size_t half = 0; half < rows; half += 16) {
			size_t n = size - i < 16 ? size - i : 16;

			for (size_t j = 0; j < 16; j++)
				r[j] = _mm512_loadu_si512(
					turned + (i + j) * BLOCK + half);
			tiles_turn(r);
			for (size_t j = 0; j < 16 && half + j < rows; j++)
				vh_store_n(dst + (half + j) * ld + i, (vf)r[j],
					   n);
		}
}

#endif
