/* GEMM: kinds, odd sizes, every combination of epilogues, packed weights. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* fp32 sums of k <= 4200 products of exact bf16; bf16: the output's rounding. */
#define BOUND_FP32 3e-6
#define BOUND_BF16 6e-3
/* A bf16 policy also rounds what comes in fp32. */
#define BOUND_ROUNDED 4e-3

struct problem {
	struct path *path;
	uint32_t kind, steps, m, n, k;
	int in_place; /* residual is c */
	int packed;
	int fine; /* numbers that bf16 cannot hold */
	struct buf a, b, c, bias, aux, residual;
	struct buf x; /* what GELU has noted in aux */
};

static double step_by_step(const struct problem *t, size_t i, double x,
			   double old_c)
{
	if (t->steps & PFW_EPI_BIAS)
		x += t->bias.host[i % t->n];
	if (t->steps & PFW_EPI_GELU)
		x = ref_gelu(x);
	if (t->steps & PFW_EPI_DGELU)
		x *= ref_gelu_slope(t->x.host[i]);
	if (t->steps & PFW_EPI_RESIDUAL)
		x += t->in_place ? old_c : t->residual.host[i];
	if (t->steps & PFW_EPI_ACCUMULATE)
		x += old_c;
	return x;
}

static void run(struct problem *t)
{
	struct path *p = t->path;
	struct pfw_gemm g = {
		.size = sizeof(g), .kind = t->kind, .epilogue = t->steps,
		.m = t->m, .n = t->n, .k = t->k, .c_dtype = t->c.dtype,
		.a = t->a.ptr, .b = t->b.ptr, .c = t->c.ptr,
		.bias = t->bias.ptr, .aux = t->aux.ptr,
		.residual = t->in_place ? t->c.ptr : t->residual.ptr,
	};
	uint32_t rows = t->kind == PFW_GEMM_NT ? t->n : t->k;
	uint32_t cols = t->kind == PFW_GEMM_NT ? t->k : t->n;
	struct buf weight, packed;

	if (!t->packed) {
		p->k->gemm(p->queue, &g);
		return;
	}
	weight = buf_from(p, t->b.n, PFW_F32, t->b.host);
	packed = buf_poison(p, p->k->pack_bytes(p->queue, t->kind, rows, cols)
				       / 4, PFW_F32);
	p->k->pack(p->queue, t->kind, rows, cols, weight.ptr, packed.ptr);
	g.b = NULL;
	g.b_packed = packed.ptr;
	p->k->gemm(p->queue, &g);
	buf_get(&packed);
	buf_free(&weight);
	buf_free(&packed);
}

static void verify(struct problem *t)
{
	size_t n = (size_t)t->m * t->n;
	double *want = doubles(n);
	double bound = t->fine && t->path->policy == PFW_BF16 ? BOUND_ROUNDED
							      : BOUND_FP32;
	char what[128];

	ref_product(t->kind, t->m, t->n, t->k, t->a.host, t->b.host, want);
	for (size_t i = 0; i < n; i++)
		want[i] = step_by_step(t, i, want[i], t->c.host[i]);
	run(t);
	snprintf(what, sizeof(what), "gemm %s %ux%ux%u epilogue %#x%s%s%s",
		 t->kind == PFW_GEMM_NT ? "NT"
					: t->kind == PFW_GEMM_NN ? "NN" : "TN",
		 t->m, t->n, t->k, t->steps, t->in_place ? " in place" : "",
		 t->packed ? " packed" : "", t->fine ? " fine" : "");
	buf_get(&t->c);
	check_close(t->path, what, t->c.host, want, n, bound, BOUND_BF16);
	free(want);
}

