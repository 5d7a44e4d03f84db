/*
 * vmath.h: exp and GELU on vectors.
 *
 * exp: x = n ln 2 + r with |r| <= ln 2 / 2, 2^n by the exponent field and
 * exp(r) = 1 + r + r^2 q(r), q of degree 4 fitted (Remez) to a relative error
 * of 3.1e-9 of exp; with rounding the whole is within 1.2e-7 relative of
 * the true value from -87 to 88.  Below -104 it gives 0, above 89 a number over
 * 1e38 or infinity; NaN stays NaN.  The tests hold it to these words.
 */
#ifndef PFW_KERNELS_CPU_VMATH_H
#define PFW_KERNELS_CPU_VMATH_H

#include "isa/vec.h"

INLINE vf vf_exp(vf x)
{
#ifdef __AVX512F__
	vf y = vf_max(vf_set(-110.0f), x); /* keeps a NaN */
	vf n = _mm512_roundscale_ps(y * 1.44269504f, 0);
#else
	/* Adding 1.5 * 2^23 rounds to an integer, left in the low bits. */
	const float magic = 12582912.0f;
	vf y = vf_min(vf_set(88.0f), x);
	vf t = y * 1.44269504f + magic, n = t - magic;
#endif
	vf r, q;

	r = y - n * 0.693359375f; /* ln 2 in two parts, the first exact * n */
	r = r + n * 2.12194440e-4f;
	q = r * 0x1.6a2352p-10f + 0x1.123a6cp-7f;
	q = q * r + 0x1.5558f4p-5f;
	q = q * r + 0x1.555490p-3f;
	q = q * r + 0x1.fffffcp-2f;
	q = q * r * r + r + 1.0f;
#ifdef __AVX512F__
	return _mm512_scalef_ps(q, n);
#else
	q *= (vf)(((vi)t - 0x4B400000 + 127) << 23);
	return vf_select(x < -87.0f, vf_set(0.0f), q);
#endif
}

/** 1 / x to the last bit or two, for x of 1 and more; next to 0 for infinity. */
INLINE vf vf_inverse(vf x)
{
#ifdef __AVX512F__
	/* A division takes its unit as long as sixteen products. */
	vf y = vf_min(vf_set(0x1p126f), x), z = _mm512_rcp14_ps(y);

	return z * (2.0f - y * z);
#else
	return 1.0f / x;
#endif
}

#define GELU_SCALE 0.7978845608f /* sqrt(2 / pi) */
#define GELU_CUBE 0.044715f

/** With u = scale (x + cube x^3): 1/2 (1 + tanh u) = 1 / (1 + exp(-2u)). */
INLINE vf vf_gelu_gate(vf x)
{
	vf u = GELU_SCALE * (x + GELU_CUBE * x * x * x);

	return vf_inverse(1.0f + vf_exp(-2.0f * u));
}

/** The value, and the slope there. */
INLINE vf vf_gelu(vf x, vf *slope)
{
	vf gate = vf_gelu_gate(x), value = x * gate;
	vf du = GELU_SCALE * (2.0f + 6.0f * GELU_CUBE * x * x);

	*slope = gate + value * (1.0f - gate) * du;
	return value;
}

#endif
