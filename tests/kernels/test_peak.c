/* The measured peak: no product is faster, and a product is some of it. */
#include "kernels/kernels.h"

#include <string.h>

#include "base/clock.h"

#define N 256u
#define ROUNDS 20

static double best_product(struct path *p)
{
	struct buf a = buf_random(p, N * N, p->props.act_dtype, 1.0);
	struct buf b = buf_random(p, N * N, p->props.act_dtype, 1.0);
	struct buf c = buf_poison(p, N * N, PFW_F32);
	struct pfw_gemm g = { .size = sizeof(g), .kind = PFW_GEMM_NT, .m = N,
			      .n = N, .k = N, .c_dtype = PFW_F32, .a = a.ptr,
			      .b = b.ptr, .c = c.ptr };
	double best = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = pfw_now();
		double rate;

		p->k->gemm(p->queue, &g);
		p->ops->sync(p->queue, NULL);
		rate = 2e9 * N * N * N / (double)(pfw_now() - start);
		best = rate > best ? rate : best;
	}
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	return best;
}

static double best_peak(struct path *p)
{
	double best = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = pfw_now();
		double flops = p->k->peak(p->queue), rate;

		p->ops->sync(p->queue, NULL);
		rate = flops * 1e9 / (double)(pfw_now() - start);
		best = rate > best ? rate : best;
	}
	return best;
}

void check_peak(struct path *p)
{
	double share;

	/* OpenBLAS does not heed PIPEFW_CPU; a stand-in multiplies slowly. */
	if (!p->k->peak || strstr(p->label, "OpenBLAS") ||
	    strstr(p->label, "stand-in"))
		return;
	share = best_product(p) / best_peak(p);
	check_true(p, "a product is no faster than the peak", share < 1.1);
#ifndef __SANITIZE_THREAD__ /* every load and store of packing is noted */
	check_true(p, "a product is some of the peak", share > 0.02);
#endif
}
