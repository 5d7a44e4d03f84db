/*
 * micro.h: the innermost product, a block of C held in registers.
 */
#ifndef PFW_KERNELS_CPU_MICRO_H
#define PFW_KERNELS_CPU_MICRO_H

#include "isa/vec.h"

/* Rows held at once: as many as the registers take with two vectors each. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define MICRO_ROWS 12
#else
#define MICRO_ROWS 6
#endif

/** sum[r][v] += A(r,k) * B[k, v*VW..] over k; the counts are constants. */
INLINE void micro_sum(vf sum[MICRO_ROWS][2], const float *a, size_t a_row,
		      size_t a_k, const float *b, size_t ldb, size_t k,
		      const int rows, const int vectors)
{
	UNROLL(2)
	for (size_t kk = 0; kk < k; kk++, a += a_k, b += ldb) {
		vf y[2];

		UNROLL(2)
		for (int v = 0; v < vectors; v++)
			y[v] = vf_load(b + v * VW);
		UNROLL(12)
		for (int r = 0; r < rows; r++) {
			vf x = vf_set(a[(size_t)r * a_row]);

			UNROLL(2)
			for (int v = 0; v < vectors; v++)
				sum[r][v] += x * y[v];
		}
	}
}

#endif
