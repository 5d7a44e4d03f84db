/*
 * linear.h: products with the weights of the layer a run is at.
 */
#ifndef PFW_GPT2_LINEAR_H
#define PFW_GPT2_LINEAR_H

#include "memory.h"

static inline const float *run_weight(const struct run *r, uint32_t param)
{
	return r->call->weights[r->param + param];
}

static inline float *run_grad(const struct run *r, uint32_t param)
{
	return r->call->grads[r->param + param];
}

/* Are gradients of parameters added to? */
static inline int run_adds(const struct run *r)
{
	return !!(r->call->flags & PFW_CALL_ACCUMULATE);
}

/* A GEMM with matrix `param` as B, C in act; epilogue and the rest are the
 * caller's to fill in. */
struct pfw_gemm linear(const struct run *r, uint32_t kind, uint32_t param,
		       const void *a, void *c);

/* The gradient of matrix `param` [k, n], made of its GEMM's input and of its
 * output's gradient, and that of the bias, which is the next parameter. */
void linear_backward_weight(const struct run *r, uint32_t param,
			    const void *input, const void *grad_output);

#endif
