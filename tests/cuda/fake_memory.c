/* The stand-in's memory: "device" and pinned blocks, known by their addresses. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuda/fake_impl.h"

#define RUBBISH 0xa5

struct block {
	struct block *next;
	char *base;
	size_t bytes;
	enum cudaMemoryType type;
	int registered; /* cudaHostRegister: not ours to free */
	int fd;         /* of "device" memory, which others may open; else -1 */
	unsigned opens; /* of another process's; 0: it is ours */
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
		       int registered, int fd, unsigned opens)
{
	struct block *b = malloc(sizeof(*b));

	if (!b)
		return cudaErrorMemoryAllocation;
	pthread_mutex_lock(&fake_lock);
	*b = (struct block){ blocks, base, bytes, type, registered, fd, opens };
	blocks = b;
	pthread_mutex_unlock(&fake_lock);
	fake_count(1);
	return cudaSuccess;
}

static cudaError_t allocate(void **out, size_t bytes, enum cudaMemoryType type)
{
	int device = type == cudaMemoryTypeDevice;
	int fd = device ? memfd_create("card", MFD_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	bytes = bytes ? bytes : 1;
	if (!device || (fd >= 0 && !ftruncate(fd, (off_t)bytes)))
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 device ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd,
			 0);
	if (p == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		return cudaErrorMemoryAllocation;
	}
	memset(p, RUBBISH, bytes);
	*out = p;
	return add(p, bytes, type, 0, fd, 0);
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
	if (*at && (*at)->type == type && (*at)->registered == registered &&
	    !(*at)->opens) {
		b = *at;
		*at = b->next;
	}
	pthread_mutex_unlock(&fake_lock);
	if (!b)
		return cudaErrorInvalidValue;
	if (!registered)
		munmap(b->base, b->bytes);
	if (b->fd >= 0)
		close(b->fd);
	free(b);
	fake_count(-1);
	return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
	cudaError_t e = fake_enter_safe("cudaMalloc");

	return e ? e : fake_leave(allocate(out, bytes, cudaMemoryTypeDevice));
}

cudaError_t cudaFree(void *ptr)
{
	cudaError_t e = fake_enter_safe("cudaFree");

	return e ? e : fake_leave(release(ptr, cudaMemoryTypeDevice, 0));
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
	cudaError_t e = fake_enter_safe("cudaMallocHost");

	return e ? e : fake_leave(allocate(out, bytes, cudaMemoryTypeHost));
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
	cudaError_t e = fake_enter_safe("cudaHostAlloc");

	(void)flags;
	return e ? e : fake_leave(allocate(out, bytes, cudaMemoryTypeHost));
}

cudaError_t cudaFreeHost(void *ptr)
{
	cudaError_t e = fake_enter_safe("cudaFreeHost");

	return e ? e : fake_leave(release(ptr, cudaMemoryTypeHost, 0));
}

static int is_writable(const void *ptr)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t first, end;
	char line[512], access[5];
	int found = 0;

	while (maps && !found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &first,
			       &end, access) == 3 &&
			first <= (uintptr_t)ptr && (uintptr_t)ptr < end;
	if (maps)
		fclose(maps);
	return found && access[1] == 'w';
}

/* CUDA wants to know of what the process may not write. */
cudaError_t cudaHostRegister(void *ptr, size_t bytes, unsigned flags)
{
	cudaError_t e = fake_enter_safe("cudaHostRegister");

	if (e)
		return e;
	if (!(flags & cudaHostRegisterReadOnly) && !is_writable(ptr))
		return fake_leave(cudaErrorInvalidValue);
	if (fake_type(ptr, 1) != cudaMemoryTypeUnregistered)
		return fake_leave(cudaErrorHostMemoryAlreadyRegistered);
	return fake_leave(add(ptr, bytes, cudaMemoryTypeHost, 1, -1, 0));
}

cudaError_t cudaHostUnregister(void *ptr)
{
	cudaError_t e = fake_enter_safe("cudaHostUnregister");

	return e ? e : fake_leave(release(ptr, cudaMemoryTypeHost, 1));
}

cudaError_t cudaHostGetDevicePointer(void **out, void *ptr, unsigned flags)
{
	cudaError_t e = fake_enter("cudaHostGetDevicePointer");

	if (!e && (flags || fake_type(ptr, 1) != cudaMemoryTypeHost))
		e = fake_leave(cudaErrorInvalidValue);
	*out = ptr;
	return e;
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

/* What a handle holds: whose memory, and which. */
struct ipc {
	pid_t pid;
	int fd;
	size_t bytes;
};

/* CUDA wants the allocation's beginning, so the stand-in does too. */
cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *ptr)
{
	cudaError_t e = fake_enter("cudaIpcGetMemHandle");
	struct ipc ipc;
	struct block *b;

	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	b = find(ptr);
	if (!b || b->base != ptr || b->fd < 0 || b->opens)
		e = cudaErrorInvalidValue;
	else
		ipc = (struct ipc){ getpid(), b->fd, b->bytes };
	pthread_mutex_unlock(&fake_lock);
	memset(handle, 0, sizeof(*handle));
	if (!e)
		memcpy(handle, &ipc, sizeof(ipc));
	return fake_leave(e);
}

/* A file is the same whatever descriptor it has: it was opened already? */
static struct block *opened(const struct stat *st)
{
	struct stat other;

	for (struct block *b = blocks; b; b = b->next)
		if (b->opens && !fstat(b->fd, &other) &&
		    other.st_ino == st->st_ino && other.st_dev == st->st_dev)
			return b;
	return NULL;
}

static cudaError_t open_memory(const struct ipc *ipc, void **out)
{
	char path[64];
	struct stat st;
	struct block *b;
	void *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)ipc->pid, ipc->fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		if (fd >= 0)
			close(fd);
		return cudaErrorMapBufferObjectFailed;
	}
	pthread_mutex_lock(&fake_lock);
	b = opened(&st);
	if (b)
		b->opens++;
	pthread_mutex_unlock(&fake_lock);
	if (b) {
		close(fd);
		*out = b->base;
		return cudaSuccess;
	}
	p = mmap(NULL, ipc->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		close(fd);
		return cudaErrorMapBufferObjectFailed;
	}
	*out = p;
	return add(p, ipc->bytes, cudaMemoryTypeDevice, 0, fd, 1);
}

/* Not by the process that made it, as in CUDA. */
cudaError_t cudaIpcOpenMemHandle(void **out, cudaIpcMemHandle_t handle,
				 unsigned flags)
{
	cudaError_t e = fake_enter("cudaIpcOpenMemHandle");
	struct ipc ipc;

	if (e)
		return e;
	memcpy(&ipc, &handle, sizeof(ipc));
	if (flags != cudaIpcMemLazyEnablePeerAccess || ipc.pid == getpid())
		return fake_leave(cudaErrorInvalidValue);
	return fake_leave(open_memory(&ipc, out));
}

cudaError_t cudaIpcCloseMemHandle(void *ptr)
{
	cudaError_t e = fake_enter("cudaIpcCloseMemHandle");
	struct block *b;
	int last = 0;

	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	b = find(ptr);
	if (!b || b->base != ptr || !b->opens)
		e = cudaErrorInvalidValue;
	else if (--b->opens == 0)
		last = 1;
	pthread_mutex_unlock(&fake_lock);
	return fake_leave(last ? release(ptr, cudaMemoryTypeDevice, 0) : e);
}
