/*
 * The cpu device with a witness over the part of a step that has to be quiet:
 * from its first action, before which the engine zeroes the loss, to NORM, which
 * begins by squaring or reading.  What it saw is in report.RANK, one line.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pipefw/device.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "workbench/witness.h"

struct quiet {
	void *inner;
	char report[4096];
	int probe, started;
};

/* Of the cpu plugin, and our own over them. */
static const struct pfw_device_ops *cpu;
static struct pfw_kernels kernels;
/* A process is a rank here, and its queue is used by one thread. */
static struct quiet *mine;

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

static void sum_squares(void *queue, const float *x, uint64_t n, double *out)
{
	witness_end();
	cpu->kernels(mine->inner)->sum_squares(queue, x, n, out);
}

static int quiet_open(const struct pfw_values *opt,
		      const struct pfw_device_info *info, void **device,
		      struct pfw_device_props *props, struct pfw_error *err)
{
	struct quiet *q = calloc(1, sizeof(*q));
	int rc = q ? find_cpu(err) : -ENOMEM;

	if (!rc)
		rc = cpu->open(opt, info, &q->inner, props, err);
	if (rc) {
		free(q);
		return rc;
	}
	snprintf(q->report, sizeof(q->report), "%s.%u",
		 pfw_value_string(opt, "report"), info->rank);
	q->probe = pfw_value_bool(opt, "probe");
	kernels = *cpu->kernels(q->inner);
	kernels.sum_squares = sum_squares;
	mine = q;
	*device = q;
	return 0;
}

static void quiet_close(void *device)
{
	struct quiet *q = device;
	struct testimony t = witness_says();
	FILE *f = fopen(q->report, "we");

	if (f) {
		fprintf(f, "windows %llu calls %llu allocations %llu last %ld%s\n",
			(unsigned long long)t.windows,
			(unsigned long long)t.calls,
			(unsigned long long)t.allocations, t.last_call,
			t.clock_calls ? " clock" : "");
		fclose(f);
	}
	cpu->close(q->inner);
	free(q);
}

static int quiet_alloc(void *device, size_t bytes, void **out,
		       struct pfw_error *err)
{
	return cpu->alloc(((struct quiet *)device)->inner, bytes, out, err);
}

static void quiet_free(void *device, void *ptr)
{
	cpu->free(((struct quiet *)device)->inner, ptr);
}

static int open_queue(void *device, void **queue, struct pfw_error *err)
{
	return cpu->open_queue(((struct quiet *)device)->inner, queue, err);
}

static void close_queue(void *queue)
{
	cpu->close_queue(queue);
}

static int copy(void *queue, void *dst, const void *src, size_t bytes,
		uint32_t direction, struct pfw_error *err)
{
	if (direction == PFW_COPY_OUT)
		witness_end();
	return cpu->copy(queue, dst, src, bytes, direction, err);
}

static int zero(void *queue, void *dst, size_t bytes, struct pfw_error *err)
{
	int rc = cpu->zero(queue, dst, bytes, err);

	if (rc || bytes != sizeof(double))
		return rc;
	if (!mine->started++) {
		rc = witness_start();
		if (rc)
			return pfw_error_set(err, rc, "no witness of system "
					     "calls here");
	}
	witness_begin();
	if (mine->probe) {
		/* volatile: no compiler may see that nobody wants it. */
		void *volatile p = malloc((size_t)getppid());

		free(p);
		mine->probe = 0;
	}
	return 0;
}

static int sync_queue(void *queue, struct pfw_error *err)
{
	return cpu->sync(queue, err);
}

static const struct pfw_kernels *quiet_kernels(void *device)
{
	(void)device;
	return &kernels;
}

static int enter_thread(void *device, struct pfw_error *err)
{
	return cpu->enter_thread(((struct quiet *)device)->inner, err);
}

static const struct pfw_option options[] = {
	{ "report", PFW_OPT_STRING, PFW_OPTION_PATH, "", "FILE, for FILE.RANK",
	  NULL, 0, 0 },
	{ "probe", PFW_OPT_BOOL, 0, "false", "the first window is not quiet",
	  NULL, 0, 0 },
};

static const struct pfw_device_ops ops = {
	.size = sizeof(ops),
	.open = quiet_open,
	.close = quiet_close,
	.alloc = quiet_alloc,
	.free = quiet_free,
	.open_queue = open_queue,
	.close_queue = close_queue,
	.copy = copy,
	.zero = zero,
	.sync = sync_queue,
	.kernels = quiet_kernels,
	.enter_thread = enter_thread,
};

PFW_PLUGIN(.kind = PFW_KIND_DEVICE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "quiet", .summary = "the cpu, and who disturbs it",
	   PFW_OPTIONS(options), .ops = &ops);
