/*
 * abort.h: communicators on their way out.
 *
 * An abort frees memory of the card, for which CUDA waits until all its kernels
 * have ended: also those of another communicator that waits for its peer, and
 * would be aborted next (NVIDIA/nccl#1013).  And NCCL may wait there for ranks of
 * the same host to abort too.  So each has a thread of its own, and nobody waits
 * before all are on their way.
 */
#ifndef PFW_NCCL_ABORT_H
#define PFW_NCCL_ABORT_H

#include <pthread.h>
#include <stdbool.h>

#include "library.h"

struct nccl_aborts {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	uint32_t running;
	bool left;              /**< to the last of them */
	void (*after)(void *arg);
	void *arg;
};

/** NULL: out of memory. */
struct nccl_aborts *nccl_aborts_open(void);
/** Frees @p a once all have ended, and then calls @p after with @p arg, to free what
 *  their kernels used; NULL: nothing.  It waits for that, and not for ever: of one that
 *  takes too long its thread sees to both, when it ends. */
void nccl_aborts_close(struct nccl_aborts *a, void (*after)(void *arg), void *arg);

/** Aborts @p comm, then destroys @p stream, sooner or later. */
void nccl_abort(struct nccl_aborts *a, const struct nccl_library *lib,
		ncclComm_t comm, cudaStream_t stream);

#endif
