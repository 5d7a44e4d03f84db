#include "runtime/footprint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "runtime/rank.h"

/* Linux 4.5, proc(5). */
static uint64_t anonymous_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib, found = 0;
	char line[128];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
			found = kib;
	fclose(f);
	return found * 1024;
}

static void ask_packed(const struct pfw_job *job, const struct pfw_kernels *k,
		       struct pfw_footprint *f)
{
	for (uint32_t i = 0; k->pack_bytes && i < job->model->n_uses; i++) {
		const struct pfw_param_use *use = &job->model->uses[i];
		uint32_t cols, rows = pfw_param_matrix(use->info, &cols);

		for (uint32_t kind = PFW_GEMM_NT;
		     rows && kind <= PFW_GEMM_NN; kind++)
			f->packed[i] += pfw_align_up(
				k->pack_bytes(NULL, kind, rows, cols));
	}
}

static void ask_device(const struct pfw_job *job, uint32_t threads,
		       struct pfw_footprint *f)
{
	const struct pfw_choice *choice = &job->cfg->device;
	const struct pfw_device_ops *ops = &choice->plugin->ops.device;
	const struct pfw_device_info info = {
		.size = sizeof(info), .dtype = job->cfg->dtype,
		.threads = threads,
	};
	struct pfw_device_props props = { .size = sizeof(props) };
	struct pfw_error ignored;
	void *device;

	if (ops->open(choice->values, &info, &device, &props, &ignored))
		return;
	f->device = props.queue_bytes;
	if (props.memory == PFW_MEM_HOST)
		ask_packed(job, ops->kernels(device), f);
	ops->close(device);
}

int pfw_footprint_open(const struct pfw_job *job, uint32_t threads,
		       struct pfw_footprint *out, struct pfw_error *err)
{
	struct pfw_footprint f = { .process = anonymous_bytes() };

	f.packed = calloc(job->model->n_uses + 1, sizeof(*f.packed));
	if (!f.packed)
		return pfw_error_set(err, ENOMEM, "out of memory");
	ask_device(job, threads, &f);
	*out = f;
	return 0;
}

void pfw_footprint_close(struct pfw_footprint *f)
{
	free(f->packed);
	f->packed = NULL;
}

/* Two steps' tokens and targets, of training and of evaluation. */
static uint64_t loader_bytes(const struct pfw_job *job, uint32_t rank)
{
	const struct pfw_program *p = pfw_job_placement(job);
	const struct pfw_call_shape *shape = &job->model->shape;
	struct pfw_dataset_info info;
	uint64_t batches = job->cfg->pipeline.microbatches;

	if (!job->data || (p->rank_of[0] != rank &&
			   p->rank_of[p->stages - 1] != rank))
		return 0;
	pfw_dataset_info(job->data, &info);
	if (info.valid_to > info.valid_from)
		batches += (uint64_t)job->cfg->data.eval_batches;
	return pfw_size_mul(batches * 4 * sizeof(int32_t),
			    (uint64_t)shape->batch * shape->seq);
}

void pfw_footprint_memory(const struct pfw_footprint *f,
			  const struct pfw_job *job, uint32_t rank,
			  struct pfw_rank_memory *out)
{
	const struct pfw_program *program = pfw_job_placement(job);
	const struct pfw_model *model = job->model;
	struct pfw_rank_memory m;

	pfw_job_memory(job, rank, &m);
	for (uint32_t u = 0; u < model->n_uses; u++)
		if (program->rank_of[model->uses[u].stage] == rank)
			m.weights = pfw_size_add(m.weights, f->packed[u]);
	m.work = pfw_size_add(m.work, f->device);
	m.work = pfw_size_add(m.work, loader_bytes(job, rank));
	if (rank % job->cfg->pipeline.ranks_per_process == 0)
		m.work = pfw_size_add(m.work, f->process);
	*out = m;
}
