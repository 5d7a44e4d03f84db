/*
 * sha256.h: SHA-256 (FIPS 180-4).
 */
#ifndef PFW_CORE_SHA256_H
#define PFW_CORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define PFW_SHA256_BYTES 32u
#define PFW_SHA256_BLOCK 64u

struct pfw_sha256 {
	uint32_t h[8];
	uint64_t bytes; /**< taken so far */
	uint8_t block[PFW_SHA256_BLOCK];
};

void pfw_sha256_begin(struct pfw_sha256 *s);
void pfw_sha256_add(struct pfw_sha256 *s, const void *data, size_t len);
void pfw_sha256_end(struct pfw_sha256 *s, uint8_t out[PFW_SHA256_BYTES]);

#endif
