/*
 * random.h: rounding to bf16 up or down at random, right on average.
 *
 * The random bits of a matrix's element are a function of a key, its row and its
 * column alone: 32 columns of a row share 16 words of Philox 2x32-7 (Salmon,
 * Moraes, Dror and Shaw, SC'11, doi 10.1145/2063384.2063405), whose low halves
 * are for the first 16 columns.
 */
#ifndef PFW_KERNELS_CPU_RANDOM_H
#define PFW_KERNELS_CPU_RANDOM_H

#include "isa/vec.h"

#define RANDOM_COLUMNS 32

/* 64-bit products of the lanes. */
INLINE void random_multiply(vu x, uint32_t by, vu *low, vu *high)
{
#ifdef __AVX512F__
	const __m512i m = _mm512_set1_epi32((int)by), a = (__m512i)x;
	__m512i even = _mm512_mul_epu32(a, m);
	__m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), m);

	*low = (vu)_mm512_mask_blend_epi32(0xaaaa, even,
					   _mm512_slli_epi64(odd, 32));
	*high = (vu)_mm512_mask_blend_epi32(0xaaaa,
					    _mm512_srli_epi64(even, 32), odd);
#else
	typedef uint64_t wide __attribute__((vector_size(VW * 8)));
	wide product = __builtin_convertvector(x, wide) * by;

	*low = __builtin_convertvector(product, vu);
	*high = __builtin_convertvector(product >> 32, vu);
#endif
}

/** For VW columns of @p row from @p column on, in the low halves, and for those
 *  16 further in the high ones; @p column is less than 16 above a multiple of
 *  RANDOM_COLUMNS. */
INLINE vu random_words(uint32_t key, uint32_t row, uint32_t column)
{
	const uint32_t first = column / RANDOM_COLUMNS * 16 + column % 16;
	vu a, b = row - (vu){ 0 };

	for (uint32_t lane = 0; lane < VW; lane++)
		a[lane] = first + lane;
	for (int round = 0; round < 7; round++, key += 0x9e3779b9) {
		vu low, high;

		random_multiply(a, 0xd256d193, &low, &high);
		a = high ^ key ^ b;
		b = low;
	}
	return a;
}

/** A bf16 number next to each lane: up where the 16 @p bits carry. */
INLINE vf random_round(vf x, vu bits)
{
	vu y = ((vu)x + bits) & 0xffff0000;

	return vf_select(x == x, (vf)y, x);
}

#endif
