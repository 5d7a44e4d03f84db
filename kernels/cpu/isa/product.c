/*
 * Our own matrix product in fp32: panels packed so that the innermost loop reads
 * both operands in a row (Goto and van de Geijn, doi 10.1145/1356052.1356053).
 *
 * A block of A stays in the second-level cache while B passes by it, a few
 * panels at a time; what is read from farther away is asked for before it is
 * needed, since rows of a matrix lie too far apart for the processor to guess.
 *
 * Each element is a sum over blocks of K_BLOCK products, in their order: the
 * other sizes here, and who makes it, do not touch the result.
 */
#include "isa/isa.h"
#include "isa/micro.h"

#define ROWS MICRO_ROWS
#define COLS (2 * VW)
#define PANEL (ROWS > COLS ? ROWS : COLS) /* of either operand, at most */
#define K_BLOCK 384
#define M_BLOCK 516 /* a multiple of ROWS */
#define N_BLOCK 128 /* a multiple of COLS */
#define M_STRIP (ROWS * 8) /* rows between visits of the epilogue */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

INLINE void copy_row(float *dst, const size_t width, const act *src, size_t n)
{
	if (n < width)
		memset(dst, 0, width * sizeof(*dst));
	for (size_t i = 0; i < n; i += VW) {
		size_t left = n - i;

		STORE(dst, LOAD(src));
	}
}

#define TOGETHER 8   /* panels that are packed side by side */
#define ROWS_AHEAD 12 /* of k, where these lie one below the other */

/* dst[n / width][k][width] = src[k][n], zeros in what is left of a panel. */
INLINE void pack_straight(float *dst, const size_t width, const act *src,
			  size_t ld, size_t n, size_t k)
{
	for (size_t kk = 0; kk < k; kk++, dst += width, src += ld) {
		for (size_t j = 0; j < n; j += 64 / sizeof(*src))
			__builtin_prefetch(src + ROWS_AHEAD * ld + j);
		for (size_t j = 0; j < n; j += width)
			copy_row(dst + j * k, width, src + j,
				 least(width, n - j));
	}
}

#define CHUNK 16     /* columns of k that are turned together */
#define COLS_AHEAD 4 /* chunks */

/* dst[k][width] = src[0..n)[k], zeros after them. */
INLINE void pack_turned(float *dst, const size_t width, const act *src,
			size_t ld, size_t n, size_t k)
{
	for (size_t kk = 0; kk < k; kk += CHUNK, src += CHUNK) {
		const size_t cols = least(CHUNK, k - kk);
#ifdef CPU_BF16
		float wide[PANEL * CHUNK];
#endif

		for (size_t j = 0; j < n; j++) {
			const act *row = src + j * ld;

			__builtin_prefetch(row + COLS_AHEAD * CHUNK);
#ifdef CPU_BF16
			copy_row(wide + j * CHUNK, CHUNK, row, cols);
#endif
		}
#ifdef CPU_BF16
		ISA(tile_transpose)(dst + kk * width, width, wide, CHUNK, n,
				    cols, 1.0f);
#else
		ISA(tile_transpose)(dst + kk * width, width, src, ld, n, cols,
				    1.0f);
#endif
	}
}

/* Panels of @p width rows (of A, or of B transposed), k long. */
INLINE void pack(float *dst, const size_t width, const act *src, size_t ld,
		 int k_contiguous, size_t n, size_t k)
{
	const size_t most = k_contiguous ? width : TOGETHER * width;

	for (size_t i = 0; i < n; i += most) {
		size_t part = least(most, n - i);

		if (k_contiguous)
			pack_turned(dst + i * k, width, src + i * ld, ld, part,
				    k);
		else
			pack_straight(dst + i * k, width, src + i, ld, part, k);
	}
}

/* A block of C in registers.  Its rows are asked for at the start: into the
 * second-level cache, since with a stride of whole pages they would drive each
 * other out of the first. */
