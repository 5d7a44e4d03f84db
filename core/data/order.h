/*
 * order.h: where in the tokens a sample lies.  Pure functions, no table: the
 * order costs no memory and goes on anywhere.
 */
#ifndef PFW_CORE_ORDER_H
#define PFW_CORE_ORDER_H

#include <stdint.h>

/**
 * Sequences of an epoch over @p tokens (> @p seq): windows of seq tokens side
 * by side, one fewer than would fit, so that each epoch may begin its windows
 * elsewhere; at least one.
 */
uint64_t pfw_order_epoch(uint64_t tokens, uint32_t seq);

/**
 * First token of training sample @p sample; the seq + 1 from there are in
 * range.  Each epoch is a permutation of its windows.
 */
uint64_t pfw_order_train(uint64_t seed, uint64_t tokens, uint32_t seq,
			 uint64_t sample);

/** The same for sample @p i of @p n that are spread evenly. */
uint64_t pfw_order_even(uint64_t tokens, uint32_t seq, uint64_t i, uint64_t n);

#endif
