/* Kernels that treat each element alone: add, convert, AdamW. */
#include "isa/isa.h"
#include "isa/vec.h"

/* Elements that are worth handing over: some microseconds. */
#define GRAIN 8192

struct sum {
	float *dst;
	const float *a, *b;
};

static void add_some(const void *context, size_t first, size_t end,
		     float *scratch)
{
	const struct sum *s = context;
	const float *a = s->a + first, *b = s->b + first;
	float *dst = s->dst + first;

	(void)scratch;
	VEC_ADD(dst, a, b, end - first);
}

void ISA(add)(void *queue, float *dst, const float *a, const float *b,
	      uint64_t n)
{
	const struct sum s = { dst, a, b };

	cpu_each(queue, n, GRAIN, add_some, &s);
}

struct conversion {
	void *dst;
	const float *src;
	uint32_t dtype;
};

static void convert_some(const void *context, size_t first, size_t end,
			 float *scratch)
{
	const struct conversion *c = context;
	uint16_t *half = c->dst;

	(void)scratch;
	if (c->dtype == PFW_F32) {
		memcpy((float *)c->dst + first, c->src + first,
		       (end - first) * sizeof(*c->src));
		return;
	}
	for (size_t i = first; i < end; i += VW) {
		size_t left = end - i;

		STORE(half, LOAD(c->src));
	}
}

void ISA(convert)(void *queue, void *dst, uint32_t dtype, const float *src,
		  uint64_t n)
{
	const struct conversion c = { dst, src, dtype };

	cpu_each(queue, n, GRAIN, convert_some, &c);
}

void ISA(adamw_some)(const struct pfw_adamw *a, size_t first, size_t end)
{
	const float scale = *a->grad_scale;
	const float keep1 = 1.0f - a->beta1, keep2 = 1.0f - a->beta2;
	const float step = a->lr / a->correction1;
	const float root = 1.0f / sqrtf(a->correction2);
	const float decay = 1.0f - a->lr * a->weight_decay;

	for (size_t i = first; i < end; i += VW) {
		size_t left = end - i;
		vf g = LOAD(a->grad) * scale;
		vf m = a->beta1 * LOAD(a->m) + keep1 * g;
		vf v = a->beta2 * LOAD(a->v) + keep2 * g * g;
		vf w = LOAD(a->weight) * decay;

		w -= step * m / (vf_sqrt(v) * root + a->epsilon);
		STORE(a->m, m);
		STORE(a->v, v);
		STORE(a->weight, w);
		if (a->weight_act)
			STORE((act *)a->weight_act, w);
	}
}

static void update_some(const void *context, size_t first, size_t end,
			float *scratch)
{
	(void)scratch;
	ISA(adamw_some)(context, first, end);
}

void ISA(adamw)(void *queue, const struct pfw_adamw *a)
{
	if (!*a->skip)
		cpu_each(queue, a->n, GRAIN, update_some, a);
}
