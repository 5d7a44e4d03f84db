/*
 * Our own fp32 matrix product: panels packed so that the innermost loop reads
 * both operands in a row (Goto and van de Geijn, doi 10.1145/1356052.1356053).
 *
 * Each element is a sum over blocks of K_BLOCK products, in their order: the
 * other sizes here do not touch the result.
 */
#include "isa/isa.h"
#include "isa/micro.h"

#define ROWS MICRO_ROWS
#define COLS (2 * VW)
#define K_BLOCK 256
#define M_BLOCK (ROWS * 16)
#define N_BLOCK 1024 /* a multiple of COLS */

/* dst[k][width] = src[k][0..n), zeros after them. */
static void pack_straight(float *dst, size_t width, const float *src,
			  size_t ld, size_t n, size_t k)
{
	for (size_t i = 0; i < k; i++, dst += width, src += ld) {
		memcpy(dst, src, n * sizeof(*dst));
		if (n < width)
			memset(dst + n, 0, (width - n) * sizeof(*dst));
	}
}

/* Panels of @p width rows (of A, or of B transposed), k_len long. */
static void pack(float *dst, size_t width, const float *src, size_t ld,
		 int k_contiguous, size_t n, size_t k)
{
	for (size_t i = 0; i < n; i += width, dst += width * k) {
		size_t left = n - i < width ? n - i : width;

		if (k_contiguous)
			ISA(tile_transpose)(dst, width, src + i * ld, ld, left,
					    k, 1.0f);
		else
			pack_straight(dst, width, src + i, ld, left, k);
	}
}

static void store_edge(float *c, size_t ldc, size_t rows, size_t cols,
		       int accumulate, const vf sum[ROWS][2])
{
	for (size_t r = 0; r < rows; r++, c += ldc) {
		const float *s = (const float *)sum[r];

		for (size_t j = 0; j < cols; j++)
			c[j] = accumulate ? c[j] + s[j] : s[j];
	}
}

static void micro(const float *a, const float *b, size_t k, float *c,
		  size_t ldc, size_t rows, size_t cols, int accumulate)
{
	vf sum[ROWS][2] = { 0 };

	micro_sum(sum, a, 1, ROWS, b, COLS, k, ROWS, 2);
	if (rows < ROWS || cols < COLS) {
		store_edge(c, ldc, rows, cols, accumulate,
			   (const vf(*)[2])sum);
		return;
	}
	UNROLL(12)
	for (int r = 0; r < ROWS; r++, c += ldc) {
		UNROLL(2)
		for (int v = 0; v < 2; v++) {
			float *p = c + v * VW;

			vf_store(p, accumulate ? vf_load(p) + sum[r][v]
					       : sum[r][v]);
		}
	}
}

/* C block [m,n] from packed panels. */
static void multiply_block(const float *a, const float *b, size_t k, float *c,
			   size_t ldc, size_t m, size_t n, int accumulate)
{
	for (size_t j = 0; j < n; j += COLS)
		for (size_t i = 0; i < m; i += ROWS)
			micro(a + i * k, b + j * k, k, c + i * ldc + j, ldc,
			      m - i < ROWS ? m - i : ROWS,
			      n - j < COLS ? n - j : COLS, accumulate);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void ISA(product)(const struct cpu_product *p)
{
	const int a_k = p->kind != PFW_GEMM_TN, b_k = p->kind == PFW_GEMM_NT;
	float *bp = p->scratch, *ap = bp + K_BLOCK * N_BLOCK;

	for (size_t k0 = 0; k0 < p->k; k0 += K_BLOCK) {
		size_t k = least(K_BLOCK, p->k - k0);

		for (size_t j = 0; j < p->n; j += N_BLOCK) {
			size_t n = least(N_BLOCK, p->n - j);

			pack(bp, COLS, p->b + (b_k ? j * p->ldb + k0
						   : k0 * p->ldb + j),
			     p->ldb, b_k, n, k);
			for (size_t i = 0; i < p->m; i += M_BLOCK) {
				size_t m = least(M_BLOCK, p->m - i);

				pack(ap, ROWS, p->a + (a_k ? i * p->lda + k0
							   : k0 * p->lda + i),
				     p->lda, a_k, m, k);
				multiply_block(ap, bp, k,
					       p->c + i * p->ldc + j, p->ldc,
					       m, n, p->accumulate || k0);
			}
		}
	}
}
