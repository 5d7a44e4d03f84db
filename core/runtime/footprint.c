#include "runtime/footprint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "runtime/forms.h"

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

static void ask_forms(const struct pfw_job *job,
		      const struct pfw_device *device,
		      struct pfw_device_footprint *f)
{
	for (uint32_t i = 0; i < job->model->n_uses; i++)
		for (uint32_t form = 0; form < PFW_FORMS; form++) {
			uint64_t bytes = pfw_form_bytes(
				device, NULL, job->model->uses[i].info, form);

			f->forms[i] = pfw_size_add(f->forms[i],
						   pfw_size_align(bytes));
		}
}

/* One that has memory of its own has kernels that nobody has seen yet: it is taken
 * to have weights in act for its products, and no packed ones. */
static void ask_unopened(const struct pfw_job *job,
			 const struct pfw_device_ops *ops,
			 const struct pfw_values *opt,
			 const struct pfw_device_info *info,
			 struct pfw_device_footprint *f)
{
	static const struct pfw_kernels none = { .size = sizeof(none) };
	const struct pfw_device device = { .kernels = &none,
					   .props.act_dtype = info->dtype };

	ask_forms(job, &device, f);
	f->own = ops->own_bytes ? ops->own_bytes(opt, info) : 0;
}

static int ask_device(const struct pfw_job *job, uint32_t index,
		      uint32_t threads, struct pfw_device_footprint *f,
		      struct pfw_error *err)
{
	const struct pfw_choice *choice = pfw_config_device(job->cfg, index);
	const struct pfw_device_ops *ops = &choice->plugin->ops.device;
	const struct pfw_device_info info = pfw_job_device_info(job, threads);
	struct pfw_device device = { .props.size = sizeof(device.props) };
	void *object;
	int rc;

	f->forms = calloc(job->model->n_uses + 1, sizeof(*f->forms));
	if (!f->forms)
		return pfw_error_set(err, ENOMEM, "out of memory");
	if (ops->memory && ops->memory != PFW_MEM_HOST) {
		ask_unopened(job, ops, choice->values, &info, f);
		return 0;
	}
	rc = ops->open(choice->values, &info, &object, &device.props, err);
	if (rc)
		return rc;
	f->own = device.props.queue_bytes;
	device.kernels = ops->kernels(object);
	if (device.props.memory == PFW_MEM_HOST)
		ask_forms(job, &device, f);
	ops->close(object);
	return 0;
}

int pfw_footprint_open(const struct pfw_job *job, uint32_t threads,
		       struct pfw_footprint *out, struct pfw_error *err)
{
	struct pfw_footprint f = { .process = anonymous_bytes() };
	int rc = 0;

	for (uint32_t i = 0; !rc && i <= job->cfg->n_exceptions; i++)
		rc = ask_device(job, i, threads, &f.device[i], err);
	if (rc)
		pfw_footprint_close(&f);
	else
		*out = f;
	return rc;
}

void pfw_footprint_close(struct pfw_footprint *f)
{
	for (uint32_t i = 0; i <= PFW_MAX_EXCEPTIONS; i++) {
		free(f->device[i].forms);
		f->device[i].forms = NULL;
	}
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
	const struct pfw_device_footprint *device =
		&f->device[pfw_config_device_of(job->cfg, rank)];
	struct pfw_rank_memory m;

	pfw_job_memory(job, rank, &m);
	for (uint32_t u = 0; u < model->n_uses; u++)
		if (program->rank_of[model->uses[u].stage] == rank)
			m.weights = pfw_size_add(m.weights,
						 device->forms[u]);
	m.work = pfw_size_add(m.work, device->own);
	m.work = pfw_size_add(m.work, loader_bytes(job, rank));
	if (rank % job->cfg->pipeline.ranks_per_process == 0)
		m.work = pfw_size_add(m.work, f->process);
	*out = m;
}
