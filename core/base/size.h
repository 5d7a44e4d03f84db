/*
 * size.h: sizes made of numbers from outside (a config, a file, a plugin).
 *
 * A sum or product that does not fit stays at PFW_SIZE_MAX through all that
 * follows, so that it is refused once, by whoever would take the memory.
 */
#ifndef PFW_CORE_SIZE_H
#define PFW_CORE_SIZE_H

#include <pipefw/base.h>

/** More than there can be. */
#define PFW_SIZE_MAX UINT64_MAX

static inline uint64_t pfw_size_mul(uint64_t a, uint64_t b)
{
	uint64_t n;

	return __builtin_mul_overflow(a, b, &n) ? PFW_SIZE_MAX : n;
}

static inline uint64_t pfw_size_add(uint64_t a, uint64_t b)
{
	uint64_t n;

	return __builtin_add_overflow(a, b, &n) ? PFW_SIZE_MAX : n;
}

/** As pfw_align_up(). */
static inline uint64_t pfw_size_align(uint64_t n)
{
	return n > PFW_SIZE_MAX - PFW_ALIGN ? PFW_SIZE_MAX : pfw_align_up(n);
}

#endif
