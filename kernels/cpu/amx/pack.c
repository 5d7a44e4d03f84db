/*
 * From rows to tiles.
 *
 * Where k runs along the rows of the source, a row of A is a row of the
 * source, and a tile of B the same turned about its diagonal in units of pairs;
 * where k runs across them, two rows are interleaved into pairs, which is a
 * tile of B, and turned for A.
 */
#include "amx/tiles.h"
#include "isa/random.h"

/* The mask of the first @p n of 16 lanes. */
INLINE __mmask16 lanes(size_t n)
{
	return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* What a source is made of; a constant wherever it is asked for. */
enum kind { IN_BF16, WEIGHT, WEIGHT_AT_RANDOM };

/* 32 elements of a row from @p col on, those from @p n on are 0. */
INLINE __m512i load(const struct amx_source *s, size_t row, size_t col,
		    size_t n, const enum kind kind)
{
	const size_t at = (s->row + row) * s->ld + s->col + col;
	__m512 low, high;

	if (kind == IN_BF16)
		return _mm512_maskz_loadu_epi16(
			n >= 32 ? 0xffffffff : (1u << n) - 1, s->x + at);
	low = _mm512_maskz_loadu_ps(lanes(n), s->weight + at);
	high = _mm512_maskz_loadu_ps(lanes(n > 16 ? n - 16 : 0),
				     s->weight + at + 16);
	if (kind == WEIGHT_AT_RANDOM) {
		vu words = random_words(*s->key, (uint32_t)(s->row + row),
					(uint32_t)(s->col + col));

		low = (__m512)random_round((vf)low, words & 0xffff);
		high = (__m512)random_round((vf)high, words >> 16);
	}
	return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Rows @p row of a source along k into one tile. */
INLINE void tile_along(bf16 *dst, const struct amx_source *s, size_t row,
		       size_t k, const int turned, const enum kind kind)
{
	__m512i r[16];

	for (size_t i = 0; i < 16; i++)
		r[i] = row + i < s->n ? load(s, row + i, k, s->k - k, kind)
				      : _mm512_setzero_si512();
	if (turned)
		tiles_turn(r);
	for (int i = 0; i < 16; i++)
		_mm512_store_si512(dst + 32 * i, r[i]);
}

/* Two rows of k as pairs: elements 0 to 15 in *low, the others in *high. */
INLINE void pairs(__m512i even, __m512i odd, __m512i *low, __m512i *high)
{
	const __m512i lows = _mm512_set_epi16(
		47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
		39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);

	*low = _mm512_permutex2var_epi16(even, lows, odd);
	*high = _mm512_permutex2var_epi16(
		even, _mm512_add_epi16(lows, _mm512_set1_epi16(16)), odd);
}

/* 16 bytes of each of four rows, eight apart, side by side. */
INLINE __m512i four_rows(const bf16 *x, size_t ld)
{
	__m512i r = _mm512_castsi128_si512(_mm_loadu_si128((const void *)x));

	r = _mm512_inserti32x4(
		r, _mm_loadu_si128((const void *)(x + 8 * ld)), 1);
	r = _mm512_inserti32x4(
		r, _mm_loadu_si128((const void *)(x + 16 * ld)), 2);
	return _mm512_inserti32x4(
		r, _mm_loadu_si128((const void *)(x + 24 * ld)), 3);
}

/* Eight columns of BLOCK rows: rows of A.  In each 16 bytes of a vector a matrix
 * of 8 x 8 is turned. */
INLINE void turn_columns(bf16 *dst, const bf16 *x, size_t ld)
{
	__m512i r[8], t[8];

	for (int i = 0; i < 8; i++)
		r[i] = four_rows(x + i * ld, ld);
	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm512_unpacklo_epi16(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi16(r[i], r[i + 1]);
	}
	for (int i = 0; i < 8; i += 4)
		for (int j = 0; j < 2; j++) {
			r[i + 2 * j] = _mm512_unpacklo_epi32(t[i + j],
							     t[i + j + 2]);
			r[i + 2 * j + 1] = _mm512_unpackhi_epi32(t[i + j],
								 t[i + j + 2]);
		}
	for (int i = 0; i < 4; i++) {
		_mm512_store_si512(dst + 64 * i,
				   _mm512_unpacklo_epi64(r[i], r[i + 4]));
		_mm512_store_si512(dst + 64 * i + 32,
				   _mm512_unpackhi_epi64(r[i], r[i + 4]));
	}
}

/* All of a step (two tiles) of A.  It is copied first: every line is looked at
 * four times, and rows may be so far apart that they drive each other out. */
INLINE void turn_step(bf16 *dst, const bf16 *x, size_t ld)
{
	_Alignas(64) bf16 near[BLOCK * BLOCK];

	for (size_t i = 0; i < BLOCK; i++)
		_mm512_store_si512(near + i * BLOCK,
				   _mm512_loadu_si512(x + i * ld));
	for (size_t i = 0; i < 4; i++)
		turn_columns(dst + i * TILE / 2, near + 8 * i, BLOCK);
}

/* A step (two tiles) from a source across k. */
INLINE void step_across(bf16 *dst, const struct amx_source *s, size_t n,
			size_t k, const int turned, const enum kind kind)
{
	__m512i low[16], high[16];

	if (turned && kind == IN_BF16 && n + BLOCK <= s->n &&
	    k + BLOCK <= s->k) {
		turn_step(dst, s->x + (s->row + k) * s->ld + s->col + n,
			  s->ld);
		return;
	}
	for (size_t i = 0; i < 16; i++) {
		size_t at = k + 2 * i;
		__m512i even = _mm512_setzero_si512(), odd = even;

		if (at < s->k)
			even = load(s, at, n, s->n - n, kind);
		if (at + 1 < s->k)
			odd = load(s, at + 1, n, s->n - n, kind);
		pairs(even, odd, &low[i], &high[i]);
	}
	if (turned) {
		tiles_turn(low);
		tiles_turn(high);
	}
	for (int i = 0; i < 16; i++) {
		_mm512_store_si512(dst + 32 * i, low[i]);
		_mm512_store_si512(dst + TILE + 32 * i, high[i]);
	}
}

/* A vector that nobody reads soon, past the caches: lines that are written as
 * a whole need not be fetched for it. */
INLINE void store_away(bf16 *dst, __m512i x)
{
	_mm512_stream_si512((void *)dst, x);
}

/* A step of either form from BLOCK by BLOCK of a weight's elements: @p along
 * with k along its rows, @p across with k across them. */
INLINE void step_both(bf16 *along, bf16 *across, const struct amx_source *s,
		      size_t row, size_t col)
{
	__m512i r[BLOCK];

	for (size_t i = 0; i < BLOCK; i++)
		r[i] = row + i < s->n ? load(s, row + i, col, s->k - col, WEIGHT)
				      : _mm512_setzero_si512();
	for (int i = 0; i < 16; i++) {
		__m512i low, high;

		pairs(r[2 * i], r[2 * i + 1], &low, &high);
		store_away(across + 32 * i, low);
		store_away(across + TILE + 32 * i, high);
	}
	tiles_turn(r);
	tiles_turn(r + 16);
	for (int i = 0; i < BLOCK; i++)
		store_away(along + 32 * i, r[i]);
}

void amx_pack_rows(bf16 *nt, bf16 *nn, const struct amx_source *s, size_t row)
{
	const size_t wide = blocks(s->k), high = blocks(s->n), i = row / BLOCK;

	for (size_t j = 0; j < wide; j++)
		step_both(nt + (i * wide + j) * STEP,
			  nn + (j * high + i) * STEP, s, row, j * BLOCK);
	_mm_sfence(); /* such stores keep no order by themselves */
}

/* Rows are read along, as far as they go: a processor fetches ahead what lies
 * side by side. */
INLINE void pack_across(bf16 *dst, const struct amx_source *s, const int turned,
			const enum kind kind)
{
	const size_t wide = blocks(s->n), steps = blocks(s->k);

	for (size_t k = 0; k < steps; k++)
		for (size_t i = 0; i < wide; i++)
			step_across(dst + (i * steps + k) * STEP, s, i * BLOCK,
				    k * BLOCK, turned, kind);
}

INLINE void pack_along(bf16 *dst, const struct amx_source *s, const int turned,
		       const enum kind kind)
{
	for (size_t n = 0; n < s->n; n += BLOCK)
		for (size_t k = 0; k < s->k; k += BLOCK, dst += STEP) {
			tile_along(dst, s, n, k, turned, kind);
			tile_along(dst + TILE, s, n + 16, k, turned, kind);
		}
}

INLINE void pack(bf16 *dst, const struct amx_source *s, const int turned_along,
		 const enum kind kind)
{
	if (s->k_contiguous)
		pack_along(dst, s, turned_along, kind);
	else
		pack_across(dst, s, !turned_along, kind);
}

void amx_pack_a(bf16 *dst, const struct amx_source *s)
{
	pack(dst, s, 0, IN_BF16);
}

void amx_pack_b(bf16 *dst, const struct amx_source *s)
{
	if (!s->weight)
		pack(dst, s, 1, IN_BF16);
	else if (!s->key)
		pack(dst, s, 1, WEIGHT);
	else
		pack(dst, s, 1, WEIGHT_AT_RANDOM);
}

struct packing {
	bf16 *dst;
	struct amx_source source;
	amx_pack_fn *how;
};

static void pack_some(const void *context, size_t first, size_t end,
		      float *scratch)
{
	const struct packing *p = context;
	struct amx_source s = p->source;
	const size_t left = s.n - first * BLOCK, n = (end - first) * BLOCK;

	(void)scratch;
	*(s.k_contiguous ? &s.row : &s.col) += first * BLOCK;
	s.n = left < n ? left : n;
	p->how(p->dst + first * blocks(s.k) * STEP, &s);
}

/* Elements that are worth handing over: some microseconds of packing. */
#define PACK_GRAIN 16384

void amx_pack_all(void *queue, bf16 *dst, const struct amx_source *s,
		  amx_pack_fn *how)
{
	const struct packing p = { dst, *s, how };
	const size_t grain = PACK_GRAIN / (blocks(s->k) * BLOCK * BLOCK);

	cpu_each(queue, blocks(s->n), grain ? grain : 1, pack_some, &p);
}
