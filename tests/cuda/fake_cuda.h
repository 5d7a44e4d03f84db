/*
 * fake_cuda.h: a stand-in for libcudart, so that what runs on streams can be
 * tested where there is no GPU.
 *
 * A stream is a thread that works off a queue, so work really is later than the
 * call that asks for it.  "Device" memory is this process's, filled with rubbish,
 * and known by its addresses: copies in the wrong direction and memory of the
 * wrong kind are refused.  A kernel is a function given to cudaLaunchHostFunc().
 *
 * Environment: FAKE_CUDA_DELAY=N lets each piece of work wait up to N
 * microseconds first, at random (FAKE_CUDA_SEED); FAKE_CUDA_FAIL=CALL:NTH:ERROR
 * is fake_cuda_fail(); FAKE_CUDA_DEVICES=N, 1 where it is not set;
 * FAKE_CUDA_BROKEN=N: card N cannot be used; FAKE_CUDA_IDLE=1: kernels do nothing,
 * for whoever does not look at what they make.
 */
#ifndef PFW_TESTS_FAKE_CUDA_H
#define PFW_TESTS_FAKE_CUDA_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The @p nth call (from 1) from now on of this name, "cudaMalloc", fails. */
void fake_cuda_fail(const char *call, unsigned nth, cudaError_t error);
/** Streams, events and blocks of memory that were made and not freed. */
unsigned fake_cuda_alive(void);
/** As the driver's cuStreamWriteValue64() and cuStreamWaitValue64(), flags 0. */
int fake_cuda_write_value(cudaStream_t stream, unsigned long long at,
			  unsigned long long value, unsigned flags);
int fake_cuda_wait_value(cudaStream_t stream, unsigned long long at,
			 unsigned long long value, unsigned flags);
/** cudaLaunchHostFunc() of a copy of @p arg: as often as a graph runs it. */
cudaError_t fake_cuda_run(cudaStream_t stream, void (*run)(void *),
			  const void *arg, size_t bytes);
/** Is all of this "device" memory? */
int fake_cuda_is_device(const void *ptr, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
