/* simt_run.h: how launches of the emulated kernels run, for C and C++. */
#ifndef PFW_TESTS_SIMT_RUN_H
#define PFW_TESTS_SIMT_RUN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** In which order what is concurrent is done; set while nothing runs. */
enum simt_order {
	SIMT_FORWARD,  /**< blocks, warps and lanes ascending; copies at once */
	SIMT_BACKWARD, /**< descending; copies when they are waited for */
	SIMT_MIXED,    /**< by chance, anew at every warp operation */
	SIMT_ORDERS
};
extern enum simt_order simt_order_now;

/** If not 0: of each grid only this many blocks, the last ones, run (for shapes
 *  too big to be computed whole). */
extern uint64_t simt_last_blocks;

struct CUstream_st;
/** If not NULL: who runs a launch's grid, in the order of its stream, any number
 *  of times (a graph); it has the form of cudaLaunchHostFunc.  Else the launch
 *  itself does. */
extern int (*simt_submit)(struct CUstream_st *stream, void (*run)(void *),
			  void *arg);

#ifdef __cplusplus
}
#endif

#endif
