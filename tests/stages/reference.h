/*
 * reference.h: GPT-2's loss as a function of its parameters, in fp64, written
 * from the formulas alone: what gradients are held against.
 */
#ifndef PFW_TESTS_REFERENCE_H
#define PFW_TESTS_REFERENCE_H

#include <stdint.h>

struct reference {
	uint32_t layers, heads, hidden, vocab;
	const double *wte, *wpe;
	const double *(*blocks)[12]; /* as in the state dict */
	const double *lnf_weight, *lnf_bias;
};

/** Sum over the sequence's tokens of -log p(target). */
double reference_loss(const struct reference *r, const int32_t *tokens,
		      const int32_t *targets, uint32_t seq);

#endif
