/* What only the driver's own library has; it is there where a card is. */
#include <dlfcn.h>

#include "cuda.h"

#define FILE_NAME "libcuda.so.1"

/* CUDA's <cuda.h>, from 11.7 on: cuMemGetHandleForAddressRange(). */
#define DMA_BUF_FD 1 /* CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD */

/* Drivers with closed kernel modules have the call, and refuse. */
int cuda_export(uintptr_t first, size_t bytes)
{
	void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
	int (*get)(void *handle, unsigned long long first, size_t bytes,
		   int type, unsigned long long flags);
	int fd = -1;

	if (!library)
		return -1;
	*(void **)&get = dlsym(library, "cuMemGetHandleForAddressRange");
	if (!get || get(&fd, first, bytes, DMA_BUF_FD, 0))
		fd = -1;
	dlclose(library);
	return fd;
}
