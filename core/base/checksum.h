/*
 * checksum.h: XXH64 with seed 0 (Yann Collet's xxHash; its specification:
 * github.com/Cyan4973/xxHash, doc/xxhash_spec.md): whether data is what it was,
 * at the speed of memory.  Not against an adversary.
 */
#ifndef PFW_CORE_CHECKSUM_H
#define PFW_CORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

struct pfw_sum {
	uint64_t lane[4];
	uint64_t len;           /**< bytes so far */
	unsigned char rest[32]; /**< the last len % 32 of them */
};

void pfw_sum_start(struct pfw_sum *sum);
void pfw_sum_add(struct pfw_sum *sum, const void *data, size_t len);
uint64_t pfw_sum_end(const struct pfw_sum *sum);

#endif
