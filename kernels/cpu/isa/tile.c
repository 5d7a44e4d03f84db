/* Small products and transposes on tiles that are already in cache. */
#include "isa/isa.h"
#include "isa/micro.h"

/* One register block at row i, column j; @p partial: the columns end inside
 * the (single) vector. */
INLINE void block(const struct cpu_tile *t, size_t i, size_t j, const int rows,
		  const int vectors, const int partial)
{
	vf sum[MICRO_ROWS][2] = { 0 };
	const float *a = t->a + i * t->a_row, *b = t->b + j;
	float *c = t->c + i * t->ldc + j;
	size_t left = t->n - j;

	if (!partial)
		micro_sum(sum, a, t->a_row, t->a_k, b, t->ldb, t->k, rows,
			  vectors);
	else
		for (size_t k = 0; k < t->k; k++, a += t->a_k, b += t->ldb) {
			vf y = vf_load_n(b, left);

			for (int r = 0; r < rows; r++)
				sum[r][0] += vf_set(a[(size_t)r * t->a_row]) * y;
		}
	UNROLL(12)
	for (int r = 0; r < rows; r++, c += t->ldc) {
		if (partial) {
			vf y = t->accumulate ? vf_load_n(c, left) : vf_set(0);

			vf_store_n(c, y + sum[r][0], left);
			continue;
		}
		UNROLL(2)
		for (int v = 0; v < vectors; v++) {
			float *p = c + v * VW;

			vf_store(p, t->accumulate ? vf_load(p) + sum[r][v]
						  : sum[r][v]);
		}
	}
}

INLINE void strip(const struct cpu_tile *t, size_t i, const int rows)
{
	size_t j = 0;

	for (; j + 2 * VW <= t->n; j += 2 * VW)
		block(t, i, j, rows, 2, 0);
	if (j + VW <= t->n) {
		block(t, i, j, rows, 1, 0);
		j += VW;
	}
	if (j < t->n)
		block(t, i, j, rows, 1, 1);
}

/* As many rows as address registers allow where A is not packed. */
#define STRIP (MICRO_ROWS < 8 ? MICRO_ROWS : 8)

void ISA(tile_multiply)(const struct cpu_tile *t)
{
	size_t i = 0;

	for (; i + STRIP <= t->m; i += STRIP)
		strip(t, i, STRIP);
	for (; i + 4 <= t->m; i += 4)
		strip(t, i, 4);
	for (; i < t->m; i++)
		strip(t, i, 1);
}

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_any __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t i4 __attribute__((vector_size(16)));

#ifdef __clang__
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (i4){ i, j, k, l })
#endif

INLINE void transpose4(float *dst, size_t dst_ld, const float *src,
		       size_t src_ld, float scale)
{
	v4 a = *(const v4_any *)src * scale;
	v4 b = *(const v4_any *)(src + src_ld) * scale;
	v4 c = *(const v4_any *)(src + 2 * src_ld) * scale;
	v4 d = *(const v4_any *)(src + 3 * src_ld) * scale;
	v4 ab_low = SHUFFLE(a, b, 0, 4, 1, 5), ab = SHUFFLE(a, b, 2, 6, 3, 7);
	v4 cd_low = SHUFFLE(c, d, 0, 4, 1, 5), cd = SHUFFLE(c, d, 2, 6, 3, 7);

	*(v4_any *)dst = SHUFFLE(ab_low, cd_low, 0, 1, 4, 5);
	*(v4_any *)(dst + dst_ld) = SHUFFLE(ab_low, cd_low, 2, 3, 6, 7);
	*(v4_any *)(dst + 2 * dst_ld) = SHUFFLE(ab, cd, 0, 1, 4, 5);
	*(v4_any *)(dst + 3 * dst_ld) = SHUFFLE(ab, cd, 2, 3, 6, 7);
}

void ISA(tile_transpose)(float *dst, size_t dst_ld, const float *src,
			 size_t src_ld, size_t rows, size_t cols, float scale)
{
	size_t r = 0;

	for (; r + 4 <= rows; r += 4) {
		const float *s = src + r * src_ld;
		size_t c = 0;

		for (; c + 4 <= cols; c += 4)
			transpose4(dst + c * dst_ld + r, dst_ld, s + c, src_ld,
				   scale);
		for (; c < cols; c++)
			for (size_t i = 0; i < 4; i++)
				dst[c * dst_ld + r + i] =
					s[i * src_ld + c] * scale;
	}
	for (; r < dst_ld; r++)
		for (size_t c = 0; c < cols; c++)
			dst[c * dst_ld + r] =
				r < rows ? src[r * src_ld + c] * scale : 0.0f;
}
