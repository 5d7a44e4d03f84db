/*
 * tiles.h: one block of a product, and turning 16 x 16 elements.
 */
#ifndef PFW_KERNELS_CPU_AMX_TILES_H
#define PFW_KERNELS_CPU_AMX_TILES_H

#include "amx/amx.h"
#include "isa/vec.h"

struct tiles_shape {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

/** Eight tiles of 16 rows of 64 bytes; _tile_release() ends it.  No tile state
 *  outlives a kernel call, so that nobody has to save it. */
INLINE void tiles_configure(void)
{
	/* Constant: gcc tells its optimizer of the first 8 bytes only, and a
	 * struct filled here may lose the others. */
	static const struct tiles_shape shape = {
		.palette = 1,
		.row_bytes = { 64, 64, 64, 64, 64, 64, 64, 64 },
		.rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
	};

	_tile_loadconfig(&shape);
}

/** An operand A, packed or as it lies, where its tiles are. */
struct tiles_rows {
	const bf16 *x;
	size_t ld;    /* bytes from one row of a tile to the next */
	size_t lower; /* elements to the tile of the lower 16 rows, */
	size_t step;  /* to the next step of k, */
	size_t block; /* and to the next block of rows */
};

/** Sums [BLOCK][BLOCK] begin: as 0 if @p first, else as they are. */
INLINE void tiles_begin(const float *sums, int first)
{
	const size_t ld = BLOCK * sizeof(float);

	if (first) {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	} else {
		_tile_loadd(0, sums, ld);
		_tile_loadd(1, sums + 16, ld);
		_tile_loadd(2, sums + 16 * BLOCK, ld);
		_tile_loadd(3, sums + 16 * BLOCK + 16, ld);
	}
}

/** += A B of one step of k, tiles of A at @p x. */
INLINE void tiles_step(const struct tiles_rows *a, const bf16 *x, const bf16 *b)
{
	_tile_loadd(4, x, a->ld);
	_tile_loadd(6, b, 64);
	_tile_dpbf16ps(0, 4, 6);
	_tile_loadd(7, b + TILE, 64);
	_tile_dpbf16ps(1, 4, 7);
	_tile_loadd(5, x + a->lower, a->ld);
	_tile_dpbf16ps(2, 5, 6);
	_tile_dpbf16ps(3, 5, 7);
}

INLINE void tiles_end(float *sums)
{
	const size_t ld = BLOCK * sizeof(float);

	_tile_stored(0, sums, ld);
	_tile_stored(1, sums + 16, ld);
	_tile_stored(2, sums + 16 * BLOCK, ld);
	_tile_stored(3, sums + 16 * BLOCK + 16, ld);
}

/** sums = (or += unless @p first) A B over @p n steps of k, A packed. */
INLINE void tiles_multiply(const bf16 *a, const bf16 *b, size_t n, float *sums,
			   int first)
{
	const struct tiles_rows packed = { .x = a, .ld = 64, .lower = TILE,
					   .step = STEP };

	tiles_begin(sums, first);
	for (size_t i = 0; i < n; i++)
		tiles_step(&packed, a + i * STEP, b + i * STEP);
	tiles_end(sums);
}

/** Turns a 16 x 16 matrix of 32-bit elements about its diagonal. */
INLINE void tiles_turn(__m512i r[16])
{
	__m512i t[16];

	for (int i = 0; i < 8; i++) {
		t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
		t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
	}
	for (int i = 0; i < 4; i++) {
		__m512i *a = t + 4 * i, *b = r + 4 * i;

		b[0] = _mm512_unpacklo_epi64(a[0], a[2]);
		b[1] = _mm512_unpackhi_epi64(a[0], a[2]);
		b[2] = _mm512_unpacklo_epi64(a[1], a[3]);
		b[3] = _mm512_unpackhi_epi64(a[1], a[3]);
	}
	for (int i = 0; i < 4; i++) {
		t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
		t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
		t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
		t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
	}
	for (int i = 0; i < 4; i++) {
		r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
		r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
		r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
		r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
	}
}

#endif
