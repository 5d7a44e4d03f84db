/*
 * cpu.h: the objects of the cpu device, and what a kernel path offers.
 */
#ifndef PFW_KERNELS_CPU_H
#define PFW_KERNELS_CPU_H

#include <pipefw/device.h>

/** Floats of scratch that each queue has for panels and tiles; what no kernel
 *  touches takes no memory. */
#define CPU_SCRATCH ((size_t)1 << 22)

/** The kernels of one instruction set, by policy and by who multiplies. */
struct cpu_isa {
	struct pfw_kernels own;
	struct pfw_kernels blas; /**< all zero without OpenBLAS */
	struct pfw_kernels bf16; /**< own products of values rounded to bf16 */
};

extern const struct cpu_isa cpu_generic_isa;
#ifdef __x86_64__
extern const struct cpu_isa cpu_avx2_isa;
extern const struct cpu_isa cpu_avx512_isa;
#endif
#ifdef HAVE_AMX
extern const struct pfw_kernels cpu_amx_kernels;
#endif

struct cpu_device {
	const struct pfw_kernels *kernels;
};

/** What a kernel is given as its queue. */
struct cpu_queue {
	struct cpu_device *device;
	float *scratch; /**< CPU_SCRATCH floats, aligned to PFW_ALIGN */
};

/**
 * Picks the kernels for this machine, or those PIPEFW_CPU and PIPEFW_BLAS ask
 * for, and puts them in words.
 */
int cpu_choose(const struct pfw_device_info *info,
	       const struct pfw_kernels **kernels, char *path, size_t path_len,
	       struct pfw_error *err);

#endif
