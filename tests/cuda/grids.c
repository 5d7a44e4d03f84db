/* The kernels of the cuda device, run on the host, as a device that the checks
 * of tests/kernels take: its memory is this process's, what is queued is done,
 * and a workspace is as small as the kernel says and full of NaN. */
#include "cuda/grids.h"

#include "cuda/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORK_GUARD 64

uint64_t grids_hash;

static uint32_t act_of(void *queue)
{
	return *(uint32_t *)queue;
}

/* What came of a launch, and whether it kept to its workspace. */
static void must(int rc, unsigned char *work, size_t bytes)
{
	for (size_t i = 0; work && i < WORK_GUARD; i++)
		if (work[bytes + i] != 0xa5)
			rc = -1;
	if (rc) {
		printf("a kernel failed, or wrote behind its workspace\n");
		exit(1);
	}
	free(work);
}

static unsigned char *work_of(size_t bytes)
{
	unsigned char *work = need(malloc(bytes + WORK_GUARD));

	memset(work, 0xff, bytes);
	memset(work + bytes, 0xa5, WORK_GUARD);
	return work;
}

static void bias_backward(void *queue, float *dbias, const void *dy,
			  uint32_t rows, uint32_t n, int accumulate)
{
	size_t bytes = pfw_cuda_bias_backward_workspace(rows, n);
	unsigned char *work = work_of(bytes);

	must(pfw_cuda_bias_backward(NULL, act_of(queue), dbias, dy, rows, n,
				    accumulate, work), work, bytes);
}

static void embed_forward(void *queue, void *out, const int32_t *tokens,
			  const float *wte, const float *wpe, uint32_t batch,
			  uint32_t seq, uint32_t c)
{
	must(pfw_cuda_embed_forward(NULL, act_of(queue), out, tokens, wte, wpe,
				    batch, seq, c), NULL, 0);
}

static void embed_backward(void *queue, float *dwte, float *dwpe,
			   const void *dout, const int32_t *tokens,
			   uint32_t batch, uint32_t seq, uint32_t c,
			   uint32_t vocab, uint32_t context, int accumulate)
{
	size_t bytes = pfw_cuda_embed_backward_workspace(batch, seq);
	unsigned char *work = work_of(bytes);

	must(pfw_cuda_embed_backward(NULL, act_of(queue), dwte, dwpe, dout,
				     tokens, batch, seq, c, vocab, context,
				     accumulate, work), work, bytes);
}

static void layernorm_forward(void *queue, void *out, float *mean, float *rstd,
			      const void *x, const float *weight,
			      const float *bias, uint32_t rows, uint32_t c)
{
	must(pfw_cuda_layernorm_forward(NULL, act_of(queue), out, mean, rstd, x,
					weight, bias, rows, c), NULL, 0);
}

static void layernorm_backward(void *queue, void *dx, float *dweight,
			       float *dbias, const void *dout,
			       const void *residual, const void *x,
			       const float *mean, const float *rstd,
			       const float *weight, uint32_t rows, uint32_t c,
			       int accumulate)
{
	size_t bytes = pfw_cuda_layernorm_backward_workspace(rows, c);
	unsigned char *work = work_of(bytes);

	must(pfw_cuda_layernorm_backward(NULL, act_of(queue), dx, dweight,
					 dbias, dout, residual, x, mean, rstd,
					 weight, rows, c, accumulate, work),
	     work, bytes);
}

static void attention_forward(void *queue, const struct pfw_attention *a)
{
	must(pfw_cuda_attention_forward(NULL, act_of(queue), a), NULL, 0);
}

static void attention_backward(void *queue, const struct pfw_attention *a)
{
	size_t bytes = pfw_cuda_attention_backward_workspace(a->batch, a->seq,
							     a->heads);
	unsigned char *work = work_of(bytes);

	must(pfw_cuda_attention_backward(NULL, act_of(queue), a, work), work,
	     bytes);
}

