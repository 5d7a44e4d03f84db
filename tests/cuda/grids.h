/* grids.h: the cuda device's kernels run on the host, for tests/kernels. */
#ifndef PFW_TESTS_GRIDS_H
#define PFW_TESTS_GRIDS_H

#include "cuda/simt_run.h"
#include "kernels/kernels.h"

/** A path whose activations are of *act, which must outlive it. */
struct path grids_path(uint32_t *act);
/** Of every byte that came from a device so far. */
extern uint64_t grids_hash;

/** More of checks, those that the host's run of grids alone can do. */
void check_epilogue(struct path *p);
void check_wide_rows(struct path *p);
void check_far(void);

#endif
