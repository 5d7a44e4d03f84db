/*
 * clock.h: monotonic time in nanoseconds, the same for all processes of a host.
 */
#ifndef PFW_CORE_CLOCK_H
#define PFW_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t pfw_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#define PFW_MS 1000000ull
#define PFW_S 1000000000ull

#endif
