/* What the stand-in has in place of the driver's own library. */
#include "cuda/fake_cuda.h"
#include "cuda/fake_dmabuf.h"

#include "cuda.h"

int cuda_export(uintptr_t first, size_t bytes)
{
	void *at = (void *)first;

	return fake_cuda_is_device(at, bytes) ? fake_dmabuf_make(at, bytes) : -1;
}
