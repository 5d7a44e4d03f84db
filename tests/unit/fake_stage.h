/*
 * fake_stage.h: a stage plugin of layers that compute nothing, for tests of the
 * model: letters and costs from a table, the first and last layer tied.  An a
 * begins a whole t.
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
	uint64_t rows;           /**< of every layer's own parameter; 0: i + 1 */
	uint32_t n_dims;         /**< of that parameter; 0: 1 */
	uint64_t saved, work;    /**< bytes of a layer; 0: small ones */
	uint64_t boundary;       /**< numbers of a tensor; 0: few */
	uint32_t boundary_dims, boundary_tensors; /**< 0: 1 and 2 */
	uint32_t n_whole;        /**< layers of that whole */
	uint32_t n_params;       /**< that every layer claims to have; 0: 1 or 2 */
	uint32_t open;           /**< objects alive */
};
extern struct fake_stage fake;

/** `letters` with cost 1 each. */
void fake_set(const char *letters);
extern const struct pfw_loaded fake_loaded;

#endif
