#include "over_cpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The same whichever rank's thread sets it. */
const struct pfw_device_ops *_Atomic cpu;

static int find_cpu(struct pfw_error *err)
{
	const char *dir = getenv("PIPEFW_PLUGIN_DIR");
	const struct pfw_plugin *plugin;
	char path[4096];
	void *module;

	snprintf(path, sizeof(path), "%s/pipefw-cpu-device.so", dir ? dir : ".");
	module = dlopen(path, RTLD_NOW);
	plugin = module ? dlsym(module, "pfw_plugin") : NULL;
	if (!plugin)
		return pfw_error_set(err, ENODEV, "%s: %s", path, dlerror());
	cpu = plugin->ops;
	return 0;
}

int over_cpu_open(size_t bytes, const struct pfw_values *opt,
		  const struct pfw_device_info *info, void **device,
		  struct pfw_device_props *props, struct pfw_error *err)
{
	struct over_cpu *d = calloc(1, bytes);
	int rc = d ? find_cpu(err) : -ENOMEM;

	if (!rc)
		rc = cpu->open(opt, info, &d->inner, props, err);
	if (rc) {
		free(d);
		return rc;
	}
	*device = d;
	return 0;
}

static void *inner_of(void *device)
{
	return ((struct over_cpu *)device)->inner;
}

void over_cpu_close(void *device)
{
	cpu->close(inner_of(device));
	free(device);
}

int over_cpu_alloc(void *device, size_t bytes, void **out,
		   struct pfw_error *err)
{
	return cpu->alloc(inner_of(device), bytes, out, err);
}

void over_cpu_free(void *device, void *ptr)
{
	cpu->free(inner_of(device), ptr);
}

int over_cpu_open_queue(void *device, void **queue, struct pfw_error *err)
{
	return cpu->open_queue(inner_of(device), queue, err);
}

void over_cpu_close_queue(void *queue)
{
	cpu->close_queue(queue);
}

int over_cpu_copy(void *queue, void *dst, const void *src, size_t bytes,
		  uint32_t direction, struct pfw_error *err)
{
	return cpu->copy(queue, dst, src, bytes, direction, err);
}

int over_cpu_zero(void *queue, void *dst, size_t bytes, struct pfw_error *err)
{
	return cpu->zero(queue, dst, bytes, err);
}

int over_cpu_sync(void *queue, struct pfw_error *err)
{
	return cpu->sync(queue, err);
}

int over_cpu_enter_thread(void *device, struct pfw_error *err)
{
	return cpu->enter_thread(inner_of(device), err);
}
