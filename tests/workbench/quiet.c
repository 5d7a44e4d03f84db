/*
 * The cpu device with a witness over the part of a step that has to be quiet:
 * from its first action, before which the engine zeroes the loss, to NORM, which
 * begins by squaring or reading.  What it saw is in report.RANK, one line.
 */
#include <pipefw/device.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "over_cpu.h"
#include "workbench/witness.h"

struct quiet {
	struct over_cpu below; /* first: over_cpu.h's functions take it */
	char report[4096];
	int probe, started;
};

/* The cpu's, and one of our own. */
static struct pfw_kernels kernels;
/* A process is a rank here, and its queue is used by one thread. */
static struct quiet *mine;

static void sum_squares(void *queue, const float *x, uint64_t n, double *out)
{
	witness_end();
	cpu->kernels(mine->below.inner)->sum_squares(queue, x, n, out);
}

static int quiet_open(const struct pfw_values *opt,
		      const struct pfw_device_info *info, void **device,
		      struct pfw_device_props *props, struct pfw_error *err)
{
	struct quiet *q;
	int rc = over_cpu_open(sizeof(*q), opt, info, device, props, err);

	if (rc)
		return rc;
	q = *device;
	snprintf(q->report, sizeof(q->report), "%s.%u",
		 pfw_value_string(opt, "report"), info->rank);
	q->probe = pfw_value_bool(opt, "probe");
	kernels = *cpu->kernels(q->below.inner);
	kernels.sum_squares = sum_squares;
	mine = q;
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
	over_cpu_close(device);
}

static int copy(void *queue, void *dst, const void *src, size_t bytes,
		uint32_t direction, struct pfw_error *err)
{
	if (direction == PFW_COPY_OUT)
		witness_end();
	return over_cpu_copy(queue, dst, src, bytes, direction, err);
}

static int zero(void *queue, void *dst, size_t bytes, struct pfw_error *err)
{
	int rc = over_cpu_zero(queue, dst, bytes, err);

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

static const struct pfw_kernels *quiet_kernels(void *device)
{
	(void)device;
	return &kernels;
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
	.alloc = over_cpu_alloc,
	.free = over_cpu_free,
	.open_queue = over_cpu_open_queue,
	.close_queue = over_cpu_close_queue,
	.copy = copy,
	.zero = zero,
	.sync = over_cpu_sync,
	.kernels = quiet_kernels,
	.enter_thread = over_cpu_enter_thread,
};

PFW_PLUGIN(.kind = PFW_KIND_DEVICE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "quiet", .summary = "the cpu, and who disturbs it",
	   PFW_OPTIONS(options), .ops = &ops);
