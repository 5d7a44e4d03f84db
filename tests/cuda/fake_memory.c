/* The stand-in's memory: "device" and pinned blocks, known by their addresses. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuda/fake_impl.h"

#define RUBBISH 0xa5

struct block {
	struct block *next;
	char *base;
	size_t bytes;
	enum cudaMemoryType type;
	int registered; /* cudaHostRegister: not ours to free */
};

static struct block *blocks;

static struct block *find(const void *ptr)
{
	const char *p = ptr;

	for (struct block *b = blocks; b; b = b->next)
		if (p >= b->base && p < b->base + b->bytes)
			return b;
	return NULL;
}

enum cudaMemoryType fake_type(const void *ptr, size_t bytes)
{
	enum cudaMemoryType type = cudaMemoryTypeUnregistered;
	struct block *b;

	pthread_mutex_lock(&fake_lock);
	b = find(ptr);
	if (b && bytes <= (size_t)(b->base + b->bytes - (const char *)ptr))
		type = b->type;
	pthread_mutex_unlock(&fake_lock);
	return type;
}

int fake_cuda_is_device(const void *ptr, size_t bytes)
{
	return fake_type(ptr, bytes) == cudaMemoryTypeDevice;
}

static cudaError_t add(void *base, size_t bytes, enum cudaMemoryType type,
		       int registered)
{
	struct block *b = malloc(sizeof(*b));

	if (!b)
		return cudaErrorMemoryAllocation;
	pthread_mutex_lock(&fake_lock);
	*b = (struct block){ blocks, base, bytes, type, registered };
	blocks = b;
	pthread_mutex_unlock(&fake_lock);
	fake_count(1);
	return cudaSuccess;
}

static cudaError_t allocate(void **out, size_t bytes, enum cudaMemoryType type)
{
	void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return cudaErrorMemoryAllocation;
	memset(p, RUBBISH, bytes);
	*out = p;
	return add(p, bytes ? bytes : 1, type, 0);
}

/* As in CUDA, freeing waits for all work: it may use the block. */
static cudaError_t release(void *ptr, enum cudaMemoryType type, int registered)
{
	struct block **at = &blocks, *b = NULL;

	if (!ptr)
		return cudaSuccess;
	fake_sync_all();
	pthread_mutex_lock(&fake_lock);
	while (*at && (*at)->base != ptr)
		at = &(*at)->next;
	if (*at && (*at)->type == type && (*at)->registered == registered) {
		b = *at;
		*at = b->next;
	}
	pthread_mutex_unlock(&fake_lock);
	if (!b)
		return cudaErrorInvalidValue;
	if (!registered)
		munmap(b->base, b->bytes);
	free(b);
	fake_count(-1);
	return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
	cudaError_t e = fake_enter("cudaMalloc");

	return e ? e : fake_leave(allocate(out, bytes, cudaMemoryTypeDevice));
}

cudaError_t cudaFree(void *ptr)
{
	cudaError_t e = fake_enter("cudaFree");

	return e ? e : fake_leave(release(ptr, cudaMemoryTypeDevice, 0));
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
	cudaError_t e = fake_enter("cudaMallocHost");

	return e ? e : fake_leave(allocate(out, bytes, cudaMemoryTypeHost));
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
	cudaError_t e = fake_enter("cudaHostAlloc");

	(void)flags;
	return e ? e : fake_leave(allocate(out, bytes, cudaMemoryTypeHost));
}

cudaError_t cudaFreeHost(void *ptr)
{
	cudaError_t e = fake_enter("cudaFreeHost");

	return e ? e : fake_leave(release(ptr, cudaMemoryTypeHost, 0));
}

cudaError_t cudaHostRegister(void *ptr, size_t bytes, unsigned flags)
{
	cudaError_t e = fake_enter("cudaHostRegister");

	(void)flags;
	if (e)
		return e;
	if (fake_type(ptr, 1) != cudaMemoryTypeUnregistered)
		return fake_leave(cudaErrorHostMemoryAlreadyRegistered);
	return fake_leave(add(ptr, bytes, cudaMemoryTypeHost, 1));
}

cudaError_t cudaHostUnregister(void *ptr)
{
	cudaError_t e = fake_enter("cudaHostUnregister");

	return e ? e : fake_leave(release(ptr, cudaMemoryTypeHost, 1));
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out,
				     const void *ptr)
{
	cudaError_t e = fake_enter("cudaPointerGetAttributes");

	if (e)
		return e;
	memset(out, 0, sizeof(*out));
	out->type = fake_type(ptr, 1);
	if (out->type == cudaMemoryTypeUnregistered)
		out->device = -2; /* cudaInvalidDeviceId */
	if (out->type == cudaMemoryTypeDevice)
		out->devicePointer = (void *)ptr;
	else
		out->hostPointer = (void *)ptr;
	return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
	cudaError_t e = fake_enter("cudaMemGetInfo");

	*left = *total = (size_t)1 << 32;
	return e;
}
