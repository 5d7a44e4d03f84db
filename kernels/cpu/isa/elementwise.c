/* Kernels that treat each element alone: add, convert, AdamW. */
#include "isa/isa.h"
#include "isa/vec.h"

void ISA(add)(void *queue, float *dst, const float *a, const float *b,
	      uint64_t n)
{
	(void)queue;
	for (uint64_t i = 0; i < n; i += VW) {
		size_t left = n - i;

		STORE(dst, LOAD(a) + LOAD(b));
	}
}

/* To nearest, ties to even; a NaN stays one. */
static inline uint16_t to_bf16(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

void ISA(convert)(void *queue, void *dst, uint32_t dtype, const float *src,
		  uint64_t n)
{
	uint16_t *half = dst;

	(void)queue;
	if (dtype == PFW_F32)
		memcpy(dst, src, n * sizeof(*src));
	else
		for (uint64_t i = 0; i < n; i++)
			half[i] = to_bf16(src[i]);
}

void ISA(adamw)(void *queue, const struct pfw_adamw *a)
{
	const float scale = *a->grad_scale;
	const float keep1 = 1.0f - a->beta1, keep2 = 1.0f - a->beta2;
	const float step = a->lr / a->correction1;
	const float root = 1.0f / sqrtf(a->correction2);
	const float decay = 1.0f - a->lr * a->weight_decay;

	(void)queue;
	if (*a->skip)
		return;
	for (uint64_t i = 0; i < a->n; i += VW) {
		size_t left = a->n - i;
		vf g = LOAD(a->grad) * scale;
		vf m = a->beta1 * LOAD(a->m) + keep1 * g;
		vf v = a->beta2 * LOAD(a->v) + keep2 * g * g;
		vf w = LOAD(a->weight) * decay;

		w -= step * m / (vf_sqrt(v) * root + a->epsilon);
		STORE(a->m, m);
		STORE(a->v, v);
		STORE(a->weight, w);
		if (a->weight_act)
			STORE((float *)a->weight_act, w);
	}
}
