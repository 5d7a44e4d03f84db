/* flash.cuh: what flash attention's forward and backward share. */
#ifndef PFW_CUDA_FLASH_CUH
#define PFW_CUDA_FLASH_CUH

#include "mma.cuh"

#define FLASH_WARPS 4
#define FLASH_THREADS (FLASH_WARPS * LANES)
/** What a block may have on sm_86 and sm_89, the least since sm_80. */
#define FLASH_MOST_SHARED ((size_t)99 << 10)

/** Where the rows of all heads lie. */
struct heads {
	const bf16 *qkv;
	bf16 *out;
	float *stats;
	const bf16 *grad_out;
	bf16 *grad_qkv;
	float *dots;
	uint32_t seq, heads;
	float scale;
};

static inline struct heads heads_of(const struct pfw_attention *a, float *dots)
{
	const struct heads h = {
		(const bf16 *)a->qkv, (bf16 *)a->out, a->stats,
		(const bf16 *)a->grad_out, (bf16 *)a->grad_qkv, dots,
		a->seq, a->heads, 1.0f / sqrtf((float)a->head_size),
	};

	return h;
}

/** Element of row @p row of head @p head (counted over the batch) in qkv. */
DEVICE size_t qkv_at(const struct heads &h, uint32_t head, uint32_t which,
		     uint32_t size, uint32_t row)
{
	const size_t c = (size_t)h.heads * size;

	return ((size_t)(head / h.heads) * h.seq + row) * 3 * c + which * c +
	       head % h.heads * size;
}

/** The same in out. */
DEVICE size_t out_at(const struct heads &h, uint32_t head, uint32_t size,
		     uint32_t row)
{
	const size_t c = (size_t)h.heads * size;

	return ((size_t)(head / h.heads) * h.seq + row) * c +
	       head % h.heads * size;
}

#endif
