/* Guarded device memory, random numbers, comparisons. */
#include "kernels/kernels.h"
#include "kernels/bf16.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 256
#define GUARD_BYTE 0xa5
/* So few elements that all may be differences of like numbers. */
#define FEW 16

void *need(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		exit(99);
	}
	return p;
}

double *doubles(size_t n)
{
	return need(calloc(n ? n : 1, sizeof(double)));
}

/* splitmix64 (Steele, Lea and Flood, doi 10.1145/2660193.2660195). */
static uint64_t next(void)
{
	uint64_t z = test_seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

double random_uniform(void)
{
	return (double)(next() >> 11) * 0x1p-52 - 1.0;
}

uint32_t random_below(uint32_t n)
{
	return (uint32_t)(next() % n);
}

/* Encodes, and leaves in *value what the code stands for. */
static void encode(uint32_t dtype, void *at, double *value)
{
	float f = (float)*value;
	int32_t i;
	uint16_t h;

	switch (dtype) {
	case PFW_F32:
		memcpy(at, &f, sizeof(f));
		*value = f;
		break;
	case PFW_BF16:
		h = to_bf16(f);
		memcpy(at, &h, sizeof(h));
		*value = from_bf16(h);
		break;
	default:
		i = (int32_t)*value;
		memcpy(at, &i, sizeof(i));
	}
}

static double decode(uint32_t dtype, const void *at)
{
	float f;
	int32_t i;
	uint16_t h;

	switch (dtype) {
	case PFW_F32:
		memcpy(&f, at, sizeof(f));
		return f;
	case PFW_BF16:
		memcpy(&h, at, sizeof(h));
		return from_bf16(h);
	default:
		memcpy(&i, at, sizeof(i));
		return i;
	}
}

struct buf buf_from(struct path *p, size_t n, uint32_t dtype,
		    const double *values)
{
	struct buf b = { .path = p, .n = n, .dtype = dtype };
	size_t es = pfw_dtype_bytes(dtype), bytes = n * es + 2 * GUARD;
	unsigned char *stage = need(malloc(bytes));
	void *mem;

	b.host = doubles(n);
	memset(stage, GUARD_BYTE, bytes);
	for (size_t i = 0; i < n; i++) {
		b.host[i] = values[i];
		encode(dtype, stage + GUARD + i * es, &b.host[i]);
	}
	if (p->ops->alloc(p->device, bytes, &mem, NULL))
		need(NULL);
	b.base = mem;
	b.ptr = b.base + GUARD;
	p->ops->copy(p->queue, b.base, stage, bytes, PFW_COPY_IN, NULL);
	p->ops->sync(p->queue, NULL);
	free(stage);
	return b;
}

struct buf buf_random(struct path *p, size_t n, uint32_t dtype, double scale)
{
	double *v = doubles(n);
	struct buf b;

	for (size_t i = 0; i < n; i++)
		v[i] = random_uniform() * scale;
	b = buf_from(p, n, dtype, v);
	free(v);
	return b;
}

struct buf buf_coarse(struct path *p, size_t n, uint32_t dtype, double scale)
{
	double *v = doubles(n);
	struct buf b;

	for (size_t i = 0; i < n; i++)
		v[i] = (random_below(255) - 127.0) / 128.0 * scale;
	b = buf_from(p, n, dtype, v);
	free(v);
	return b;
}

struct buf buf_poison(struct path *p, size_t n, uint32_t dtype)
{
	double *v = doubles(n);
	struct buf b;

	for (size_t i = 0; i < n; i++)
		v[i] = dtype == PFW_I32 ? -1.0 : NAN;
	b = buf_from(p, n, dtype, v);
	free(v);
	return b;
}

struct buf buf_tokens(struct path *p, size_t n, uint32_t limit)
{
	double *v = doubles(n);
	struct buf b;

	for (size_t i = 0; i < n; i++)
		v[i] = random_below(limit);
	b = buf_from(p, n, PFW_I32, v);
	free(v);
	return b;
}

int32_t *as_tokens(const struct buf *b)
{
	int32_t *t = need(malloc((b->n ? b->n : 1) * sizeof(*t)));

	for (size_t i = 0; i < b->n; i++)
		t[i] = (int32_t)b->host[i];
	return t;
}

void buf_get(struct buf *b)
{
	struct path *p = b->path;
	size_t es = pfw_dtype_bytes(b->dtype), bytes = b->n * es + 2 * GUARD;
	unsigned char *stage = need(malloc(bytes));
	int whole = 1;

	p->ops->copy(p->queue, stage, b->base, bytes, PFW_COPY_OUT, NULL);
	p->ops->sync(p->queue, NULL);
	for (size_t i = 0; i < GUARD; i++)
		whole &= stage[i] == GUARD_BYTE &&
			 stage[bytes - 1 - i] == GUARD_BYTE;
	check_true(p, "wrote outside its buffer", whole);
	for (size_t i = 0; i < b->n; i++)
		b->host[i] = decode(b->dtype, stage + GUARD + i * es);
	free(stage);
}

void buf_free(struct buf *b)
{
	b->path->ops->free(b->path->device, b->base);
	free(b->host);
}

void check_true(const struct path *p, const char *what, int ok)
{
	if (!ok)
		printf("\n    %s: %s", p ? p->label : "reference", what);
	CU_ASSERT_TRUE(ok);
}

void check_close(const struct path *p, const char *what, const double *got,
		 const double *want, size_t n, double bound_fp32,
		 double bound_bf16)
{
	double bound = p && p->props.act_dtype == PFW_BF16 ? bound_bf16
							   : bound_fp32;
	double diff = 0.0, norm = 0.0, worst = 0.0, rms, error;
	char text[160];

	if (n < FEW)
		bound *= 100.0;
	for (size_t i = 0; i < n; i++) {
		double d = got[i] - want[i];

		diff += d * d;
		norm += want[i] * want[i];
		worst = fabs(d) > worst ? fabs(d) : worst;
	}
	rms = sqrt(norm / (double)(n ? n : 1));
	error = norm > 0.0 ? sqrt(diff / norm) : sqrt(diff);
	snprintf(text, sizeof(text), "%s: error %.2e, worst %.2e, bound %.1e",
		 what, error, worst / (rms > 0.0 ? rms : 1.0), bound);
	/* Not "error > bound": a NaN must fail. */
	check_true(p, text, error <= bound &&
				    worst <= 30.0 * bound * (rms > 0.0 ? rms
								       : 1.0));
}
