/*
 * fake_stage.h: a stage plugin of layers that compute nothing, for tests of the
 * model: letters and costs from a table, the first and last layer tied.
 */
#ifndef PFW_TESTS_FAKE_STAGE_H
#define PFW_TESTS_FAKE_STAGE_H

#include "model/model.h"

#define FAKE_MAX 64

/** Set before fake_open(): what the next model looks like. */
struct fake_stage {
	char letters[FAKE_MAX + 1];
	uint64_t cost[FAKE_MAX];
	uint64_t tied_rows_last; /**< dims[0] of the tied parameter's last use */
	uint32_t open;           /**< objects alive */
};
extern struct fake_stage fake;

/** `letters` with cost 1 each. */
void fake_set(const char *letters);
extern const struct pfw_loaded fake_loaded;

#endif
