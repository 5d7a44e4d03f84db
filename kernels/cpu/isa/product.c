/*
 * Our own matrix product in fp32: panels packed so that the innermost loop reads
 * both operands in a row (Goto and van de Geijn, doi 10.1145/1356052.1356053).
 *
 * Each element is a sum over blocks of K_BLOCK products, in their order: the
 * other sizes here, and who makes it, do not touch the result.
 */
#include "isa/isa.h"
#include "isa/micro.h"

#define ROWS MICRO_ROWS
#define COLS (2 * VW)
#define PANEL (ROWS > COLS ? ROWS : COLS) /* of either operand, at most */
#define K_BLOCK 256
#define M_BLOCK (ROWS * 16)
#define N_BLOCK 1024 /* a multiple of COLS */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* dst[k][width] = src[k][0..n), zeros after them. */
INLINE void pack_straight(float *dst, const size_t width, const act *src,
			  size_t ld, size_t n, size_t k)
{
	for (size_t kk = 0; kk < k; kk++, dst += width, src += ld) {
		if (n < width)
			memset(dst, 0, width * sizeof(*dst));
		for (size_t i = 0; i < n; i += VW) {
			size_t left = n - i;

			STORE(dst, LOAD(src));
		}
	}
}

/* dst[k][width] = src[0..n)[k], zeros after them. */
INLINE void pack_turned(float *dst, const size_t width, const act *src,
			size_t ld, size_t n, size_t k)
{
#ifdef CPU_BF16
	float wide[PANEL * K_BLOCK];

	for (size_t j = 0; j < n; j++, src += ld) {
		float *row = wide + j * K_BLOCK;

		for (size_t i = 0; i < k; i += VW) {
			size_t left = k - i;

			STORE(row, LOAD(src));
		}
	}
	ISA(tile_transpose)(dst, width, wide, K_BLOCK, n, k, 1.0f);
#else
	ISA(tile_transpose)(dst, width, src, ld, n, k, 1.0f);
#endif
}

/* Panels of @p width rows (of A, or of B transposed), k_len long. */
INLINE void pack(float *dst, const size_t width, const act *src, size_t ld,
		 int k_contiguous, size_t n, size_t k)
{
	for (size_t i = 0; i < n; i += width, dst += width * k) {
		size_t left = n - i < width ? n - i : width;

		if (k_contiguous)
			pack_turned(dst, width, src + i * ld, ld, left, k);
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

/* Columns between visits of the epilogue: what it reads is still near. */
#define FINISH_COLS (COLS * 4)

struct place {
	size_t row, col; /* of C */
	size_t m, n, k;
	int accumulate, last;
};

/* C block [m,n] from packed panels. */
static void multiply_block(const struct cpu_product *p, const struct place *at,
			   const float *a, const float *b)
{
	float *c = p->c + at->row * p->ldc + at->col;

	for (size_t j0 = 0; j0 < at->n; j0 += FINISH_COLS) {
		struct cpu_block done = { p->row + at->row, at->m,
					  p->col + at->col + j0,
					  least(FINISH_COLS, at->n - j0) };

		for (size_t j = j0; j < j0 + done.cols; j += COLS)
			for (size_t i = 0; i < at->m; i += ROWS)
				micro(a + i * at->k, b + j * at->k, at->k,
				      c + i * p->ldc + j, p->ldc,
				      least(ROWS, at->m - i),
				      least(COLS, at->n - j), at->accumulate);
		if (at->last && p->steps)
			ISA(epilogue)(p->finish, p->steps, &done, c + j0,
				      p->ldc);
	}
}

/* All of C's columns [col, col + n) for the products [k0, k0 + k). */
static void multiply_panel(const struct cpu_product *p, struct place *at,
			   size_t k0)
{
	const int a_k = p->kind != PFW_GEMM_TN, b_k = p->kind == PFW_GEMM_NT;
	float *bp = p->scratch, *ap = bp + K_BLOCK * N_BLOCK;

	pack(bp, COLS, p->b + (b_k ? at->col * p->ldb + k0
				   : k0 * p->ldb + at->col),
	     p->ldb, b_k, at->n, at->k);
	for (at->row = 0; at->row < p->m; at->row += M_BLOCK) {
		at->m = least(M_BLOCK, p->m - at->row);
		pack(ap, ROWS, p->a + (a_k ? at->row * p->lda + k0
					   : k0 * p->lda + at->row),
		     p->lda, a_k, at->m, at->k);
		multiply_block(p, at, ap, bp);
	}
}

void ISA(product)(const struct cpu_product *p)
{
	struct place at = { 0 };

	for (at.col = 0; at.col < p->n; at.col += N_BLOCK) {
		at.n = least(N_BLOCK, p->n - at.col);
		for (size_t k0 = 0; k0 < p->k; k0 += K_BLOCK) {
			at.k = least(K_BLOCK, p->k - k0);
			at.accumulate = p->accumulate || k0;
			at.last = k0 + at.k == p->k;
			multiply_panel(p, &at, k0);
		}
	}
}