/* Gelu of x, the bias of a product that is 0, for what it notes in aux. */
static void note_gelu(struct path *p, const struct buf *x, struct buf *aux)
{
	const uint32_t act = p->props.act_dtype;
	double *zero = doubles(x->n);
	struct buf a = buf_from(p, 1, act, zero);
	struct buf b = buf_from(p, x->n, act, zero);
	struct buf c = buf_poison(p, x->n, act);
	struct buf bias = buf_from(p, x->n, PFW_F32, x->host);
	const struct pfw_gemm g = {
		.size = sizeof(g), .kind = PFW_GEMM_NT,
		.epilogue = PFW_EPI_BIAS | PFW_EPI_GELU,
		.m = 1, .n = (uint32_t)x->n, .k = 1, .c_dtype = act,
		.a = a.ptr, .b = b.ptr, .c = c.ptr, .bias = bias.ptr,
		.aux = aux->ptr,
	};

	p->k->gemm(p->queue, &g);
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	buf_free(&bias);
	free(zero);
}

struct shape {
	uint32_t m, n, k;
};
#define IN_PLACE 1
#define PACKED 2
#define FINE 4

static void check_one(struct path *p, uint32_t kind, uint32_t steps,
		      struct shape s, int flags)
{
	const uint32_t act = p->props.act_dtype;
	const size_t mn = (size_t)s.m * s.n;
	const int reads_c = (flags & IN_PLACE) || (steps & PFW_EPI_ACCUMULATE);
	const uint32_t c_dtype = kind == PFW_GEMM_TN ? PFW_F32 : act;
	struct problem t = { .path = p, .kind = kind, .steps = steps, .m = s.m,
			     .n = s.n, .k = s.k, .in_place = flags & IN_PLACE,
			     .packed = flags & PACKED, .fine = flags & FINE };
	double scale = 1.0;

	while (scale * scale * s.k > 4.0) /* a power of two: exact */
		scale /= 2.0;
	t.a = t.fine ? buf_random(p, (size_t)s.m * s.k, act, scale)
		     : buf_coarse(p, (size_t)s.m * s.k, act, scale);
	t.b = t.fine ? buf_random(p, (size_t)s.n * s.k, act, 1.0)
		     : buf_coarse(p, (size_t)s.n * s.k, act, 1.0);
	t.bias = buf_random(p, s.n, PFW_F32, 1.0);
	t.residual = buf_random(p, mn, act, 1.0);
	t.x = buf_random(p, mn, act, 3.0);
	t.aux = buf_poison(p, mn, act);
	if (steps & PFW_EPI_DGELU)
		note_gelu(p, &t.x, &t.aux);
	t.c = reads_c ? buf_random(p, mn, c_dtype, 1.0)
		      : buf_poison(p, mn, c_dtype);
	verify(&t);
	buf_free(&t.a);
	buf_free(&t.b);
	buf_free(&t.c);
	buf_free(&t.bias);
	buf_free(&t.residual);
	buf_free(&t.aux);
	buf_free(&t.x);
}

