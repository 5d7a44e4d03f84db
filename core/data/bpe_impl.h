/*
 * bpe_impl.h: the tables of a byte-pair encoding.
 */
#ifndef PFW_CORE_BPE_IMPL_H
#define PFW_CORE_BPE_IMPL_H

#include "data/bpe.h"

struct pfw_bpe_merge {
	int32_t left, right; /**< left < 0: an empty place of the table */
	int32_t merged;
	uint32_t rank; /**< line of merges.txt, counted from 0 */
};

struct pfw_bpe {
	uint32_t vocab;
	char *bytes;      /**< of all tokens, one after the other */
	uint32_t *starts; /**< [vocab + 1] in bytes */
	int32_t byte_ids[256];
	struct pfw_bpe_merge *merges; /**< open hash table */
	uint32_t mask;    /**< its size - 1 */
};

/** The place of the pair, or the empty one where it belongs. */
struct pfw_bpe_merge *pfw_bpe_slot(const struct pfw_bpe *bpe, int32_t left,
				   int32_t right);
/** NULL: the two do not merge. */
const struct pfw_bpe_merge *pfw_bpe_find(const struct pfw_bpe *bpe,
					 int32_t left, int32_t right);

#endif
