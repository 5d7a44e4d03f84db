#include "linear.h"

/* The dimensions of the matrix, from the model. */
static const uint64_t *matrix_dims(const struct run *r, uint32_t param)
{
	return r->m->params[params_before(r->layer) + param].dims;
}

struct pfw_gemm linear(const struct run *r, uint32_t kind, uint32_t param,
		       const void *a, void *c)
{
	const struct pfw_call *call = r->call;
	const uint64_t *dims = matrix_dims(r, param);
	const uint32_t i = r->param + param;
	const int turned = kind == PFW_GEMM_NT;
	struct pfw_gemm g = {
		.size = sizeof(g), .kind = kind, .m = r->rows,
		.n = (uint32_t)dims[turned ? 0 : 1],
		.k = (uint32_t)dims[turned ? 1 : 0],
		.c_dtype = call->shape.act_dtype,
		.a = a, .b = call->weights[i], .c = c,
	};

	if (call->weights_act && call->weights_act[i])
		g.b = call->weights_act[i];
	if (call->packed)
		g.b_packed = call->packed[2 * i + kind];
	return g;
}

void linear_backward_weight(const struct run *r, uint32_t param,
			    const void *input, const void *grad_output)
{
	const uint64_t *dims = matrix_dims(r, param);
	const struct pfw_gemm g = {
		.size = sizeof(g), .kind = PFW_GEMM_TN,
		.epilogue = run_adds(r) ? PFW_EPI_ACCUMULATE : 0,
		.m = (uint32_t)dims[0], .n = (uint32_t)dims[1], .k = r->rows,
		.c_dtype = PFW_F32, .a = input, .b = grad_output,
		.c = run_grad(r, param),
	};

	r->k->gemm(r->call->queue, &g);
	r->k->bias_backward(r->call->queue, run_grad(r, param + 1), grad_output,
			    r->rows, g.n, run_adds(r));
}
