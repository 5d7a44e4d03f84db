/*
 * vec.h: vectors of the machine's own width, by the compilers' extension.
 *
 * Sums run in LANES fixed lanes (NV vectors), so their order is the same on
 * every instruction set; element-wise code may use any width.
 */
#ifndef PFW_KERNELS_CPU_VEC_H
#define PFW_KERNELS_CPU_VEC_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#include <math.h>

#if defined(__AVX512F__)
#define VW 16
#elif defined(__AVX2__)
#define VW 8
#else
#define VW 4
#endif
#define LANES 16
#define NV (LANES / VW)

#define INLINE static inline __attribute__((always_inline))
#define PRAGMA_(x) _Pragma(#x)
#if defined(__clang__)
#define UNROLL(n) PRAGMA_(clang loop unroll(full))
#else
#define UNROLL(n) PRAGMA_(GCC unroll n)
#endif

typedef float vf __attribute__((vector_size(VW * 4)));
typedef int32_t vi __attribute__((vector_size(VW * 4)));
typedef uint32_t vu __attribute__((vector_size(VW * 4)));
typedef float vf_any __attribute__((vector_size(VW * 4), aligned(4), may_alias));
typedef uint16_t vh __attribute__((vector_size(VW * 2)));
typedef uint16_t vh_any
	__attribute__((vector_size(VW * 2), aligned(2), may_alias));

INLINE vf vf_load(const float *p)
{
	return *(const vf_any *)p;
}

INLINE void vf_store(float *p, vf x)
{
	*(vf_any *)p = x;
}

INLINE vf vf_set(float x)
{
	return x - (vf){ 0 };
}

/** Lane by lane: @p mask (all ones or all zeros) ? a : b. */
INLINE vf vf_select(vi mask, vf a, vf b)
{
	return (vf)(((vi)a & mask) | ((vi)b & ~mask));
}

INLINE vf vf_from_bf16(vh x)
{
	return (vf)(__builtin_convertvector(x, vu) << 16);
}

/** To nearest, ties to even; a NaN stays one. */
INLINE vh vf_to_bf16(vf x)
{
#ifdef __AVX512BF16__
	return (vh)_mm512_cvtneps_pbh(x);
#else
	vu u = (vu)x, y = u + 0x7fff + (u >> 16 & 1);

	y = (vu)vf_select(x == x, (vf)y, (vf)(u | 0x400000));
	return __builtin_convertvector(y >> 16, vh);
#endif
}

/** The first @p n of VW elements, 0 after them. */
INLINE vf vf_load_n(const float *p, size_t n)
{
#ifdef __AVX512F__
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
	float buf[VW] = { 0 };

	memcpy(buf, p, n * sizeof(*p));
	return vf_load(buf);
#endif
}

INLINE void vf_store_n(float *p, vf x, size_t n)
{
#ifdef __AVX512F__
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#else
	memcpy(p, &x, n * sizeof(*p));
#endif
}

INLINE vf vh_load(const uint16_t *p)
{
	return vf_from_bf16(*(const vh_any *)p);
}

INLINE void vh_store(uint16_t *p, vf x)
{
	*(vh_any *)p = vf_to_bf16(x);
}

INLINE vf vh_load_n(const uint16_t *p, size_t n)
{
#ifdef __AVX512F__
	return vf_from_bf16(
		(vh)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p));
#else
	uint16_t buf[VW] = { 0 };

	memcpy(buf, p, n * sizeof(*p));
	return vh_load(buf);
#endif
}

INLINE void vh_store_n(uint16_t *p, vf x, size_t n)
{
	vh y = vf_to_bf16(x);

#ifdef __AVX512F__
	_mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)y);
#else
	memcpy(p, &y, n * sizeof(*p));
#endif
}

/** The same past the caches, where the place allows it: for what is read much later.
 *  Before another thread reads it comes vec_fence(). */
INLINE void vf_store_away(float *p, vf x, size_t n)
{
#ifdef __AVX512F__
	if (n >= VW && !((uintptr_t)p % 64)) {
		_mm512_stream_ps(p, x);
		return;
	}
#endif
	if (n >= VW)
		vf_store(p, x);
	else
		vf_store_n(p, x, n);
}

INLINE void vh_store_away(uint16_t *p, vf x, size_t n)
{
	if (n >= VW)
		vh_store(p, x);
	else
		vh_store_n(p, x, n);
}

INLINE void vec_fence(void)
{
#ifdef __AVX512F__
	_mm_sfence();
#endif
}

