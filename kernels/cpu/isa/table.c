/* The kernels of this instruction set as tables. */
#include "isa/isa.h"

#define KERNELS(multiply)                                                     \
	{                                                                     \
		.size = sizeof(struct pfw_kernels), .gemm = (multiply),       \
		.bias_backward = ISA(bias_backward),                          \
		.embed_forward = ISA(embed_forward),                          \
		.embed_backward = ISA(embed_backward),                        \
		.layernorm_forward = ISA(layernorm_forward),                  \
		.layernorm_backward = ISA(layernorm_backward),                \
		.attention_forward = ISA(attention_forward),                  \
		.attention_backward = ISA(attention_backward),                \
		.classifier = ISA(classifier),                                \
		.sum_squares = ISA(sum_squares), .add = ISA(add),             \
		.adamw = ISA(adamw), .convert = ISA(convert),                 \
		.peak = ISA(peak), ROUNDING                                   \
	}

#ifdef CPU_BF16
#define ROUNDING .copy_at_random = ISA(copy_at_random)
#else
#define ROUNDING
#endif

#ifdef CPU_BF16
const struct pfw_kernels ISA(kernels) = KERNELS(ISA(gemm_own));
#else
const struct cpu_isa ISA(isa) = {
	.own = KERNELS(ISA(gemm_own)),
#ifdef HAVE_OPENBLAS
	.blas = KERNELS(ISA(gemm_blas)),
#endif
};
#endif
