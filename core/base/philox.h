/*
 * philox.h: Philox 4x32-10, a random number as a function of its position
 * (Salmon, Moraes, Dror and Shaw, SC'11, doi 10.1145/2063384.2063405).
 */
#ifndef PFW_CORE_PHILOX_H
#define PFW_CORE_PHILOX_H

#include <stdint.h>

/** Four random words for a 128-bit counter and a 64-bit key. */
void pfw_philox(const uint32_t counter[4], uint64_t key, uint32_t out[4]);

#endif
