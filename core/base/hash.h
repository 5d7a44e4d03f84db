/*
 * hash.h: FNV-1a, 64 bits (Fowler, Noll and Vo; isthe.com/chongo/tech/comp/fnv):
 * for fingerprints that two sides compare, not against an adversary.
 */
#ifndef PFW_CORE_HASH_H
#define PFW_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define PFW_HASH_START 0xcbf29ce484222325ull

/** Goes on from @p hash over @p len bytes. */
uint64_t pfw_hash(uint64_t hash, const void *data, size_t len);
/** The same over a number, byte by byte from the lowest: for any host. */
uint64_t pfw_hash_u64(uint64_t hash, uint64_t value);

#endif
