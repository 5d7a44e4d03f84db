/*
 * amx.h: matrix products on AMX tiles (bf16 in, fp32 sums).
 *
 * Intel 64 Architectures Software Developer's Manual, volume 1, chapter 18: a
 * tile is 16 rows of 64 bytes; TDPBF16PS adds A (16 rows of 32 bf16) times B
 * (16 rows of pairs: row p holds, for each of 16 columns, the elements 2p and
 * 2p+1 of k) to 16 x 16 fp32.
 *
 * Everything here moves in blocks of BLOCK: a block of C is four tiles, a step
 * of k two tiles of A and two of B.  Packed operands are such steps in the
 * order in which they are used, zeros past the edges.
 */
#ifndef PFW_KERNELS_CPU_AMX_H
#define PFW_KERNELS_CPU_AMX_H

#include "cpu.h"

#define BLOCK 32
#define TILE 512                /* bf16 elements of one tile */
#define STEP (2 * TILE)         /* of one step of k, either operand */

typedef uint16_t bf16;

static inline size_t blocks(size_t n)
{
	return (n + BLOCK - 1) / BLOCK;
}

/** A matrix whose rows are @p ld apart, to be packed: rows are what becomes
 *  rows of A or columns of B where k runs along them, else k. */
struct amx_source {
	const bf16 *x;
	const float *weight; /**< instead of x, if not NULL */
	const uint32_t *key; /**< of rounding a weight at random; NULL: to
				  nearest */
	size_t row, col; /**< of x or weight, where it begins */
	size_t ld;
	size_t n;        /**< rows of A, or columns of B */
	size_t k;
	int k_contiguous;
};

/** blocks(n) * blocks(k) * STEP elements. */
void amx_pack_a(bf16 *dst, const struct amx_source *s);
void amx_pack_b(bf16 *dst, const struct amx_source *s);
typedef void amx_pack_fn(bf16 *dst, const struct amx_source *s);
/** The same by all threads of a queue. */
void amx_pack_all(void *queue, bf16 *dst, const struct amx_source *s,
		  amx_pack_fn *how);

/** BLOCK rows of a weight from @p row on, which k runs along, to their places in
 *  the whole weight packed as B of NT and of NN; to nearest. */
void amx_pack_rows(bf16 *nt, bf16 *nn, const struct amx_source *s, size_t row);

/** Sequences too long for the scratch go the AVX-512 way. */
void amx_attention_forward(void *queue, const struct pfw_attention *a);
void amx_attention_backward(void *queue, const struct pfw_attention *a);
void amx_gemm(void *queue, const struct pfw_gemm *g);
size_t amx_pack_bytes(void *queue, uint32_t kind, uint32_t rows, uint32_t cols);
void amx_pack(void *queue, uint32_t kind, uint32_t rows, uint32_t cols,
	      const float *weight, void *packed);
void amx_pack_at_random(void *queue, uint32_t kind, uint32_t rows,
			uint32_t cols, const float *weight, void *packed,
			uint32_t key);
void amx_adamw_packed(void *queue, const struct pfw_adamw *a, uint32_t rows,
		      uint32_t cols, void *const packed[2]);
double amx_peak(void *queue);

#endif
