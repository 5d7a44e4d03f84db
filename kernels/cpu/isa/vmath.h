/*
 * vmath.h: exp and GELU on vectors.
 *
 * exp: x = n ln 2 + r with |r| <= ln 2 / 2, 2^n by the exponent field and
 * exp(r) = 1 + r + r^2 q(r), q of degree 4 fitted (Remez) to a relative error
 * of 3.1e-9 of exp; with rounding the whole is within 1.2e-7 relative of
 * the true value from -87 to 88.  Below -87 it gives 0; above 88, exp(88);
 * NaN stays NaN.  The tests hold it to these words.
 */
#ifndef PFW_KERNELS_CPU_VMATH_H
#define PFW_KERNELS_CPU_VMATH_H

#include "isa/vec.h"

#define EXP_LOW (-87.0f)
#define EXP_HIGH 88.0f

INLINE vf vf_exp(vf x)
{
	/* Adding 1.5 * 2^23 rounds to an integer, left in the low bits. */
	const float magic = 12582912.0f;
	vf y, t, n, r, q, e;

	y = vf_select(x > EXP_HIGH, vf_set(EXP_HIGH), x);
	t = y * 1.44269504f + magic;
	n = t - magic;
	r = y - n * 0.693359375f; /* ln 2 in two parts, the first exact * n */
	r = r + n * 2.12194440e-4f;
	q = r * 0x1.6a2352p-10f + 0x1.123a6cp-7f;
	q = q * r + 0x1.5558f4p-5f;
	q = q * r + 0x1.555490p-3f;
	q = q * r + 0x1.fffffcp-2f;
	e = (vf)(((vi)t - 0x4B400000 + 127) << 23);
	q = (q * r * r + r + 1.0f) * e;
	return vf_select(x < EXP_LOW, vf_set(0.0f), q);
}

#define GELU_SCALE 0.7978845608f /* sqrt(2 / pi) */
#define GELU_CUBE 0.044715f

/** With u = scale (x + cube x^3): 1/2 (1 + tanh u) = 1 / (1 + exp(-2u)). */
INLINE vf vf_gelu_gate(vf x)
{
	vf u = GELU_SCALE * (x + GELU_CUBE * x * x * x);

	return 1.0f / (1.0f + vf_exp(-2.0f * u));
}

INLINE vf vf_gelu(vf x)
{
	return x * vf_gelu_gate(x);
}

INLINE vf vf_gelu_slope(vf x)
{
	vf s = vf_gelu_gate(x);
	vf du = GELU_SCALE * (1.0f + 3.0f * GELU_CUBE * x * x);

	return s + x * s * (1.0f - s) * 2.0f * du;
}

#endif
