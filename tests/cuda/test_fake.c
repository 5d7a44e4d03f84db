/* The stand-in for libcudart: what tests over it rely on. */
#include "cuda/fake_cuda.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

static void hold(void *arg)
{
	while (!atomic_load((atomic_int *)arg))
		;
}

/* A stream that waits for an event sees what was done before it. */
static void test_order(void)
{
	cudaStream_t a, b;
	cudaEvent_t event;
	atomic_int go = 0;
	void *device;
	int value = 0;

	CU_ASSERT_EQUAL_FATAL(cudaStreamCreateWithFlags(
				      &a, cudaStreamNonBlocking), 0);
	CU_ASSERT_EQUAL_FATAL(cudaStreamCreate(&b), 0);
	CU_ASSERT_EQUAL_FATAL(cudaEventCreateWithFlags(&event, 0), 0);
	CU_ASSERT_EQUAL_FATAL(cudaMalloc(&device, sizeof(value)), 0);
	CU_ASSERT_EQUAL(cudaLaunchHostFunc(a, hold, &go), 0);
	CU_ASSERT_EQUAL(cudaMemsetAsync(device, 1, sizeof(value), a), 0);
	CU_ASSERT_EQUAL(cudaEventRecord(event, a), 0);
	CU_ASSERT_EQUAL(cudaEventQuery(event), cudaErrorNotReady);
	CU_ASSERT_EQUAL(cudaStreamWaitEvent(b, event, 0), 0);
	CU_ASSERT_EQUAL(cudaStreamQuery(b), cudaErrorNotReady);
	atomic_store(&go, 1);
	CU_ASSERT_EQUAL(cudaMemcpyAsync(&value, device, sizeof(value),
					cudaMemcpyDeviceToHost, b), 0);
	CU_ASSERT_EQUAL(value, 0x01010101);
	CU_ASSERT_EQUAL(cudaEventQuery(event), 0);
	CU_ASSERT_EQUAL(cudaFree(device), 0);
	CU_ASSERT_EQUAL(cudaEventDestroy(event), 0);
	CU_ASSERT_EQUAL(cudaStreamDestroy(a), 0);
	CU_ASSERT_EQUAL(cudaStreamDestroy(b), 0);
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

static void test_memory(void)
{
	struct cudaPointerAttributes attr;
	static const char fixed[16] = "read only";
	char host[16] = { 0 };
	char *device;

	CU_ASSERT_EQUAL_FATAL(cudaMalloc((void **)&device, 16), 0);
	CU_ASSERT_NOT_EQUAL(device[3], 0);
	CU_ASSERT(fake_cuda_is_device(device + 8, 8));
	CU_ASSERT(!fake_cuda_is_device(device + 8, 9));
	CU_ASSERT(!fake_cuda_is_device(host, 1));
	CU_ASSERT_EQUAL(cudaMemcpy(device, host, 16, cudaMemcpyHostToDevice), 0);
	CU_ASSERT_EQUAL(device[3], 0);
	CU_ASSERT_EQUAL(cudaMemcpy(host, device, 16, cudaMemcpyHostToDevice),
			cudaErrorInvalidValue);
	CU_ASSERT_EQUAL(cudaGetLastError(), cudaErrorInvalidValue);
	CU_ASSERT_EQUAL(cudaPointerGetAttributes(&attr, device), 0);
	CU_ASSERT_EQUAL(attr.type, cudaMemoryTypeDevice);
	CU_ASSERT_EQUAL(cudaHostRegister(host, 16, 0), 0);
	CU_ASSERT_EQUAL(cudaPointerGetAttributes(&attr, host + 1), 0);
	CU_ASSERT_EQUAL(attr.type, cudaMemoryTypeHost);
	CU_ASSERT_EQUAL(cudaHostUnregister(host), 0);
	CU_ASSERT_EQUAL(cudaHostRegister((void *)(uintptr_t)fixed, 1, 0),
			cudaErrorInvalidValue);
	CU_ASSERT_EQUAL(cudaFree(device), 0);
	CU_ASSERT_EQUAL(cudaFree(device), cudaErrorInvalidValue);
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

static void increment(void *arg)
{
	++**(int **)arg;
}

/* What is captured is not done, but as often as it is launched; what may not be
 * captured spoils it. */
static void test_capture(void)
{
	const enum cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal;
	int count = 0, *counter = &count;
	cudaStream_t s;
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	CU_ASSERT_EQUAL_FATAL(cudaStreamCreateWithFlags(
				      &s, cudaStreamNonBlocking), 0);
	CU_ASSERT_EQUAL(cudaStreamBeginCapture(s, mode), 0);
	CU_ASSERT_EQUAL(fake_cuda_run(s, increment, &counter, sizeof(counter)),
			0);
	CU_ASSERT_EQUAL(cudaStreamEndCapture(s, &graph), 0);
	CU_ASSERT_EQUAL(cudaGraphInstantiateWithFlags(&exec, graph, 0), 0);
	CU_ASSERT_EQUAL(cudaGraphDestroy(graph), 0);
	CU_ASSERT_EQUAL(cudaStreamSynchronize(s), 0);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(cudaGraphLaunch(exec, s), 0);
	CU_ASSERT_EQUAL(cudaGraphLaunch(exec, s), 0);
	CU_ASSERT_EQUAL(cudaStreamSynchronize(s), 0);
	CU_ASSERT_EQUAL(count, 2);
	CU_ASSERT_EQUAL(cudaGraphExecDestroy(exec), 0);

	CU_ASSERT_EQUAL(cudaStreamSynchronize(s), 0);
	CU_ASSERT_EQUAL(cudaStreamDestroy(s), 0);
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

static cudaError_t wait_for_stream(cudaStream_t s)
{
	return cudaStreamSynchronize(s);
}

static cudaError_t wait_for_all(cudaStream_t s)
{
	(void)s;
	return cudaDeviceSynchronize();
}

static cudaError_t allocate(cudaStream_t s)
{
	void *device;
	cudaError_t e = cudaMalloc(&device, 1);

	(void)s;
	if (!e)
		CU_ASSERT_EQUAL(cudaFree(device), 0);
	return e;
}

/* One that was never recorded is done. */
static cudaError_t query(cudaStream_t s)
{
	cudaEvent_t event;
	cudaError_t e;

	(void)s;
	CU_ASSERT_EQUAL(cudaEventCreate(&event), 0);
	e = cudaEventQuery(event);
	CU_ASSERT_EQUAL(cudaEventDestroy(event), 0);
	return e;
}

/* What spoils a capture on a card does so here. */
static void test_spoiled(void)
{
	static cudaError_t (*const calls[])(cudaStream_t s) = {
		wait_for_stream, wait_for_all, allocate, query,
	};
	const enum cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal;
	cudaStream_t s, blocking;
	cudaGraph_t graph;

	CU_ASSERT_EQUAL_FATAL(cudaStreamCreateWithFlags(
				      &s, cudaStreamNonBlocking), 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		CU_ASSERT_EQUAL(calls[i](s), 0);
		CU_ASSERT_EQUAL(cudaStreamBeginCapture(s, mode), 0);
		CU_ASSERT_EQUAL(calls[i](s), cudaErrorStreamCaptureUnsupported);
		CU_ASSERT_EQUAL(cudaStreamEndCapture(s, &graph),
				cudaErrorStreamCaptureInvalidated);
		CU_ASSERT_PTR_NULL(graph);
	}
	CU_ASSERT_EQUAL(cudaStreamDestroy(s), 0);
	CU_ASSERT_EQUAL_FATAL(cudaStreamCreate(&blocking), 0);
	CU_ASSERT_EQUAL(cudaStreamBeginCapture(blocking, mode),
			cudaErrorStreamCaptureImplicit);
	CU_ASSERT_EQUAL(cudaStreamDestroy(blocking), 0);
}

/* What CUDA has opened does not survive fork(). */
static void test_fork(void)
{
	int n, status = -1;
	pid_t pid;

	CU_ASSERT_EQUAL(cudaGetDeviceCount(&n), 0);
	pid = fork();
	if (!pid)
		_exit(cudaGetDeviceCount(&n) != cudaErrorInitializationError);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static void *watch(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3000; i++)
		if (cudaDeviceSynchronize())
			abort();
	return NULL;
}

/* A thread that waits for all streams may wait for one that another destroys. */
static void test_destroyed_meanwhile(void)
{
	pthread_t watchers[2];
	cudaStream_t s;
	int value = 0, *at = &value;

	for (int i = 0; i < 2; i++)
		pthread_create(&watchers[i], NULL, watch, NULL);
	for (int i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL_FATAL(cudaStreamCreateWithFlags(
					      &s, cudaStreamNonBlocking), 0);
		CU_ASSERT_EQUAL(cudaLaunchHostFunc(s, increment, &at), 0);
		CU_ASSERT_EQUAL(cudaStreamDestroy(s), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(watchers[i], NULL);
	CU_ASSERT_EQUAL(value, 1000);
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

static void test_failure(void)
{
	void *device;

	fake_cuda_fail("cudaMalloc", 2, cudaErrorMemoryAllocation);
	CU_ASSERT_EQUAL(cudaMalloc(&device, 1), 0);
	CU_ASSERT_EQUAL(cudaFree(device), 0);
	CU_ASSERT_EQUAL(cudaMalloc(&device, 1), cudaErrorMemoryAllocation);
	CU_ASSERT_EQUAL(cudaMalloc(&device, 1), 0);
	CU_ASSERT_EQUAL(cudaFree(device), 0);
}

static const struct unit_test tests[] = {
	{ "streams and events keep their order", test_order },
	{ "memory is of a kind", test_memory },
	{ "what is captured is done when it is launched", test_capture },
	{ "what spoils a capture", test_spoiled },
	{ "CUDA does not survive fork()", test_fork },
	{ "a stream is destroyed while it is waited for", test_destroyed_meanwhile },
	{ "the nth call fails", test_failure },
};

UNIT_MAIN("cuda stand-in", tests)
