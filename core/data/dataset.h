/*
 * dataset.h: the inside of a data set, for the loader.
 */
#ifndef PFW_CORE_DATASET_H
#define PFW_CORE_DATASET_H

#include "data/data.h"
#include "data/source.h"

/** Tokens [from, to) of a source. */
struct pfw_split {
	const struct pfw_source *source;
	uint64_t from, to;
};

struct pfw_dataset {
	struct pfw_source main, extra; /**< extra: validation's own file */
	int has_validation_file;
	uint32_t seq;
	struct pfw_split splits[2]; /**< by PFW_SPLIT_* */
};

#endif
