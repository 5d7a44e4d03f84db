/*
 * over_cpu.h: a device of a test's own over the cpu's: what it does not change,
 * it passes on.
 *
 * Its object begins with a struct over_cpu; then any over_cpu_* function may
 * stand in its table of ops.  Queues are the cpu's.
 */
#ifndef PFW_TESTS_OVER_CPU_H
#define PFW_TESTS_OVER_CPU_H

#include <pipefw/device.h>

struct over_cpu {
	void *inner; /* the cpu's object */
};

/** The cpu plugin's table, once over_cpu_open() has found it. */
extern const struct pfw_device_ops *_Atomic cpu;

/** A zeroed object of @p bytes, the cpu's within. */
int over_cpu_open(size_t bytes, const struct pfw_values *opt,
		  const struct pfw_device_info *info, void **device,
		  struct pfw_device_props *props, struct pfw_error *err);
/** The cpu's and its own memory. */
void over_cpu_close(void *device);

int over_cpu_alloc(void *device, size_t bytes, void **out,
		   struct pfw_error *err);
void over_cpu_free(void *device, void *ptr);
int over_cpu_open_queue(void *device, void **queue, struct pfw_error *err);
void over_cpu_close_queue(void *queue);
int over_cpu_copy(void *queue, void *dst, const void *src, size_t bytes,
		  uint32_t direction, struct pfw_error *err);
int over_cpu_zero(void *queue, void *dst, size_t bytes, struct pfw_error *err);
int over_cpu_sync(void *queue, struct pfw_error *err);
int over_cpu_enter_thread(void *device, struct pfw_error *err);

#endif
