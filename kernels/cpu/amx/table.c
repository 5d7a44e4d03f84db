/* A bf16 policy on AMX: whatever multiplies is here, the rest as on AVX-512. */
#include "amx/amx.h"
#include "isa/isa.h"

const struct pfw_kernels cpu_amx_kernels = {
	.size = sizeof(struct pfw_kernels),
	.gemm = amx_gemm,
	.pack_bytes = amx_pack_bytes,
	.pack = amx_pack,
	.bias_backward = ISA(bias_backward),
	.embed_forward = ISA(embed_forward),
	.embed_backward = ISA(embed_backward),
	.layernorm_forward = ISA(layernorm_forward),
	.layernorm_backward = ISA(layernorm_backward),
	.attention_forward = amx_attention_forward,
	.attention_backward = amx_attention_backward,
	.classifier = ISA(classifier),
	.sum_squares = ISA(sum_squares),
	.add = ISA(add),
	.adamw = ISA(adamw),
	.convert = ISA(convert),
	.peak = amx_peak,
	.copy_at_random = ISA(copy_at_random),
	.pack_at_random = amx_pack_at_random,
	.adamw_packed = amx_adamw_packed,
};
