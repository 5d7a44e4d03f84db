/* The measured peak: no product is faster, and a product is some of it. */
#include "kernels/kernels.h"

#include <string.h>

#include "base/clock.h"

#define N 256u
#define ROUNDS 20
#define MOST_ROUNDS 400 /* on a machine that others use */
#define MOST_SHARE 1.1

static double rate(double flops, uint64_t start)
{
	return flops * 1e9 / (double)(pfw_now() - start);
}

static double one_product(struct path *p, const struct pfw_gemm *g)
{
	uint64_t start = pfw_now();

	p->k->gemm(p->queue, g);
	p->ops->sync(p->queue, NULL);
	return rate(2.0 * N * N * N, start);
}

static double one_peak(struct path *p)
{
	uint64_t start = pfw_now();
	double flops = p->k->peak(p->queue);

	p->ops->sync(p->queue, NULL);
	return rate(flops, start);
}

/* So far: others may have slowed every peak. */
static int too_fast(int round, double product, double peak)
{
	return round < MOST_ROUNDS && product >= MOST_SHARE * peak;
}

/* The best product's share of the best peak: they take turns. */
static double measure(struct path *p, const struct pfw_gemm *g)
{
	double product = 0, peak = 0;

	for (int i = 0; i < ROUNDS || too_fast(i, product, peak); i++) {
		double one = one_product(p, g);

		product = one > product ? one : product;
		one = one_peak(p);
		peak = one > peak ? one : peak;
	}
	return product / peak;
}

static double share_of_peak(struct path *p)
{
	struct buf a = buf_random(p, N * N, p->props.act_dtype, 1.0);
	struct buf b = buf_random(p, N * N, p->props.act_dtype, 1.0);
	struct buf c = buf_poison(p, N * N, PFW_F32);
	const struct pfw_gemm g = {
		.size = sizeof(g), .kind = PFW_GEMM_NT, .m = N, .n = N, .k = N,
		.c_dtype = PFW_F32, .a = a.ptr, .b = b.ptr, .c = c.ptr,
	};
	double share = measure(p, &g);

	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	return share;
}

void check_peak(struct path *p)
{
	double share;

	/* OpenBLAS does not heed PIPEFW_CPU; a stand-in multiplies slowly. */
	if (!p->k->peak || strstr(p->label, "OpenBLAS") ||
	    strstr(p->label, "stand-in"))
		return;
	share = share_of_peak(p);
	check_true(p, "a product is no faster than the peak", share < MOST_SHARE);
#ifndef __SANITIZE_THREAD__ /* every load and store of packing is noted */
	check_true(p, "a product is some of the peak", share > 0.02);
#endif
}
