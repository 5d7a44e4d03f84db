/* Products with what happens to them on their way to memory: what cublasLt has
 * as an epilogue goes with the product, the rest is a kernel after it. */
#include "cuda.h"

/* 21 us each on a card of 800 TFLOP/s. */
#define PEAK_ROWS 2048u
#define PEAK_REPEATS 16u

#define SUMS (PFW_EPI_RESIDUAL | PFW_EPI_ACCUMULATE)
#define GELUS (PFW_EPI_GELU | PFW_EPI_DGELU)

/* cublasLt adds a bias of the product's type. */
static const void *bias_for(struct cuda_queue *q, const struct pfw_gemm *g)
{
	char *aside = (char *)q->workspace + PFW_CUDA_WORKSPACE;

	if (g->c_dtype == PFW_F32)
		return g->bias;
	cuda_note(q, "convert",
		  pfw_cuda_convert(q->stream, aside, g->c_dtype, g->bias,
				   g->n));
	return aside;
}

/* Does cublasLt have this epilogue, with our meaning?  In fp32, the reference,
 * its tanh is an approximation. */
static int has_epilogue(const struct cuda_queue *q, const struct pfw_gemm *g)
{
	uint32_t own = g->epilogue & ~SUMS;

	if (g->epilogue & PFW_EPI_RESIDUAL && g->c_dtype != q->device->act)
		return 0;
	if (own & PFW_EPI_BIAS &&
	    (size_t)g->n * pfw_dtype_bytes(g->c_dtype) > CUDA_ASIDE)
		return 0;
	if (!(own & GELUS))
		return 1;
	return g->c_dtype == PFW_BF16 &&
	       (!(own & PFW_EPI_DGELU) || own == PFW_EPI_DGELU);
}

/* All of it with the product, or -1. */
static int at_once(struct cuda_queue *q, const struct pfw_gemm *g)
{
	const struct cuda_shape shape = {
		.kind = g->kind, .epilogue = g->epilogue & ~SUMS,
		.m = g->m, .n = g->n, .k = g->k,
		.act = q->device->act, .c_dtype = g->c_dtype,
	};
	struct cuda_operands with = {
		.a = g->a, .b = g->b, .out = g->c, .aux = g->aux,
		.add = g->epilogue & PFW_EPI_RESIDUAL	? g->residual :
		       g->epilogue & PFW_EPI_ACCUMULATE ? g->c : NULL,
	};

	if (!has_epilogue(q, g))
		return -1;
	if (g->epilogue & PFW_EPI_BIAS)
		with.bias = bias_for(q, g);
	return cuda_multiply(q, &shape, &with);
}

/* The product alone, in c, and the kernel over it. */
static int in_two(struct cuda_queue *q, const struct pfw_gemm *g)
{
	const struct cuda_shape shape = {
		.kind = g->kind, .m = g->m, .n = g->n, .k = g->k,
		.act = q->device->act, .c_dtype = g->c_dtype,
	};
	const struct cuda_operands with = { .a = g->a, .b = g->b,
					    .out = g->c };

	if (g->epilogue & PFW_EPI_ACCUMULATE ||
	    (g->epilogue & PFW_EPI_RESIDUAL && g->residual == g->c))
		return -1; /* what is added would be gone */
	if (cuda_multiply(q, &shape, &with))
		return -1;
	cuda_note(q, "epilogue",
		  pfw_cuda_epilogue(q->stream, q->device->act, g, g->c,
				    g->c_dtype));
	return 0;
}

void cuda_gemm(void *queue, const struct pfw_gemm *g)
{
	struct cuda_queue *q = queue;

	if (at_once(q, g) && in_two(q, g))
		cuda_note(q, "cublasLt has no product of this shape",
			  cudaErrorInvalidValue);
}

/* On what happens to lie in the workspace.  cublasLt may use its beginning:
 * what is multiplied is of no interest. */
double cuda_peak(void *queue)
{
	struct cuda_queue *q = queue;
	uint32_t act = q->device->act, n = PEAK_ROWS;
	uint32_t k = act == PFW_BF16 ? n : n / 4;
	size_t one = (size_t)n * k * pfw_dtype_bytes(act);
	const struct cuda_shape shape = {
		.kind = PFW_GEMM_NT, .m = n, .n = n, .k = k,
		.act = act, .c_dtype = act,
	};
	char *at = q->workspace;
	const struct cuda_operands with = { .a = at, .b = at + one,
					    .out = at + 2 * one };

	for (uint32_t i = 0; i < PEAK_REPEATS; i++)
		cuda_multiply(q, &shape, &with);
	return 2.0 * n * n * k * PEAK_REPEATS;
}
