/*
 * Memory of the card: few large chunks, handed out piece by piece.  All is
 * asked for before the first step, and CUDA's own allocations wait for all work
 * of the card.
 */
#include <errno.h>
#include <stdlib.h>

#include "cuda.h"

/* cudaMalloc's own; TMA and vector loads like it. */
#define PIECE_ALIGN ((size_t)256)
/* The largest that hosts have: a chunk has whole ones, which can be shared. */
#define PAGE ((size_t)64 << 10)
#define CHUNK_LEAST ((size_t)2 << 20)
#define CHUNK_MOST ((size_t)1 << 30)

struct cuda_chunk {
	struct cuda_chunk *next;
	char *base;
	size_t bytes, used;
	uint64_t pieces; /* not given back */
};

static size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* Each chunk is as large as all before it, within bounds. */
static size_t chunk_bytes(const struct cuda_device *dev, size_t least)
{
	size_t bytes = 0;

	for (const struct cuda_chunk *c = dev->chunks; c; c = c->next)
		bytes += c->bytes;
	if (bytes < CHUNK_LEAST)
		bytes = CHUNK_LEAST;
	if (bytes > CHUNK_MOST)
		bytes = CHUNK_MOST;
	return bytes > least ? bytes : least;
}

static int no_memory(size_t bytes, struct pfw_error *err)
{
	size_t left = 0, total = 0;

	cudaGetLastError();
	cudaMemGetInfo(&left, &total);
	return pfw_error_set(err, ENOMEM,
			     "cuda: no memory for %zu MiB more: %zu of the "
			     "card's %zu MiB are free", bytes >> 20, left >> 20,
			     total >> 20);
}

/* Where a whole chunk does not fit, what is wanted may. */
static int add_chunk(struct cuda_device *dev, size_t least,
		     struct pfw_error *err)
{
	struct cuda_chunk *c = calloc(1, sizeof(*c));
	cudaError_t e;

	if (!c)
		return pfw_error_set(err, ENOMEM, "out of memory");
	c->bytes = chunk_bytes(dev, least);
	e = cudaMalloc((void **)&c->base, c->bytes);
	if (e == cudaErrorMemoryAllocation && c->bytes > least) {
		cudaGetLastError();
		c->bytes = least;
		e = cudaMalloc((void **)&c->base, c->bytes);
	}
	if (e) {
		free(c);
		return e == cudaErrorMemoryAllocation ?
			       no_memory(least, err) :
			       cuda_result("cudaMalloc", e, err);
	}
	c->next = dev->chunks;
	dev->chunks = c;
	return 0;
}

static struct cuda_chunk *chunk_with(const struct cuda_device *dev,
				     size_t bytes)
{
	for (struct cuda_chunk *c = dev->chunks; c; c = c->next)
		if (c->bytes - c->used >= bytes)
			return c;
	return NULL;
}

int cuda_alloc(void *device, size_t bytes, void **out, struct pfw_error *err)
{
	struct cuda_device *dev = device;
	size_t take = round_up(bytes ? bytes : 1, PIECE_ALIGN);
	struct cuda_chunk *c;
	cudaError_t e;
	int rc;

	if (round_up(take, PAGE) < bytes)
		return pfw_error_set(err, ENOMEM,
				     "cuda: no memory for %zu bytes", bytes);
	c = chunk_with(dev, take);
	if (!c) {
		rc = add_chunk(dev, round_up(take, PAGE), err);
		if (rc)
			return rc;
		c = dev->chunks;
	}
	e = cudaMemsetAsync(c->base + c->used, 0, take, dev->stream);
	if (!e)
		e = cudaStreamSynchronize(dev->stream);
	if (e)
		return cuda_result("cudaMemsetAsync", e, err);
	*out = c->base + c->used;
	c->used += take;
	c->pieces++;
	return 0;
}

void cuda_free(void *device, void *ptr)
{
	struct cuda_device *dev = device;
	char *p = ptr;

	for (struct cuda_chunk *c = dev->chunks; p && c; c = c->next) {
		if (p < c->base || p >= c->base + c->bytes)
			continue;
		if (!--c->pieces)
			c->used = 0;
		return;
	}
}

void *cuda_allocation_of(const struct cuda_device *dev, const void *ptr)
{
	const char *p = ptr;

	for (const struct cuda_chunk *c = dev->chunks; c; c = c->next)
		if (p >= c->base && p < c->base + c->bytes)
			return c->base;
	return NULL;
}

void cuda_free_all(struct cuda_device *dev)
{
	while (dev->chunks) {
		struct cuda_chunk *c = dev->chunks;

		dev->chunks = c->next;
		cudaFree(c->base);
		free(c);
	}
}

/* The receiving end of a channel may not write its slots, which has to be said. */
int cuda_pin(void *device, void *ptr, size_t bytes, struct pfw_error *err)
{
	const unsigned flags = cudaHostRegisterPortable |
			       cudaHostRegisterMapped;
	cudaError_t e = cudaHostRegister(ptr, bytes, flags);

	(void)device;
	if (e) {
		cudaGetLastError();
		e = cudaHostRegister(ptr, bytes,
				     flags | cudaHostRegisterReadOnly);
	}
	return cuda_result("cudaHostRegister", e, err);
}

void cuda_unpin(void *device, void *ptr)
{
	(void)device;
	cudaHostUnregister(ptr);
}
