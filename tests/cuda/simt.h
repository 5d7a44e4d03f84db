/*
 * simt.h: enough of CUDA's execution model for kernels/cuda/ *.cu to run on a
 * host, compiled by a C++ compiler: what is proved without a card.
 *
 * A grid runs block by block in the calling thread; the threads of a block are
 * fibers that leave each other only at barriers, warp operations and their end.
 * What a card would do by chance is done on purpose:
 *  - the order of blocks, warps and lanes is chosen by simt_order: results that
 *    depend on it show a missing barrier or a dependence between blocks;
 *  - shared memory is filled with NaN before each block;
 *  - a cp.async is done when it is issued, or no sooner than it is waited for;
 *  - a vector that is not aligned, more than 48 KiB of shared memory without
 *    leave, a barrier that some threads of a block never reach, a warp operation that
 *    is not met by the whole warp, a launch no card takes: the program ends with
 *    a sentence.
 * Grids of several threads at once are fine.
 */
#ifndef PFW_TESTS_SIMT_H
#define PFW_TESTS_SIMT_H

#include "cuda/simt_run.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

struct simt_dim {
	unsigned x, y, z;
	simt_dim(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1)
		: x(nx), y(ny), z(nz)
	{
	}
};
typedef simt_dim dim3;

struct alignas(16) uint4 {
	unsigned x, y, z, w;
};
struct alignas(16) int4 {
	int x, y, z, w;
};
struct alignas(16) float4 {
	float x, y, z, w;
};
struct alignas(8) float2 {
	float x, y;
};

/** Gives what simt_submit gave, or 0.  @p name is the kernel's address. */
int simt_launch(const void *name, struct CUstream_st *stream, simt_dim grid,
		simt_dim block, size_t shared,
		const std::function<void()> &kernel);
/** As cudaFuncSetAttribute() allows a kernel more than 48 KiB of shared memory. */
int simt_allow(const void *name, size_t bytes);
/** A vector is loaded and stored from where it is aligned: else the program ends. */
void simt_check_vector(const void *p);

/* What a running fiber may ask and do. */
struct simt_index {
	simt_dim thread, block, block_dim, grid_dim;
};
extern thread_local simt_index simt_here;
#define threadIdx (simt_here.thread)
#define blockIdx (simt_here.block)
#define blockDim (simt_here.block_dim)
#define gridDim (simt_here.grid_dim)

void __syncthreads(void);
void *simt_dynamic_shared(void);
/** Shared memory of this block that belongs to @p key. */
void *simt_static_shared(const void *key, size_t bytes);

#define SIMT_LANES 32
enum { SIMT_IN = 48, SIMT_OUT = 16 };

/** What each lane brings to an operation of the whole warp, and gets. */
struct simt_lanes {
	alignas(16) unsigned char in[SIMT_LANES][SIMT_IN];
	alignas(16) unsigned char out[SIMT_LANES][SIMT_OUT];
};
/** Waits for all lanes of the warp to come with the same @p op, which then is
 *  done once for all. */
void simt_warp(void (*op)(simt_lanes *l), const void *in, size_t in_bytes,
	       void *out, size_t out_bytes);

/* cp.async (PTX ISA 9.7.9.25): 16 bytes, of which @p bytes come from @p src and
 * the rest are 0. */
void simt_cp_async(void *dst, const void *src, unsigned bytes);
void simt_cp_async_commit(void);
void simt_cp_async_wait(unsigned groups_left);

/* Lane numbers are those of one-dimensional blocks. */
struct simt_shuffle {
	unsigned char value[8];
	int from;
};
void simt_shuffle_op(simt_lanes *l);
void simt_nothing_op(simt_lanes *l);

template <class T> static inline T simt_shuffle_from(T value, int from)
{
	struct simt_shuffle in = {};
	T out;

	static_assert(sizeof(T) <= sizeof(in.value), "too wide to be shuffled");
	memcpy(in.value, &value, sizeof(value));
	in.from = from;
	simt_warp(simt_shuffle_op, &in, sizeof(in), &out, sizeof(out));
	return out;
}

template <class T> static inline T __shfl_sync(unsigned, T value, int lane)
{
	return simt_shuffle_from(value, lane & 31);
}

template <class T> static inline T __shfl_xor_sync(unsigned, T value, int mask)
{
	return simt_shuffle_from(value, (int)(threadIdx.x & 31) ^ mask);
}

static inline void __syncwarp(void)
{
	simt_warp(simt_nothing_op, NULL, 0, NULL, 0);
}

/* mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 (PTX ISA, "Matrix
 * fragments for mma.m16n8k16"): d = a b + d. */
void simt_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]);
/* ldmatrix.sync.aligned.m8n8.x4[.trans].shared.b16: lane l names row l % 8 of
 * matrix l / 8. */
void simt_ldmatrix_x4(uint32_t r[4], const void *row, bool transposed);

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

#endif
