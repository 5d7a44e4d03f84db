/*
 * kernel.cuh: what the kernels are written with: launches, element types, eight
 * elements at a time, sums over a warp and a block.
 *
 * The same sources are compiled by a C++ compiler for the tests, where
 * cuda/simt.h runs grids on the host; so nothing here and in the kernels may be
 * taken from a CUDA header that simt.h has not.
 */
#ifndef PFW_CUDA_KERNEL_CUH
#define PFW_CUDA_KERNEL_CUH

#include "kernels.h"

#include <cfloat>
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define LAUNCH(kernel, grid, block, shared, stream, ...)                     \
	((kernel)<<<grid, block, shared, stream>>>(__VA_ARGS__),             \
	 (int)cudaGetLastError())
#define ALLOW_SHARED(kernel, bytes)                                          \
	((int)cudaFuncSetAttribute((const void *)(kernel),                   \
		cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes)))
#define SHARED(type, name) __shared__ type name
#define DYNAMIC_SHARED(name)                                                 \
	extern __shared__ __align__(128) unsigned char name[]
#else
#include "cuda/simt.h"
#define LAUNCH(kernel, grid, block, shared, stream, ...)                     \
	simt_launch((const void *)(kernel), stream, grid, block, shared,     \
		    [=] { (kernel)(__VA_ARGS__); })
#define ALLOW_SHARED(kernel, bytes) simt_allow((const void *)(kernel), bytes)
#define SHARED(type, name)                                                   \
	static const char name##_key = 0;                                    \
	type &name = *(type *)simt_static_shared(&name##_key, sizeof(type))
#define DYNAMIC_SHARED(name)                                                 \
	unsigned char *name = (unsigned char *)simt_dynamic_shared()
#endif

#define DEVICE static __device__ __forceinline__
#define LANES 32
#define LOG2E 1.4426950408889634f

/** A bfloat16; kept apart from toolkits' own, which the host has not. */
struct bf16 {
	uint16_t bits;
};

DEVICE float float_from_bits(uint32_t u)
{
#ifdef __CUDACC__
	return __uint_as_float(u);
#else
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
#endif
}

/** Two of them in a register, the lower first; to nearest, ties to even. */
DEVICE uint32_t bf16_pair(float low, float high)
{
	uint32_t out;
#ifdef __CUDACC__
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
#else
	const float value[2] = { low, high };
	uint32_t u[2];

	memcpy(u, value, sizeof(u));
	for (int i = 0; i < 2; i++)
		u[i] = value[i] != value[i]
			       ? 0x7fff
			       : (u[i] + 0x7fff + (u[i] >> 16 & 1)) >> 16;
	out = u[0] | u[1] << 16;
#endif
	return out;
}

DEVICE float to_float(float x)
{
	return x;
}

DEVICE float to_float(bf16 x)
{
	return float_from_bits((uint32_t)x.bits << 16);
}

DEVICE void put(float *at, float x)
{
	*at = x;
}

DEVICE void put(bf16 *at, float x)
{
	at->bits = (uint16_t)bf16_pair(x, 0.0f);
}

/** What a thread loads and stores at once: 16 bytes of bf16. */
#define GROUP 8
struct group {
	float v[GROUP];
};

/** Vectors at @p p: a card ends the program where these are not aligned, hosts do
 *  not mind, so simt.h looks. */
template <class V, class T> DEVICE V *vectors_at(T *p)
{
#ifndef __CUDACC__
	simt_check_vector(p);
#endif
	return (V *)p;
}

DEVICE struct group load_vector(const float *p)
{
	const float4 *v = vectors_at<const float4>(p), a = v[0], b = v[1];
	struct group g = { { a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w } };

	return g;
}

DEVICE struct group load_vector(const bf16 *p)
{
	const uint4 a = *vectors_at<const uint4>(p);
	const uint32_t u[4] = { a.x, a.y, a.z, a.w };
	struct group g;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		g.v[2 * i] = float_from_bits(u[i] << 16);
		g.v[2 * i + 1] = float_from_bits(u[i] & 0xffff0000u);
	}
	return g;
}

DEVICE void store_vector(float *p, struct group g)
{
	const float4 a = { g.v[0], g.v[1], g.v[2], g.v[3] };
	const float4 b = { g.v[4], g.v[5], g.v[6], g.v[7] };

	vectors_at<float4>(p)[0] = a;
	vectors_at<float4>(p)[1] = b;
}

DEVICE void store_vector(bf16 *p, struct group g)
{
	const uint4 a = {
		bf16_pair(g.v[0], g.v[1]), bf16_pair(g.v[2], g.v[3]),
		bf16_pair(g.v[4], g.v[5]), bf16_pair(g.v[6], g.v[7]),
	};

	*vectors_at<uint4>(p) = a;
}

/** Elements [0, left) of a group at @p p, @p other beyond; @p aligned (the same
 *  for all threads): p is at a multiple of 16 bytes. */
template <class T>
DEVICE struct group load(const T *p, size_t left, bool aligned, float other)
{
	struct group g;

	if (aligned && left >= GROUP)
		return load_vector(p);
#pragma unroll
	for (int i = 0; i < GROUP; i++)
		g.v[i] = (size_t)i < left ? to_float(p[i]) : other;
	return g;
}

template <class T>
DEVICE void store(T *p, size_t left, bool aligned, struct group g)
{
	if (aligned && left >= GROUP) {
		store_vector(p, g);
		return;
	}
#pragma unroll
	for (int i = 0; i < GROUP; i++)
		if ((size_t)i < left)
			put(p + i, g.v[i]);
}

/* All lanes get the same bits: a + b is b + a. */
template <class T> DEVICE T warp_sum(T x)
{
#pragma unroll
	for (int mask = LANES / 2; mask; mask /= 2)
		x += __shfl_xor_sync(~0u, x, mask);
	return x;
}

DEVICE float warp_max(float x)
{
#pragma unroll
	for (int mask = LANES / 2; mask; mask /= 2)
		x = fmaxf(x, __shfl_xor_sync(~0u, x, mask));
	return x;
}

DEVICE size_t global_thread(void)
{
	return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static inline uint32_t div_up(uint64_t a, uint64_t b)
{
	return (uint32_t)((a + b - 1) / b);
}

/** Whether 16 bytes at a time may be taken from all of these. */
static inline bool at_16_bytes(const void *a, const void *b = NULL,
			       const void *c = NULL, const void *d = NULL,
			       const void *e = NULL)
{
	return (((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d |
		 (uintptr_t)e) & 15) == 0;
}

/** Column sums of [count, outs, n] partial sums, in the order of count: out[0]
 *  and, of 2 outs, out[1], both [n]. */
int pfw_cuda_combine(struct CUstream_st *stream, float *out0, float *out1,
		     const float *partial, uint32_t count, uint32_t n,
		     int accumulate);
/** The most that partial sums may take. */
#define PARTIAL_BYTES ((size_t)16 << 20)

/* The parts of pfw_cuda_prepare and of pfw_cuda_attention_*. */
int pfw_cuda_prepare_layernorm(void);
int pfw_cuda_prepare_flash_forward(void);
int pfw_cuda_prepare_flash_backward(void);
int pfw_cuda_flash_forward(struct CUstream_st *stream,
			   const struct pfw_attention *a);
int pfw_cuda_flash_backward(struct CUstream_st *stream,
			    const struct pfw_attention *a, float *dots);

#endif
