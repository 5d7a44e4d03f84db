/* The stand-in's devices and errors. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/fake_impl.h"

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t fake_changed = PTHREAD_COND_INITIALIZER;

static pthread_mutex_t failing = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char fail_call[64];
static unsigned fail_in; /* 0: nothing fails */
static cudaError_t fail_with;
static int tally_fd = -1;
static _Atomic int recorded;
static unsigned alive;
static _Thread_local cudaError_t last;
static _Thread_local int current;

void fake_cuda_fail(const char *call, unsigned nth, cudaError_t error)
{
	pthread_mutex_lock(&failing);
	snprintf(fail_call, sizeof(fail_call), "%s", call);
	fail_in = nth;
	fail_with = error;
	pthread_mutex_unlock(&failing);
}

static void read_environment(void)
{
	const char *text = getenv("FAKE_CUDA_FAIL");
	const char *file = getenv("FAKE_CUDA_TALLY");
	char call[64];
	unsigned nth, error;

	if (file)
		tally_fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
				0666);

	if (text && sscanf(text, "%63[^:]:%u:%u", call, &nth, &error) == 3)
		fake_cuda_fail(call, nth, (cudaError_t)error);
}

/* FAKE_CUDA_TALLY=FILE: a byte for each time that somebody waits for a stream,
 * once an event has been recorded: when nobody measures a peak any more. */
static void tally(const char *call)
{
	if (!strcmp(call, "cudaEventRecord"))
		recorded = 1;
	if (tally_fd < 0 || !recorded || strcmp(call, "cudaStreamSynchronize"))
		return;
	if (write(tally_fd, ".", 1) != 1)
		abort();
}

/* A driver that was started does not survive fork(): nothing of CUDA works in a
 * child of who has used it. */
static int is_forked(const char *call)
{
	static _Atomic pid_t owner;
	pid_t nobody = 0;

	if (!strcmp(call, "cudaDriverGetVersion") ||
	    !strcmp(call, "cudaRuntimeGetVersion"))
		return 0;
	return !atomic_compare_exchange_strong(&owner, &nobody, getpid()) &&
	       nobody != getpid();
}

cudaError_t fake_enter(const char *call)
{
	cudaError_t e = cudaSuccess;

	pthread_once(&once, read_environment);
	if (is_forked(call))
		return fake_leave(cudaErrorInitializationError);
	tally(call);
	pthread_mutex_lock(&failing);
	if (fail_in && !strcmp(call, fail_call) && !--fail_in)
		e = fail_with;
	pthread_mutex_unlock(&failing);
	return fake_leave(e);
}

cudaError_t fake_leave(cudaError_t error)
{
	if (error)
		last = error;
	return error;
}

void fake_count(int by)
{
	pthread_mutex_lock(&failing);
	alive += (unsigned)by;
	pthread_mutex_unlock(&failing);
}

unsigned fake_cuda_alive(void)
{
	unsigned n;

	pthread_mutex_lock(&failing);
	n = alive;
	pthread_mutex_unlock(&failing);
	return n;
}

cudaError_t cudaGetLastError(void)
{
	cudaError_t e = last;

	last = cudaSuccess;
	return e;
}

cudaError_t cudaPeekAtLastError(void)
{
	return last;
}

const char *cudaGetErrorName(cudaError_t error)
{
	return error ? "cudaErrorFake" : "cudaSuccess";
}

const char *cudaGetErrorString(cudaError_t error)
{
	switch (error) {
	case cudaSuccess:
		return "no error";
	case cudaErrorInvalidValue:
		return "invalid argument";
	case cudaErrorMemoryAllocation:
		return "out of memory";
	case cudaErrorInitializationError:
		return "initialization error";
	case cudaErrorIllegalAddress:
		return "an illegal memory access was encountered";
	default:
		return "an error of the stand-in's";
	}
}

static int devices(void)
{
	const char *text = getenv("FAKE_CUDA_DEVICES");

	return text ? atoi(text) : 1;
}

cudaError_t cudaGetDeviceCount(int *count)
{
	cudaError_t e = fake_enter("cudaGetDeviceCount");

	if (e)
		return e;
	*count = devices();
	return *count ? cudaSuccess : fake_leave(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device)
{
	cudaError_t e = fake_enter("cudaSetDevice");
	const char *broken = getenv("FAKE_CUDA_BROKEN");

	if (e)
		return e;
	if (device < 0 || device >= devices())
		return fake_leave(cudaErrorInvalidDevice);
	if (broken && device == atoi(broken))
		return fake_leave(cudaErrorDevicesUnavailable);
	current = device;
	return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
	cudaError_t e = fake_enter("cudaGetDevice");

	*device = current;
	return e;
}

cudaError_t cudaDriverGetVersion(int *version)
{
	cudaError_t e = fake_enter("cudaDriverGetVersion");

	*version = CUDART_VERSION;
	return e;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
	cudaError_t e = fake_enter("cudaRuntimeGetVersion");

	*version = CUDART_VERSION;
	return e;
}

/* Some card of capability 9.0. */
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device)
{
	cudaError_t e = fake_enter("cudaGetDeviceProperties");

	if (e)
		return e;
	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "stand-in %d", device);
	snprintf(out->uuid.bytes, sizeof(out->uuid.bytes), "card %d", device);
	out->major = 9;
	out->multiProcessorCount = 4;
	out->warpSize = 32;
	out->maxThreadsPerBlock = 1024;
	out->sharedMemPerBlockOptin = 227 << 10;
	out->totalGlobalMem = (size_t)1 << 32;
	return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr,
				   int device)
{
	cudaError_t e = fake_enter("cudaDeviceGetAttribute");

	(void)device;
	/* Of what others write it has to be told to look. */
	*value = attr == cudaDevAttrGPUDirectRDMAFlushWritesOptions ?
			 (int)cudaFlushGPUDirectRDMAWritesOptionHost :
		 attr == cudaDevAttrComputeCapabilityMajor ? 9 :
		 attr == cudaDevAttrMultiProcessorCount	   ? 4 :
		 attr == cudaDevAttrMaxSharedMemoryPerBlockOptin ? 227 << 10 : 0;
	return e;
}

cudaError_t cudaDeviceFlushGPUDirectRDMAWrites(
	enum cudaFlushGPUDirectRDMAWritesTarget target,
	enum cudaFlushGPUDirectRDMAWritesScope scope)
{
	(void)target;
	(void)scope;
	return fake_enter("cudaDeviceFlushGPUDirectRDMAWrites");
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
	cudaError_t e = fake_enter("cudaDeviceGetStreamPriorityRange");

	*least = 0;
	*greatest = -5;
	return e;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer)
{
	cudaError_t e = fake_enter("cudaDeviceCanAccessPeer");

	*can = device != peer && device < devices() && peer < devices();
	return e;
}

/* Once is enough, and twice is an error, as in CUDA. */
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
	static _Thread_local int enabled;
	cudaError_t e = fake_enter("cudaDeviceEnablePeerAccess");

	(void)flags;
	if (e || peer == current)
		return fake_leave(e ? e : cudaErrorInvalidDevice);
	if (enabled)
		return fake_leave(cudaErrorPeerAccessAlreadyEnabled);
	enabled = 1;
	return cudaSuccess;
}
