/*
 * cpu.h: the objects of the cpu device, and what a kernel path offers.
 */
#ifndef PFW_KERNELS_CPU_H
#define PFW_KERNELS_CPU_H

#include <pipefw/device.h>

#include "pool.h"

/** The fp32 kernels of one instruction set, by who multiplies. */
struct cpu_isa {
	struct pfw_kernels own;
	struct pfw_kernels blas; /**< all zero without OpenBLAS */
};

/** The same for each policy: activations in fp32, and in bf16. */
extern const struct cpu_isa cpu_generic_isa;
extern const struct pfw_kernels cpu_generic_bf16_kernels;
#ifdef __x86_64__
extern const struct cpu_isa cpu_avx2_isa;
extern const struct pfw_kernels cpu_avx2_bf16_kernels;
extern const struct cpu_isa cpu_avx512_isa;
extern const struct pfw_kernels cpu_avx512_bf16_kernels;
#endif
#ifdef HAVE_AMX
extern const struct pfw_kernels cpu_amx_kernels;
#endif

struct cpu_device {
	const struct pfw_kernels *kernels;
	uint32_t threads;
	uint64_t spin_ns;
};

/** What a kernel is given as its queue. */
struct cpu_queue {
	struct cpu_device *device;
	struct cpu_pool *pool;
	float *shared; /**< CPU_SCRATCH floats that all its threads see */
};

/** cpu_pool_each() on the threads of a queue. */
static inline void cpu_each(void *queue, size_t n, size_t grain, cpu_body *body,
			    const void *context)
{
	cpu_pool_each(((struct cpu_queue *)queue)->pool, n, grain, body,
		      context);
}

static inline size_t cpu_threads(void *queue)
{
	return cpu_pool_threads(((struct cpu_queue *)queue)->pool);
}

/** Columns, of @p n of a sum over rows, that go together: one strip for each
 *  thread, in whole cache lines. */
static inline size_t cpu_columns(void *queue, size_t n)
{
	size_t threads = cpu_threads(queue);

	return ((n + threads - 1) / threads + 15) / 16 * 16;
}

/**
 * Picks the kernels for this machine, or those PIPEFW_CPU and PIPEFW_BLAS ask
 * for, and puts them in words.
 */
int cpu_choose(const struct pfw_device_info *info,
	       const struct pfw_kernels **kernels, char *path, size_t path_len,
	       struct pfw_error *err);

#endif
