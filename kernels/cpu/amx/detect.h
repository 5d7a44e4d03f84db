/*
 * detect.h: whether this process may use AMX tiles for bf16.
 */
#ifndef PFW_KERNELS_CPU_AMX_DETECT_H
#define PFW_KERNELS_CPU_AMX_DETECT_H

/** Asks the processor, and the kernel for leave. */
int cpu_amx_supported(void);

#endif
