/*
 * The cpu device: memory is the process's own, every call is done when it
 * returns, so a queue is just threads and their scratch.
 */
#include "cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

static int device_open(const struct pfw_values *opt,
		       const struct pfw_device_info *info, void **device,
		       struct pfw_device_props *props, struct pfw_error *err)
{
	struct pfw_device_props p = { .size = sizeof(p) };
	struct cpu_device *dev;
	int r;

	(void)opt;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return pfw_error_set(err, ENOMEM, "out of memory");
	r = cpu_choose(info, &dev->kernels, p.path, sizeof(p.path), err);
	if (r) {
		free(dev);
		return r;
	}
	dev->threads = info->threads ? info->threads : 1;
	dev->spin_ns = info->spin_ns;
	p.memory = PFW_MEM_HOST;
	p.queue_bytes = cpu_pool_bytes(dev->threads);
	p.act_dtype = info->dtype;
	*props = p;
	*device = dev;
	return 0;
}

static void device_close(void *device)
{
	free(device);
}

static const struct pfw_kernels *device_kernels(void *device)
{
	return ((struct cpu_device *)device)->kernels;
}

/* A large page, on most machines. */
#define LARGE ((size_t)2 << 20)

/* Rows of a matrix lie in a page of their own each, far more of them than a
 * processor knows by heart, so what can lie in large pages does; what is not
 * whole ones does not, lest more memory is taken than was asked for. */
static int device_alloc(void *device, size_t bytes, void **out,
			struct pfw_error *err)
{
	const size_t align = bytes < LARGE ? PFW_ALIGN : LARGE;
	void *p;

	(void)device;
	if (bytes > SIZE_MAX - LARGE ||
	    posix_memalign(&p, align, pfw_align_up(bytes ? bytes : 1)))
		return pfw_error_set(err, ENOMEM,
				     "no memory for %zu bytes on the cpu", bytes);
	if (bytes >= LARGE)
		(void)madvise(p, bytes / LARGE * LARGE, MADV_HUGEPAGE);
	memset(p, 0, pfw_align_up(bytes));
	*out = p;
	return 0;
}

static void device_free(void *device, void *ptr)
{
	(void)device;
	free(ptr);
}

/* Denormal numbers cost some CPUs a hundred cycles each, and mean nothing
 * here: they are taken for, and rounded to, zero. */
static int enter_thread(void *device, struct pfw_error *err)
{
	(void)device;
	(void)err;
#if defined(__SSE__)
	_mm_setcsr(_mm_getcsr() | 0x8040); /* FTZ, DAZ */
#elif defined(__aarch64__)
	uint64_t fpcr;

	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	__asm__ volatile("msr fpcr, %0" : : "r"(fpcr | (1u << 24))); /* FZ */
#endif
	return 0;
}

static int enter_worker(void *device)
{
	return enter_thread(device, NULL);
}

static int queue_open(void *device, void **queue, struct pfw_error *err)
{
	struct cpu_device *dev = device;
	const struct cpu_pool_info info = {
		.threads = dev->threads, .spin_ns = dev->spin_ns,
		.enter = enter_worker, .context = dev,
	};
	struct cpu_queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return pfw_error_set(err, ENOMEM, "no memory for a queue");
	q->device = dev;
	r = cpu_pool_open(&info, &q->pool, err);
	if (r) {
		free(q);
		return r;
	}
	q->shared = cpu_pool_shared(q->pool);
	*queue = q;
	return 0;
}

static void queue_close(void *queue)
{
	struct cpu_queue *q = queue;

	if (!q)
		return;
	cpu_pool_close(q->pool);
	free(q);
}

static int queue_copy(void *queue, void *dst, const void *src, size_t bytes,
		      uint32_t direction, struct pfw_error *err)
{
	(void)queue;
	(void)direction;
	(void)err;
	memcpy(dst, src, bytes);
	return 0;
}

static int queue_zero(void *queue, void *dst, size_t bytes,
		      struct pfw_error *err)
{
	(void)queue;
	(void)err;
	memset(dst, 0, bytes);
	return 0;
}

static int queue_sync(void *queue, struct pfw_error *err)
{
	(void)queue;
	(void)err;
	return 0;
}

static const struct pfw_device_ops ops = {
	.size = sizeof(ops),
	.open = device_open,
	.close = device_close,
	.alloc = device_alloc,
	.free = device_free,
	.open_queue = queue_open,
	.close_queue = queue_close,
	.copy = queue_copy,
	.zero = queue_zero,
	.sync = queue_sync,
	.kernels = device_kernels,
	.enter_thread = enter_thread,
};

PFW_PLUGIN(.kind = PFW_KIND_DEVICE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "cpu",
	   .summary = "this machine's processor: kernels picked at run time",
	   .ops = &ops);
