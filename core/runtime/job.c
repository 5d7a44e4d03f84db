/* A job: what all ranks share, made before the first of them starts. */
#include "runtime/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/job_make.h"
#include "runtime/planned.h"

const struct pfw_program *pfw_job_placement(const struct pfw_job *job)
{
	for (uint32_t i = 0; i < PFW_PROGRAMS; i++)
		if (job->programs[i].program)
			return job->programs[i].program;
	return NULL;
}

uint32_t pfw_job_param_rank(const struct pfw_job *job, uint32_t param)
{
	const struct pfw_model *model = job->model;
	uint32_t use = model->params[param].first_use;

	return pfw_job_placement(job)->rank_of[model->uses[use].stage];
}

static int open_model(struct pfw_job *job, int generate, struct pfw_error *err)
{
	const struct pfw_config *cfg = job->cfg;
	struct pfw_call_shape shape = {
		.size = sizeof(shape),
		.batch = generate ? 1 : cfg->pipeline.microbatch_size,
		.act_dtype = cfg->dtype,
		.split = !generate && job->programs[PFW_PROGRAM_TRAIN].program &&
			 job->programs[PFW_PROGRAM_TRAIN].program->splits,
	};

	return pfw_model_open(cfg->model.plugin, cfg->model.values, &shape,
			      pfw_job_placement(job)->stages,
			      cfg->pipeline.layout, &job->model, err);
}

#define LEAST(a, b) ((a) < (b) ? (a) : (b))

/* The kernels of a device cannot refuse. */
static int check_limits(const struct pfw_job *job,
			const struct pfw_loaded *device, struct pfw_error *err)
{
	const struct pfw_device_limits *theirs = device->ops.device.limits;
	const struct pfw_model *model = job->model;
	struct pfw_device_limits limits = { 0 };

	if (!theirs)
		return 0;
	memcpy(&limits, theirs, LEAST(theirs->size, sizeof(limits)));
	limits.size = sizeof(limits);
	if (job->cfg->stochastic && limits.nearest)
		return pfw_error_set(err, EINVAL,
				     "device.rounding = \"stochastic\": device "
				     "\"%s\" rounds weights to nearest alone; "
				     "leave rounding out", device->info.name);
	return model->ops->check ? model->ops->check(model->object,
						     &model->shape, &limits,
						     err) : 0;
}

static void take_attention(struct pfw_job *job)
{
	const struct pfw_model *model = job->model;

	if (job->programs[PFW_PROGRAM_TRAIN].program && model->ops->attention)
		model->ops->attention(model->object, &model->shape,
				      &job->attention);
}

struct pfw_device_info pfw_job_device_info(const struct pfw_job *job,
					   uint32_t threads)
{
	return (struct pfw_device_info){
		.size = sizeof(struct pfw_device_info),
		.dtype = job->cfg->dtype,
		.threads = threads,
		.attention = job->attention.size ? &job->attention : NULL,
	};
}

static int check_devices(const struct pfw_job *job, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; i <= job->cfg->n_exceptions && !rc; i++)
		rc = check_limits(job, pfw_config_device(job->cfg, i)->plugin,
				  err);
	return rc;
}

static int compile(struct pfw_job *job, uint32_t which,
		   struct pfw_schedule_plan *plan, struct pfw_error *err)
{
	struct pfw_compile how = {
		.plan = plan,
		.props = &job->props,
		.slots = PFW_SLOTS_IDEAL,
		.order_any = job->cfg->pipeline.order_any,
		.forward_only = which != PFW_PROGRAM_TRAIN,
	};

	return pfw_program_compile(&how, &job->programs[which].program, err);
}

/* Training, and evaluation on the same placement; or generation alone. */
static int open_programs(struct pfw_job *job, const struct pfw_job_options *how,
			 struct pfw_error *err)
{
	const struct pfw_config *cfg = job->cfg;
	int generate = how->generate;
	struct pfw_schedule_plan *plan, *forward = NULL;
	uint32_t which = generate ? PFW_PROGRAM_GENERATE : PFW_PROGRAM_EVAL;
	uint32_t m = generate ? 1 : (uint32_t)cfg->data.eval_batches;
	int rc = pfw_config_plan(cfg, how->costs, &plan, err);

	if (rc)
		return rc;
	if (!generate)
		rc = compile(job, PFW_PROGRAM_TRAIN, plan, err);
	if (!rc && !generate)
		rc = pfw_config_check_cap(
			cfg, job->programs[PFW_PROGRAM_TRAIN].program, err);
	if (!rc && m)
		rc = pfw_schedule_plan_forward(plan, m, &forward, err);
	if (!rc && m)
		rc = compile(job, which, forward, err);
	pfw_schedule_plan_free(forward);
	pfw_schedule_plan_free(plan);
	return rc;
}

void pfw_job_transport_props(const struct pfw_transport_choice *t,
			     struct pfw_transport_props *out)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	t->transport.plugin->ops.transport.props(t->transport.values, out);
	for (uint32_t i = 0; i < t->n_filters; i++)
		t->filters[i].plugin->ops.transport.props(t->filters[i].values,
							  out);
}

#define MOST(a, b) ((a) > (b) ? (a) : (b))

/* Which ranks share a host is not known when the program is made, and must not
 * change it: every edge is taken for the worse of the two. */
static void take_props(struct pfw_job *job)
{
	struct pfw_transport_props *p = &job->props, far;

	pfw_job_transport_props(&job->cfg->transport, p);
	if (!job->cfg->remote.transport.plugin)
		return;
	pfw_job_transport_props(&job->cfg->remote, &far);
	p->order = MOST(p->order, far.order);
	p->receive = MOST(p->receive, far.receive);
	p->memory &= far.memory;
	p->shared_slots &= far.shared_slots;
	p->max_slots = LEAST(p->max_slots, far.max_slots);
	p->stream_ordered &= far.stream_ordered;
	p->max_bytes = LEAST(p->max_bytes, far.max_bytes);
	p->latency = MOST(p->latency, far.latency);
	if (!p->bandwidth || (far.bandwidth && far.bandwidth < p->bandwidth))
		p->bandwidth = far.bandwidth;
}

int pfw_job_open(const struct pfw_job_options *how, struct pfw_job **out,
		 struct pfw_error *err)
{
	struct pfw_job *job = calloc(1, sizeof(*job));
	int rc;

	if (!job)
		return pfw_error_set(err, ENOMEM, "out of memory");
	job->cfg = how->cfg;
	job->steps = (uint64_t)how->cfg->run.steps;
	job->init = how->cfg->run.init;
	job->resume = how->cfg->run.resume;
	take_props(job);
	rc = open_programs(job, how, err);
	if (rc)
		pfw_config_blame(job->cfg, "pipeline.schedule", err);
	if (!rc) {
		rc = open_model(job, how->generate, err);
		if (!rc)
			rc = check_devices(job, err);
		if (!rc)
			take_attention(job);
		if (rc)
			pfw_config_blame(job->cfg, "model", err);
	}
	if (!rc)
		rc = pfw_job_make_ties(job, err);
	if (!rc)
		rc = pfw_job_make_edges(job, err);
	if (rc)
		pfw_job_close(job);
	else
		*out = job;
	return rc;
}

void pfw_job_close(struct pfw_job *job)
{
	if (!job)
		return;
	for (uint32_t i = 0; i < PFW_PROGRAMS; i++) {
		free(job->programs[i].edge);
		pfw_program_free(job->programs[i].program);
	}
	free(job->edges);
	free(job->ties);
	pfw_job_close_traces(job);
	pfw_model_close(job->model);
	free(job);
}
