/*
 * isa.h: names of this instruction set's symbols, and what its files share.
 *
 * The files of this room are compiled twice for each instruction set, with
 * CPU_ISA set to its name: for activations in fp32, and (CPU_BF16) in bf16.
 */
#ifndef PFW_KERNELS_CPU_ISA_H
#define PFW_KERNELS_CPU_ISA_H

#include "cpu.h"

#ifndef CPU_ISA
#error "CPU_ISA names the instruction set"
#endif
#define ISA_JOIN_(isa, name) cpu_##isa##_##name
#define ISA_JOIN(isa, name) ISA_JOIN_(isa, name)
#define ISA(name) ISA_JOIN(CPU_ISA, name)

/** What activations are made of; all arithmetic is in fp32. */
#ifdef CPU_BF16
typedef uint16_t act;
#define ACT_DTYPE PFW_BF16
#else
typedef float act;
#define ACT_DTYPE PFW_F32
#endif

/** Rows and columns of C that an epilogue works on. */
struct cpu_block {
	size_t row, rows, col, cols;
};

/** C = epilogue(@p product), whose element (0,0) is that of the block. */
void ISA(epilogue)(const struct pfw_gemm *g, uint32_t steps,
		   const struct cpu_block *block, const float *product,
		   size_t ld);

/** C (+)= op(A) op(B) on a part of a larger product; C in fp32. */
struct cpu_product {
	uint32_t kind; /**< PFW_GEMM_* */
	uint32_t m, n, k;
	const act *a, *b;
	float *c;
	size_t lda, ldb, ldc;
	int accumulate;
	float *scratch;
	/* Own product only: what to do with each part of C that is ready. */
	const struct pfw_gemm *finish;
	uint32_t steps;
	size_t row, col; /**< of the larger product, where this part begins */
};

void ISA(product)(const struct cpu_product *p);
void ISA(gemm_own)(void *queue, const struct pfw_gemm *g);
void ISA(gemm_blas)(void *queue, const struct pfw_gemm *g);

/** C[m,n] (+)= A B on tiles in cache: A(i,k) = a[i * a_row + k * a_k]. */
struct cpu_tile {
	const float *a, *b;
	float *c;
	size_t a_row, a_k, ldb, ldc;
	size_t m, n, k;
	int accumulate;
};
void ISA(tile_multiply)(const struct cpu_tile *t);
/** dst[c][r] = src[r][c] * scale; rows up to dst_ld are filled with 0. */
void ISA(tile_transpose)(float *dst, size_t dst_ld, const float *src,
			 size_t src_ld, size_t rows, size_t cols, float scale);

void ISA(bias_backward)(void *queue, float *dbias, const void *dy,
			uint32_t rows, uint32_t n, int accumulate);
void ISA(embed_forward)(void *queue, void *out, const int32_t *tokens,
			const float *wte, const float *wpe, uint32_t batch,
			uint32_t seq, uint32_t c);
void ISA(embed_backward)(void *queue, float *dwte, float *dwpe,
			 const void *dout, const int32_t *tokens,
			 uint32_t batch, uint32_t seq, uint32_t c,
			 uint32_t vocab, uint32_t context, int accumulate);
void ISA(layernorm_forward)(void *queue, void *out, float *mean, float *rstd,
			    const void *x, const float *weight,
			    const float *bias, uint32_t rows, uint32_t c);
void ISA(layernorm_backward)(void *queue, void *dx, float *dweight,
			     float *dbias, const void *dout,
			     const void *residual, const void *x,
			     const float *mean, const float *rstd,
			     const float *weight, uint32_t rows, uint32_t c,
			     int accumulate);
void ISA(attention_forward)(void *queue, const struct pfw_attention *a);
void ISA(attention_backward)(void *queue, const struct pfw_attention *a);
void ISA(classifier)(void *queue, void *logits, const int32_t *targets,
		     uint32_t rows, uint32_t vocab, float scale, double *loss);
void ISA(sum_squares)(void *queue, const float *x, uint64_t n, double *out);
void ISA(add)(void *queue, float *dst, const float *a, const float *b,
	      uint64_t n);
void ISA(adamw)(void *queue, const struct pfw_adamw *a);
/** Elements [first, end), whatever a->skip says. */
void ISA(adamw_some)(const struct pfw_adamw *a, size_t first, size_t end);
/** Where act is bf16. */
void ISA(copy_at_random)(void *queue, void *copy, uint32_t rows, uint32_t cols,
			 const float *weight, uint32_t key);
void ISA(convert)(void *queue, void *dst, uint32_t dtype, const float *src,
		  uint64_t n);
double ISA(peak)(void *queue);

#endif
