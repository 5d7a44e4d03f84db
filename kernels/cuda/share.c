/*
 * Memory of the card for other devices of the machine: GPUDirect RDMA.  What they
 * write goes past the host, so the card has to say when it is there.
 */
#include <errno.h>
#include <unistd.h>

#include "cuda.h"

static int attribute(const struct cuda_device *dev, enum cudaDeviceAttr which)
{
	int value = 0;

	if (!cudaDeviceGetAttribute(&value, which, dev->card))
		return value;
	cudaGetLastError();
	return 0;
}

/* From Hopper on; Ampere must be told to look. */
static int is_ordered(const struct cuda_device *dev)
{
	return attribute(dev, cudaDevAttrGPUDirectRDMAWritesOrdering) >=
	       cudaGPUDirectRDMAWritesOrderingOwner;
}

static int can_flush(const struct cuda_device *dev)
{
	return attribute(dev, cudaDevAttrGPUDirectRDMAFlushWritesOptions) &
	       cudaFlushGPUDirectRDMAWritesOptionHost;
}

/* Only whole pages can be exported; what is used of them is the caller's. */
int cuda_share(void *device, void *ptr, size_t bytes, int *dmabuf,
	       uint64_t *offset, struct pfw_error *err)
{
	struct cuda_device *dev = device;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)ptr / page * page;
	uintptr_t end = ((uintptr_t)ptr + bytes + page - 1) / page * page;

	if (!is_ordered(dev) && !can_flush(dev))
		return pfw_error_set(err, ENOTSUP, "cuda: card %d does not say "
				     "when what others write into its memory is "
				     "there", dev->card);
	dev->flushes = !is_ordered(dev);
	*dmabuf = cuda_export(first, end - first);
	*offset = (uintptr_t)ptr - first;
	return 0;
}

int cuda_arrived(void *device, struct pfw_error *err)
{
	const struct cuda_device *dev = device;

	if (!dev->flushes)
		return 0;
	return cuda_result("cudaDeviceFlushGPUDirectRDMAWrites",
			   cudaDeviceFlushGPUDirectRDMAWrites(
				   cudaFlushGPUDirectRDMAWritesTargetCurrentDevice,
				   cudaFlushGPUDirectRDMAWritesToOwner), err);
}
