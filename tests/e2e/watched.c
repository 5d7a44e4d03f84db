/*
 * The cpu device with a witness: which kernel reads and writes which byte of
 * which shared memory (log = FILE), and numbers that go wrong on order (fault).
 */
#include <math.h>
#include <pipefw/device.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "over_cpu.h"

struct watched {
	struct over_cpu below; /* first: over_cpu.h's functions take it */
	FILE *log;
	int fault; /* 0: none, 'l': loss, 'g': gradient */
	int64_t from, to, calls;
	const struct pfw_kernels *inner; /* the cpu's */
	struct pfw_kernels kernels;	 /* and our own over them */
};

/* A queue is used by the thread that opened it. */
static _Thread_local struct watched *mine;

/* Where @p p lies: "INODE OFFSET" of a memfd, or nothing. */
static void witness(const char *what, const void *p)
{
	unsigned long long start, end, offset, inode;
	char line[512];
	FILE *maps;

	if (!mine->log || !p)
		return;
	maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "/memfd:") ||
		    sscanf(line, "%llx-%llx %*s %llx %*s %llu", &start, &end,
			   &offset, &inode) != 4)
			continue;
		if ((uintptr_t)p >= start && (uintptr_t)p < end)
			fprintf(mine->log, "%s %llu %llu\n", what, inode,
				offset + (uintptr_t)p - start);
	}
	if (maps)
		fclose(maps);
}

static void gemm(void *queue, const struct pfw_gemm *g)
{
	witness("R gemm", g->a);
	witness("R gemm", g->residual);
	mine->inner->gemm(queue, g);
	witness("W gemm", g->c);
}

static void embed_forward(void *queue, void *out, const int32_t *tokens,
			  const float *wte, const float *wpe, uint32_t batch,
			  uint32_t seq, uint32_t c)
{
	mine->inner->embed_forward(queue, out, tokens, wte, wpe, batch, seq, c);
	witness("W embed_forward", out);
}

static void embed_backward(void *queue, float *dwte, float *dwpe,
			   const void *dout, const int32_t *tokens,
			   uint32_t batch, uint32_t seq, uint32_t c,
			   uint32_t vocab, uint32_t context, int accumulate)
{
	witness("R embed_backward", dout);
	mine->inner->embed_backward(queue, dwte, dwpe, dout, tokens, batch, seq, c,
			      vocab, context, accumulate);
}

static void bias_backward(void *queue, float *dbias, const void *dy,
			  uint32_t rows, uint32_t n, int accumulate)
{
	witness("R bias_backward", dy);
	mine->inner->bias_backward(queue, dbias, dy, rows, n, accumulate);
}

static void layernorm_forward(void *queue, void *out, float *mean, float *rstd,
			      const void *x, const float *weight,
			      const float *bias, uint32_t rows, uint32_t c)
{
	witness("R layernorm_forward", x);
	mine->inner->layernorm_forward(queue, out, mean, rstd, x, weight, bias, rows,
				 c);
	witness("W layernorm_forward", out);
}

static void layernorm_backward(void *queue, void *dx, float *dweight,
			       float *dbias, const void *dout,
			       const void *residual, const void *x,
			       const float *mean, const float *rstd,
			       const float *weight, uint32_t rows, uint32_t c,
			       int accumulate)
{
	witness("R layernorm_backward", dout);
	witness("R layernorm_backward", residual);
	witness("R layernorm_backward", x);
	mine->inner->layernorm_backward(queue, dx, dweight, dbias, dout, residual, x,
				  mean, rstd, weight, rows, c, accumulate);
	witness("W layernorm_backward", dx);
}

static void classifier(void *queue, void *logits, const int32_t *targets,
		       uint32_t rows, uint32_t vocab, float scale, double *loss)
{
	mine->inner->classifier(queue, logits, targets, rows, vocab, scale, loss);
	if (scale == 0)
		return;
	mine->calls++;
	if (mine->calls < mine->from || mine->calls > mine->to)
		return;
	if (mine->fault == 'l')
		*loss = NAN;
	else if (mine->fault == 'g')
		*(float *)logits = INFINITY;
}

static int watched_open(const struct pfw_values *opt,
			const struct pfw_device_info *info, void **device,
			struct pfw_device_props *props, struct pfw_error *err)
{
	const char *log = pfw_value_string(opt, "log");
	struct watched *w;
	char path[4096];
	int rc = over_cpu_open(sizeof(*w), opt, info, device, props, err);

	if (rc)
		return rc;
	w = *device;
	w->fault = *pfw_value_string(opt, "fault");
	w->from = pfw_value_int(opt, "from");
	w->to = pfw_value_int(opt, "to");
	if (log) {
		snprintf(path, sizeof(path), "%s.%u", log, info->rank);
		w->log = fopen(path, "we");
	}
	w->inner = cpu->kernels(w->below.inner);
	w->kernels = *w->inner;
	w->kernels.gemm = gemm;
	w->kernels.embed_forward = embed_forward;
	w->kernels.embed_backward = embed_backward;
	w->kernels.bias_backward = bias_backward;
	w->kernels.layernorm_forward = layernorm_forward;
	w->kernels.layernorm_backward = layernorm_backward;
	w->kernels.classifier = classifier;
	return 0;
}

static void watched_close(void *device)
{
	struct watched *w = device;

	if (w->log)
		fclose(w->log);
	over_cpu_close(device);
}

static int open_queue(void *device, void **queue, struct pfw_error *err)
{
	mine = device;
	return over_cpu_open_queue(device, queue, err);
}

static const struct pfw_kernels *watched_kernels(void *device)
{
	return &((struct watched *)device)->kernels;
}

static const struct pfw_option options[] = {
	{ "log", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "what kernels touch, "
	  "FILE.RANK", NULL, 0, 0 },
	{ "fault", PFW_OPT_CHOICE, 0, "none", "what goes wrong",
	  "none|loss|gradient", 0, 0 },
	{ "from", PFW_OPT_INT, 0, "1", "first call of the classifier, in "
	  "training, that goes wrong", NULL, 0, 0 },
	{ "to", PFW_OPT_INT, 0, "0", "last one", NULL, 0, 0 },
};

static const struct pfw_device_ops ops = {
	.size = sizeof(ops),
	.open = watched_open,
	.close = watched_close,
	.alloc = over_cpu_alloc,
	.free = over_cpu_free,
	.open_queue = open_queue,
	.close_queue = over_cpu_close_queue,
	.copy = over_cpu_copy,
	.zero = over_cpu_zero,
	.sync = over_cpu_sync,
	.kernels = watched_kernels,
	.enter_thread = over_cpu_enter_thread,
};

PFW_PLUGIN(.kind = PFW_KIND_DEVICE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "watched", .summary = "the cpu, and a witness",
	   PFW_OPTIONS(options), .ops = &ops);