/* The same for either type of element. */
#define BY_TYPE(p, f32, bf16)                                                 \
	_Generic((p), float *: f32, const float *: f32, uint16_t *: bf16,     \
		 const uint16_t *: bf16)
#define vec_load(p) BY_TYPE(p, vf_load, vh_load)(p)
#define vec_load_n(p, n) BY_TYPE(p, vf_load_n, vh_load_n)(p, n)
#define vec_store(p, x) BY_TYPE(p, vf_store, vh_store)(p, x)
#define vec_store_away(p, x, n) BY_TYPE(p, vf_store_away, vh_store_away)(p, x, n)
#define vec_store_n(p, x, n) BY_TYPE(p, vf_store_n, vh_store_n)(p, x, n)

/** The larger and the smaller; @p b where either is NaN. */
INLINE vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
	return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
	return _mm256_max_ps(a, b);
#elif defined(__SSE__)
	return _mm_max_ps(a, b);
#else
	return vf_select(a > b, a, b);
#endif
}

INLINE vf vf_min(vf a, vf b)
{
#if defined(__AVX512F__)
	return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
	return _mm256_min_ps(a, b);
#elif defined(__SSE__)
	return _mm_min_ps(a, b);
#else
	return vf_select(a < b, a, b);
#endif
}

INLINE vf vf_sqrt(vf x)
{
#if defined(__AVX512F__)
	return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
	return _mm256_sqrt_ps(x);
#elif defined(__SSE__)
	return _mm_sqrt_ps(x);
#elif defined(__aarch64__)
	return vsqrtq_f32(x);
#else
	for (int i = 0; i < VW; i++)
		x[i] = sqrtf(x[i]);
	return x;
#endif
}

/** Partial sums (or maxima) in LANES fixed lanes. */
struct lanes {
	vf v[NV];
};

/** Lanes of x[0..n), n <= LANES; @p fill in the others. */
INLINE struct lanes lanes_load_f32(const float *x, size_t n, float fill)
{
	float buf[LANES];
	struct lanes r;

	if (n < LANES) {
		for (size_t i = 0; i < LANES; i++)
			buf[i] = i < n ? x[i] : fill;
		x = buf;
	}
	UNROLL(4)
	for (int l = 0; l < NV; l++)
		r.v[l] = vf_load(x + l * VW);
	return r;
}

INLINE struct lanes lanes_load_bf16(const uint16_t *x, size_t n, float fill)
{
	float buf[LANES];
	struct lanes r;

	if (n >= LANES) {
		UNROLL(4)
		for (int l = 0; l < NV; l++)
			r.v[l] = vh_load(x + l * VW);
		return r;
	}
	for (size_t i = 0; i < n; i += VW)
		vf_store(buf + i, vh_load_n(x + i, n - i < VW ? n - i : VW));
	return lanes_load_f32(buf, n, fill);
}

#define lanes_load(x, n, fill)                                                \
	BY_TYPE(x, lanes_load_f32, lanes_load_bf16)(x, n, fill)

INLINE float lanes_sum(struct lanes s)
{
	float buf[LANES];

	for (int l = 0; l < NV; l++)
		vf_store(buf + l * VW, s.v[l]);
	for (int h = LANES / 2; h; h /= 2)
		for (int i = 0; i < h; i++)
			buf[i] += buf[i + h];
	return buf[0];
}

INLINE float lanes_max(struct lanes s)
{
	float buf[LANES];

	for (int l = 0; l < NV; l++)
		vf_store(buf + l * VW, s.v[l]);
	for (int i = 1; i < LANES; i++)
		buf[0] = buf[i] > buf[0] ? buf[i] : buf[0];
	return buf[0];
}

/** Runs @p body with float vector index i and n lanes left (VW, or fewer
 *  in the last); loads and stores are LOAD and STORE. */
#define LOAD(p) (left >= VW ? vec_load((p) + i) : vec_load_n((p) + i, left))
#define STORE(p, x)                                                           \
	do {                                                                  \
		if (left >= VW)                                               \
			vec_store((p) + i, x);                                \
		else                                                          \
			vec_store_n((p) + i, x, left);                        \
	} while (0)

/** dst[i] = a[i] + b[i], of either type; dst may be a. */
#define VEC_ADD(dst, a, b, n)                                                 \
	do {                                                                  \
		for (size_t i = 0; i < (n); i += VW) {                        \
			size_t left = (n) - i;                                \
									      \
			STORE(dst, LOAD(a) + LOAD(b));                        \
		}                                                             \
	} while (0)

#endif