static void micro(const float *a, const float *b, size_t k, float *c,
		  size_t ldc, int accumulate)
{
	vf sum[ROWS][2] = { 0 };

	for (size_t r = 0; r < ROWS; r++) {
		__builtin_prefetch(c + r * ldc, 0, 2);
		__builtin_prefetch(c + r * ldc + COLS - 1, 0, 2);
	}
	micro_sum(sum, a, 1, ROWS, b, COLS, k, ROWS, 2);
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

/* The same for less than a block. */
static void micro_edge(const float *a, const float *b, size_t k, float *c,
		       size_t ldc, size_t rows, size_t cols, int accumulate)
{
	float sums[ROWS][COLS];

	micro(a, b, k, sums[0], COLS, 0);
	for (size_t r = 0; r < rows; r++, c += ldc)
		for (size_t j = 0; j < cols; j++)
			c[j] = accumulate ? c[j] + sums[r][j] : sums[r][j];
}

struct place {
	size_t row, col; /* of C */
	size_t m, n, k;
	int accumulate, last;
};

/* C block [m,n] from packed panels. */
static void multiply_block(const struct cpu_product *p, const struct place *at,
			   const float *a, const float *b)
{
	const struct cpu_block done = { p->row + at->row, at->m,
					p->col + at->col, at->n };
	float *c = p->c + at->row * p->ldc + at->col;

	for (size_t j = 0; j < at->n; j += COLS)
		for (size_t i = 0; i < at->m; i += ROWS) {
			const size_t rows = least(ROWS, at->m - i);
			const size_t cols = least(COLS, at->n - j);
			const float *ai = a + i * at->k, *bj = b + j * at->k;
			float *to = c + i * p->ldc + j;

			if (rows == ROWS && cols == COLS)
				micro(ai, bj, at->k, to, p->ldc,
				      at->accumulate);
			else
				micro_edge(ai, bj, at->k, to, p->ldc, rows,
					   cols, at->accumulate);
		}
	if (at->last && p->steps)
		ISA(epilogue)(p->finish, p->steps, &done, c, p->ldc);
}

/* @p m of C's rows from @p row on, for the products [k0, k0 + at->k). */
static void multiply_rows(const struct cpu_product *p, struct place *at,
			  size_t row, size_t m, size_t k0)
{
	const int a_k = p->kind != PFW_GEMM_TN, b_k = p->kind == PFW_GEMM_NT;
	float *bp = p->scratch, *ap = bp + K_BLOCK * N_BLOCK;

	pack(ap, ROWS, p->a + (a_k ? row * p->lda + k0 : k0 * p->lda + row),
	     p->lda, a_k, m, at->k);
	for (at->col = 0; at->col < p->n; at->col += N_BLOCK) {
		at->n = least(N_BLOCK, p->n - at->col);
		pack(bp, COLS, p->b + (b_k ? at->col * p->ldb + k0
					   : k0 * p->ldb + at->col),
		     p->ldb, b_k, at->n, at->k);
		for (size_t i = 0; i < m; i += M_STRIP) {
			at->row = row + i;
			at->m = least(M_STRIP, m - i);
			multiply_block(p, at, ap + i * at->k, bp);
		}
	}
}

/* Rows of the next block where @p left are to be done: blocks much alike. */
static size_t block_rows(size_t left)
{
	const size_t blocks = (left + M_BLOCK - 1) / M_BLOCK;

	return least(left, (left / blocks + ROWS - 1) / ROWS * ROWS);
}

void ISA(product)(const struct cpu_product *p)
{
	struct place at = { 0 };
	size_t m;

	_Static_assert(M_BLOCK % ROWS == 0 && N_BLOCK % COLS == 0, "panels");
	for (size_t row = 0; row < p->m; row += m) {
		m = block_rows(p->m - row);
		for (size_t k0 = 0; k0 < p->k; k0 += K_BLOCK) {
			at.k = least(K_BLOCK, p->k - k0);
			at.accumulate = p->accumulate || k0;
			at.last = k0 + at.k == p->k;
			multiply_rows(p, &at, row, m, k0);
		}
	}
}
