/*
 * kernels.h: the kernels of the cuda device, as functions that C calls.
 *
 * Each enqueues its work on a stream of the current device and returns a
 * cudaError_t (0: enqueued).  None allocates, waits or looks at device memory,
 * so that all may be captured into a graph.  What the arguments mean is said in
 * pipefw/device.h; `act` is PFW_F32 or PFW_BF16.
 *
 * `workspace` is device memory of the stream, aligned to PFW_ALIGN, of at least
 * what the function's _workspace() gives for the same shape (0: it needs none).
 * Two calls on one stream may use the same.  Its size and the order of all sums
 * depend on the shape alone, not on the card.
 *
 * No CUDA header is needed here: a cudaStream_t is a struct CUstream_st *.
 */
#ifndef PFW_CUDA_KERNELS_H
#define PFW_CUDA_KERNELS_H

#include <pipefw/device.h>

PFW_BEGIN_DECLS

struct CUstream_st;

/** Once for each device before the first kernel: allows the kernels that need
 *  it more than 48 KiB of shared memory. */
int pfw_cuda_prepare(void);

/** The widest rows of layernorm and the largest heads; their sums must fit into
 *  the shared memory of every card since sm_80. */
#define PFW_CUDA_MOST_C 12288u
#define PFW_CUDA_MOST_HEAD 1024u
/** A block of attention has at least 4 rows, and a grid 65535 blocks that way. */
#define PFW_CUDA_MOST_SEQ (4 * 65535u)

/** Rows are batch * seq. */
#define PFW_CUDA_MOST_ROWS (1u << 20)
#define PFW_CUDA_MOST_HEAD_ROWS (1u << 23)
/** No more than this is ever asked for by a _workspace() below within these. */
#define PFW_CUDA_WORKSPACE ((size_t)32 << 20)

/** What the product of @p g goes through, where cuBLASLt has no such epilogue:
 *  c = g's epilogue of @p product, [m,n] of @p product_dtype, which may be c.
 *  Of aux it keeps x itself.  PFW_EPI_ACCUMULATE is the product's own. */
int pfw_cuda_epilogue(struct CUstream_st *stream, uint32_t act,
		      const struct pfw_gemm *g, const void *product,
		      uint32_t product_dtype);

size_t pfw_cuda_bias_backward_workspace(uint32_t rows, uint32_t n);
int pfw_cuda_bias_backward(struct CUstream_st *stream, uint32_t act,
			   float *dbias, const void *dy, uint32_t rows,
			   uint32_t n, int accumulate, void *workspace);

int pfw_cuda_embed_forward(struct CUstream_st *stream, uint32_t act, void *out,
			   const int32_t *tokens, const float *wte,
			   const float *wpe, uint32_t batch, uint32_t seq,
			   uint32_t c);
size_t pfw_cuda_embed_backward_workspace(uint32_t batch, uint32_t seq);
int pfw_cuda_embed_backward(struct CUstream_st *stream, uint32_t act,
			    float *dwte, float *dwpe, const void *dout,
			    const int32_t *tokens, uint32_t batch, uint32_t seq,
			    uint32_t c, uint32_t vocab, uint32_t context,
			    int accumulate, void *workspace);

int pfw_cuda_layernorm_forward(struct CUstream_st *stream, uint32_t act,
			       void *out, float *mean, float *rstd,
			       const void *x, const float *weight,
			       const float *bias, uint32_t rows, uint32_t c);
size_t pfw_cuda_layernorm_backward_workspace(uint32_t rows, uint32_t c);
int pfw_cuda_layernorm_backward(struct CUstream_st *stream, uint32_t act,
				void *dx, float *dweight, float *dbias,
				const void *dout, const void *residual,
				const void *x, const float *mean,
				const float *rstd, const float *weight,
				uint32_t rows, uint32_t c, int accumulate,
				void *workspace);

/** Forward needs no workspace. */
int pfw_cuda_attention_forward(struct CUstream_st *stream, uint32_t act,
			       const struct pfw_attention *a);
size_t pfw_cuda_attention_backward_workspace(uint32_t batch, uint32_t seq,
					     uint32_t heads);
/** Reads also a->out and a->stats, as forward left them. */
int pfw_cuda_attention_backward(struct CUstream_st *stream, uint32_t act,
				const struct pfw_attention *a, void *workspace);

size_t pfw_cuda_classifier_workspace(uint32_t rows);
int pfw_cuda_classifier(struct CUstream_st *stream, uint32_t act, void *logits,
			const int32_t *targets, uint32_t rows, uint32_t vocab,
			float scale, double *loss, void *workspace);

/** For any number of arrays, if each alone fits into the workspace. */
size_t pfw_cuda_sum_squares_workspace(const struct pfw_vector *x,
				      uint32_t count);
/** out[i] of x[i]; few launches for all of them. */
int pfw_cuda_sum_squares(struct CUstream_st *stream, const struct pfw_vector *x,
			 uint32_t count, double *out, void *workspace);
int pfw_cuda_clip(struct CUstream_st *stream, const struct pfw_clip *c);
int pfw_cuda_add(struct CUstream_st *stream, float *dst, const float *a,
		 const float *b, uint64_t n);
/** @p count updates that differ in their pointers to weights, gradients and
 *  moments, in n and in weight_decay alone; few launches for all of them. */
int pfw_cuda_adamw(struct CUstream_st *stream, uint32_t act,
		   const struct pfw_adamw *a, uint32_t count);
int pfw_cuda_convert(struct CUstream_st *stream, void *dst, uint32_t dtype,
		     const float *src, uint64_t n);

PFW_END_DECLS

#endif
