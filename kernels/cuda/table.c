/* The kernels of the device's table, as launches on a queue's stream. */
#include "cuda.h"

static uint32_t act(const void *queue)
{
	return ((const struct cuda_queue *)queue)->device->act;
}

static cudaStream_t stream(const void *queue)
{
	return ((const struct cuda_queue *)queue)->stream;
}

static void *workspace(const void *queue)
{
	return ((const struct cuda_queue *)queue)->workspace;
}

static void bias_backward(void *queue, float *dbias, const void *dy,
			  uint32_t rows, uint32_t n, int accumulate)
{
	cuda_note(queue, "bias_backward",
		  pfw_cuda_bias_backward(stream(queue), act(queue), dbias, dy,
					 rows, n, accumulate,
					 workspace(queue)));
}

static void embed_forward(void *queue, void *out, const int32_t *tokens,
			  const float *wte, const float *wpe, uint32_t batch,
			  uint32_t seq, uint32_t c)
{
	cuda_note(queue, "embed_forward",
		  pfw_cuda_embed_forward(stream(queue), act(queue), out, tokens,
					 wte, wpe, batch, seq, c));
}

static void embed_backward(void *queue, float *dwte, float *dwpe,
			   const void *dout, const int32_t *tokens,
			   uint32_t batch, uint32_t seq, uint32_t c,
			   uint32_t vocab, uint32_t context, int accumulate)
{
	cuda_note(queue, "embed_backward",
		  pfw_cuda_embed_backward(stream(queue), act(queue), dwte, dwpe,
					  dout, tokens, batch, seq, c, vocab,
					  context, accumulate,
					  workspace(queue)));
}

static void layernorm_forward(void *queue, void *out, float *mean, float *rstd,
			      const void *x, const float *weight,
			      const float *bias, uint32_t rows, uint32_t c)
{
	cuda_note(queue, "layernorm_forward",
		  pfw_cuda_layernorm_forward(stream(queue), act(queue), out,
					     mean, rstd, x, weight, bias, rows,
					     c));
}

static void layernorm_backward(void *queue, void *dx, float *dweight,
			       float *dbias, const void *dout,
			       const void *residual, const void *x,
			       const float *mean, const float *rstd,
			       const float *weight, uint32_t rows, uint32_t c,
			       int accumulate)
{
	cuda_note(queue, "layernorm_backward",
		  pfw_cuda_layernorm_backward(stream(queue), act(queue), dx,
					      dweight, dbias, dout, residual, x,
					      mean, rstd, weight, rows, c,
					      accumulate, workspace(queue)));
}

static void attention_forward(void *queue, const struct pfw_attention *a)
{
	struct cuda_queue *q = queue;

	if (!q->device->dnn || cuda_dnn_attention(q, a, 0))
		cuda_note(q, "attention_forward",
			  pfw_cuda_attention_forward(stream(q), act(q), a));
}

static void attention_backward(void *queue, const struct pfw_attention *a)
{
	struct cuda_queue *q = queue;

	if (!q->device->dnn || cuda_dnn_attention(q, a, 1))
		cuda_note(q, "attention_backward",
			  pfw_cuda_attention_backward(stream(q), act(q), a,
						      workspace(q)));
}

static void classifier(void *queue, void *logits, const int32_t *targets,
		       uint32_t rows, uint32_t vocab, float scale, double *loss)
{
	cuda_note(queue, "classifier",
		  pfw_cuda_classifier(stream(queue), act(queue), logits,
				      targets, rows, vocab, scale, loss,
				      workspace(queue)));
}

static void sum_squares_of(void *queue, const struct pfw_vector *x,
			   uint32_t count, double *out)
{
	cuda_note(queue, "sum_squares",
		  pfw_cuda_sum_squares(stream(queue), x, count, out,
				       workspace(queue)));
}

static void sum_squares(void *queue, const float *x, uint64_t n, double *out)
{
	const struct pfw_vector one = { x, n };

	sum_squares_of(queue, &one, 1, out);
}

static void clip(void *queue, const struct pfw_clip *c)
{
	cuda_note(queue, "clip", pfw_cuda_clip(stream(queue), c));
}

static void add(void *queue, float *dst, const float *a, const float *b,
		uint64_t n)
{
	cuda_note(queue, "add", pfw_cuda_add(stream(queue), dst, a, b, n));
}

static void adamw_of(void *queue, const struct pfw_adamw *a, uint32_t count)
{
	cuda_note(queue, "adamw",
		  pfw_cuda_adamw(stream(queue), act(queue), a, count));
}

static void adamw(void *queue, const struct pfw_adamw *a)
{
	adamw_of(queue, a, 1);
}

static void convert(void *queue, void *dst, uint32_t dtype, const float *src,
		    uint64_t n)
{
	cuda_note(queue, "convert",
		  pfw_cuda_convert(stream(queue), dst, dtype, src, n));
}

const struct pfw_kernels cuda_kernels = {
	.size = sizeof(cuda_kernels),
	.gemm = cuda_gemm,
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
	.peak = cuda_peak,
	.sum_squares_of = sum_squares_of,
	.adamw_of = adamw_of,
	.clip = clip,
};
