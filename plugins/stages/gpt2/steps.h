/*
 * steps.h: the work of one layer, the one a run is at.
 *
 * Which call makes which gradients of parameters:
 *   backward_input   norms; the head's matrix
 *   backward_weight  the blocks' matrices and biases; the embedding
 */
#ifndef PFW_GPT2_STEPS_H
#define PFW_GPT2_STEPS_H

#include "memory.h"

void attention_forward(const struct run *r);
void mlp_forward(const struct run *r);
/** The input's gradient, the weights', or both: the weights while the gradients are
 *  at hand. */
void attention_backward(const struct run *r, int input, int weight);
void mlp_backward(const struct run *r, int input, int weight);

/** Evaluation and generation; in training all is done in backward. */
void head_forward(const struct run *r);
void head_backward(const struct run *r);

#endif
