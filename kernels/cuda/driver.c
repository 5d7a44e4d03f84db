/* What only the driver's own library has; it is there where a card is. */
#include <dlfcn.h>
#include <errno.h>

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

/* CUDA's <cuda.h>: CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, from 11.7 on
 * as the functions' second versions, which no module option switches off. */
#define CAN_USE_WORDS 122

int cuda_find_words(int card, struct cuda_words *out)
{
	void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
	int (*get)(int *device, int ordinal);
	int (*attribute)(int *value, int which, int device);
	struct cuda_words w;
	int device, can = 0;

	if (!library)
		return -ENOTSUP;
	/* Never closed: CUDA's runtime has it open as long. */
	*(void **)&get = dlsym(library, "cuDeviceGet");
	*(void **)&attribute = dlsym(library, "cuDeviceGetAttribute");
	*(void **)&w.write = dlsym(library, "cuStreamWriteValue64_v2");
	*(void **)&w.wait = dlsym(library, "cuStreamWaitValue64_v2");
	if (!get || !attribute || !w.write || !w.wait || get(&device, card) ||
	    attribute(&can, CAN_USE_WORDS, device) || !can)
		return -ENOTSUP;
	*out = w;
	return 0;
}