static void check_sizes(struct path *p)
{
	static const struct shape sizes[] = {
		{ 1, 1, 1 },	{ 2, 3, 5 },	 { 12, 32, 16 },
		{ 13, 33, 17 }, { 32, 32, 32 },	 { 31, 47, 63 },
		{ 64, 96, 64 }, { 130, 70, 300 }, { 50, 1040, 40 },
		{ 550, 64, 31 }, { 530, 40, 400 }, { 48, 80, 1100 },
		{ 33, 40, 4200 }, { 40, 170, 1100 },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (uint32_t kind = PFW_GEMM_NT; kind <= PFW_GEMM_TN; kind++) {
			check_one(p, kind, 0, sizes[i], FINE);
			check_one(p, kind, PFW_EPI_ACCUMULATE, sizes[i], 0);
		}
}

static void check_epilogues(struct path *p)
{
	static const struct shape sizes[] = {
		{ 7, 19, 24 }, { 160, 1100, 24 }, { 9, 37, 4200 },
	};

	for (uint32_t steps = 0; steps < 32; steps++) {
		uint32_t one = steps & ~PFW_EPI_BIAS;

		if (one & (one - 1))
			continue;
		for (int i = 0; i < 3; i++) {
			check_one(p, steps % 2 ? PFW_GEMM_NT : PFW_GEMM_NN,
				  steps, sizes[i], 0);
			if (steps & PFW_EPI_RESIDUAL)
				check_one(p, PFW_GEMM_NN, steps, sizes[i],
					  IN_PLACE);
		}
	}
}

static void check_packed(struct path *p)
{
	static const struct shape sizes[] = {
		{ 5, 3, 7 }, { 33, 65, 97 }, { 64, 128, 64 }, { 160, 96, 640 },
		{ 35, 40, 4200 },
	};

	for (size_t i = 0; p->k->pack_bytes && i < 5; i++)
		for (uint32_t kind = PFW_GEMM_NT; kind <= PFW_GEMM_NN; kind++) {
			if (!p->k->pack_bytes(p->queue, kind, 64, 64))
				continue;
			check_one(p, kind, PFW_EPI_BIAS, sizes[i], PACKED);
			check_one(p, kind, PFW_EPI_BIAS | PFW_EPI_GELU,
				  sizes[i], PACKED);
			check_one(p, kind, PFW_EPI_ACCUMULATE, sizes[i],
				  PACKED);
		}
}

/* More columns and a longer k than one look at A serves. */
static void check_wide_and_deep(struct path *p)
{
	const struct shape s = { 33, 1100, 4200 };

	int packs = p->k->pack_bytes &&
		    p->k->pack_bytes(p->queue, PFW_GEMM_NT, s.n, s.k);

	check_one(p, PFW_GEMM_NT, PFW_EPI_BIAS, s, packs ? PACKED : 0);
	check_one(p, PFW_GEMM_NN, PFW_EPI_ACCUMULATE, s, 0);
}

void check_gemm(struct path *p)
{
	check_wide_and_deep(p);
	check_sizes(p);
	check_epilogues(p);
	check_packed(p);
}

/* GELU and its slope element by element: the product is 0, then 1. */
void check_gelu(struct path *p)
{
	const uint32_t n = 4001, act = p->props.act_dtype;
	double *x = doubles(n), *want = doubles(n), *slope = doubles(n);
	const double zero = 0.0, one = 1.0;
	struct buf zeros = buf_from(p, 1, act, &zero);
	struct buf ones = buf_from(p, 1, act, &one);
	struct buf b, bias, c = buf_poison(p, n, act), aux;
	struct pfw_gemm g = { .size = sizeof(g), .kind = PFW_GEMM_NT,
			      .epilogue = PFW_EPI_BIAS | PFW_EPI_GELU, .m = 1,
			      .n = n, .k = 1, .c_dtype = act };

	for (uint32_t i = 0; i < n; i++)
		want[i] = 1.0;
	b = buf_from(p, n, act, want);
	for (uint32_t i = 0; i < n; i++)
		x[i] = (i - 2000.0) / 2000.0 * 12.0 + random_uniform() * 1e-3;
	aux = buf_from(p, n, act, x); /* rounds */
	bias = buf_from(p, n, PFW_F32, aux.host);
	for (uint32_t i = 0; i < n; i++) {
		want[i] = ref_gelu(bias.host[i]);
		slope[i] = ref_gelu_slope(bias.host[i]);
	}
	g.a = zeros.ptr;
	g.b = b.ptr;
	g.c = c.ptr;
	g.aux = aux.ptr;
	g.bias = bias.ptr;
	p->k->gemm(p->queue, &g);
	buf_get(&c);
	check_close(p, "gelu", c.host, want, n, 2e-7, 5e-3);
	g.epilogue = PFW_EPI_DGELU;
	g.a = ones.ptr;
	p->k->gemm(p->queue, &g);
	buf_get(&c);
	check_close(p, "gelu slope", c.host, slope, n, 5e-7, 5e-3);
	buf_free(&zeros);
	buf_free(&ones);
	buf_free(&b);
	buf_free(&bias);
	buf_free(&c);
	buf_free(&aux);
	free(x);
	free(want);
	free(slope);
}