static void classifier(void *queue, void *logits, const int32_t *targets,
		       uint32_t rows, uint32_t vocab, float scale, double *loss)
{
	size_t bytes = pfw_cuda_classifier_workspace(rows);
	unsigned char *work = work_of(bytes);

	must(pfw_cuda_classifier(NULL, act_of(queue), logits, targets, rows,
				 vocab, scale, loss, work), work, bytes);
}

static void sum_squares_of(void *queue, const struct pfw_vector *x,
			   uint32_t count, double *out)
{
	size_t bytes = pfw_cuda_sum_squares_workspace(x, count);
	unsigned char *work = work_of(bytes);

	(void)queue;
	must(pfw_cuda_sum_squares(NULL, x, count, out, work), work, bytes);
}

static void sum_squares(void *queue, const float *x, uint64_t n, double *out)
{
	const struct pfw_vector one = { x, n };

	sum_squares_of(queue, &one, 1, out);
}

static void clip(void *queue, const struct pfw_clip *c)
{
	(void)queue;
	must(pfw_cuda_clip(NULL, c), NULL, 0);
}

static void add(void *queue, float *dst, const float *a, const float *b,
		uint64_t n)
{
	(void)queue;
	must(pfw_cuda_add(NULL, dst, a, b, n), NULL, 0);
}

static void adamw_of(void *queue, const struct pfw_adamw *a, uint32_t count)
{
	must(pfw_cuda_adamw(NULL, act_of(queue), a, count), NULL, 0);
}

static void adamw(void *queue, const struct pfw_adamw *a)
{
	adamw_of(queue, a, 1);
}

static void convert(void *queue, void *dst, uint32_t dtype, const float *src,
		    uint64_t n)
{
	(void)queue;
	must(pfw_cuda_convert(NULL, dst, dtype, src, n), NULL, 0);
}

static const struct pfw_kernels kernels = {
	.size = sizeof(kernels),
	.bias_backward = bias_backward,
	.embed_forward = embed_forward,
	.embed_backward = embed_backward,
	.layernorm_forward = layernorm_forward,
	.layernorm_backward = layernorm_backward,
	.attention_forward = attention_forward,
	.attention_backward = attention_backward,
	.classifier = classifier,
	.sum_squares = sum_squares,
	.add = add,
	.adamw = adamw,
	.convert = convert,
	.sum_squares_of = sum_squares_of,
	.adamw_of = adamw_of,
	.clip = clip,
};

static int device_alloc(void *device, size_t bytes, void **out,
			struct pfw_error *err)
{
	(void)device;
	(void)err;
	return posix_memalign(out, PFW_ALIGN, bytes);
}

static void device_free(void *device, void *ptr)
{
	(void)device;
	free(ptr);
}

/* What comes out goes into the hash (FNV-1a). */
static int device_copy(void *queue, void *dst, const void *src, size_t bytes,
		       uint32_t direction, struct pfw_error *err)
{
	const unsigned char *p = src;

	(void)queue;
	(void)err;
	memcpy(dst, src, bytes);
	for (size_t i = 0; direction == PFW_COPY_OUT && i < bytes; i++)
		grids_hash = (grids_hash ^ p[i]) * 0x100000001b3u;
	return 0;
}

static int device_sync(void *queue, struct pfw_error *err)
{
	(void)queue;
	(void)err;
	return 0;
}

static const struct pfw_device_ops ops = {
	.size = sizeof(ops),
	.alloc = device_alloc,
	.free = device_free,
	.copy = device_copy,
	.sync = device_sync,
};

struct path grids_path(uint32_t *act)
{
	struct path p = {
		.ops = &ops, .queue = act, .policy = *act, .k = &kernels,
		.props = { .size = sizeof(p.props), .act_dtype = *act },
	};

	snprintf(p.label, sizeof(p.label), "cuda on the host, %s",
		 *act == PFW_BF16 ? "bf16" : "fp32");
	return p;
}
