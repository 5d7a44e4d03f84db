/*
 * fake_impl.h: the insides of the stand-in.
 */
#ifndef PFW_TESTS_FAKE_IMPL_H
#define PFW_TESTS_FAKE_IMPL_H

#include "cuda/fake_cuda.h"

#include <pthread.h>
#include <stdint.h>

/** Every object's state is under this lock; `changed` is told of all changes. */
extern pthread_mutex_t fake_lock;
extern pthread_cond_t fake_changed;

/** An injected error of this call, or cudaSuccess; notes it for
 *  cudaGetLastError(). */
cudaError_t fake_enter(const char *call);
/** Notes an error on its way out. */
cudaError_t fake_leave(cudaError_t error);
/** +1 for each object made, -1 for each freed. */
void fake_count(int by);

/** fake_enter() of what a thread may not do while it captures a stream, whose
 *  capture that spoils (cudaStreamCaptureModeThreadLocal). */
cudaError_t fake_enter_safe(const char *call);
/** All streams have done what they were given. */
void fake_sync_all(void);
/** What @p ptr .. + bytes is: cudaMemoryTypeUnregistered if not of one kind. */
enum cudaMemoryType fake_type(const void *ptr, size_t bytes);

#endif
