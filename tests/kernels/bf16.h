/*
 * bf16.h: bf16 and back, a number at a time.
 */
#ifndef PFW_TESTS_KERNELS_BF16_H
#define PFW_TESTS_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

static inline float from_bf16(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/** To nearest, ties to even. */
static inline uint16_t to_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	if (f != f)
		return 0x7fc0;
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#endif
