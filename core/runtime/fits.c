/* Has this machine the memory for the run?  Asked before a rank is started. */
#include <errno.h>

#include "base/available.h"
#include "base/size.h"
#include "runtime/footprint.h"

static int computes_in_host(const struct pfw_job *job, uint32_t rank)
{
	uint32_t index = pfw_config_device_of(job->cfg, rank);
	const struct pfw_choice *device = pfw_config_device(job->cfg, index);
	uint32_t memory = device->plugin->ops.device.memory;

	return !memory || memory == PFW_MEM_HOST;
}

uint64_t pfw_job_slot_bytes(const struct pfw_job *job)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < job->n_edges; i++) {
		const struct pfw_edge *e = &job->edges[i];
		uint64_t bytes = pfw_size_mul(e->n_slots, e->slot_bytes);

		if (!pfw_job_is_here(job, e->from) && !pfw_job_is_here(job, e->to))
			continue;
		if (e->from != e->to && !job->props.shared_slots &&
		    pfw_job_is_here(job, e->from) && pfw_job_is_here(job, e->to))
			bytes = pfw_size_mul(bytes, 2);
		total = pfw_size_add(total, bytes);
	}
	return total;
}

/* The edge that takes most, which is where to begin. */
static const struct pfw_edge *largest(const struct pfw_job *job)
{
	const struct pfw_edge *most = job->edges;

	for (uint32_t i = 1; i < job->n_edges; i++) {
		const struct pfw_edge *e = &job->edges[i];

		if (pfw_size_mul(e->n_slots, e->slot_bytes) >
		    pfw_size_mul(most->n_slots, most->slot_bytes))
			most = e;
	}
	return most;
}

int pfw_job_slots_fit(const struct pfw_job *job, uint64_t available,
		      struct pfw_error *err)
{
	uint64_t want = pfw_job_slot_bytes(job);
	const struct pfw_edge *e = largest(job);

	if (want <= available)
		return 0;
	return pfw_error_set(
		err, ENOMEM,
		"the channels between ranks want %llu MiB, and this machine has "
		"%llu MiB to give: the largest, %s from rank %u to rank %u, has "
		"%u slots of %llu MiB; make pipeline.microbatch_size or "
		"pipeline.microbatches smaller, or choose a schedule with fewer "
		"micro-batches in flight (pipefw run --dry-run shows the memory)",
		(unsigned long long)(want >> 20),
		(unsigned long long)(available >> 20),
		pfw_channel_kind_name(e->kind), e->from, e->to, e->n_slots,
		(unsigned long long)(e->slot_bytes >> 20));
}

static void add(struct pfw_rank_memory *sum, const struct pfw_rank_memory *m)
{
	sum->weights = pfw_size_add(sum->weights, m->weights);
	sum->gradients = pfw_size_add(sum->gradients, m->gradients);
	sum->optimizer = pfw_size_add(sum->optimizer, m->optimizer);
	sum->saved = pfw_size_add(sum->saved, m->saved);
	sum->work = pfw_size_add(sum->work, m->work);
	sum->slots = pfw_size_add(sum->slots, m->slots);
}

static uint64_t total(const struct pfw_rank_memory *m)
{
	uint64_t sum = pfw_size_add(m->weights, m->gradients);

	sum = pfw_size_add(sum, pfw_size_add(m->optimizer, m->saved));
	return pfw_size_add(sum, pfw_size_add(m->work, m->slots));
}

static unsigned long long mib(uint64_t bytes)
{
	return bytes >> 20;
}

int pfw_job_fits(const struct pfw_job *job, uint64_t available,
		 struct pfw_error *err)
{
	struct pfw_rank_memory sum = { 0 }, m;
	struct pfw_footprint footprint;
	int rc = pfw_job_slots_fit(job, available, err);

	if (!rc)
		rc = pfw_footprint_open(job, job->cfg->threads ?
					job->cfg->threads : 1, &footprint, err);
	if (rc)
		return rc;
	for (uint32_t r = 0; r < job->cfg->pipeline.ranks; r++) {
		if (!pfw_job_is_here(job, r) || !computes_in_host(job, r))
			continue;
		pfw_footprint_memory(&footprint, job, r, &m);
		add(&sum, &m);
	}
	pfw_footprint_close(&footprint);
	if (total(&sum) <= available)
		return 0;
	return pfw_error_set(
		err, ENOMEM,
		"the ranks want %llu MiB (weights %llu, gradients %llu, "
		"optimizer %llu, activations %llu, scratch %llu, slots %llu), "
		"and this machine has %llu MiB to give: make the model, "
		"pipeline.microbatch_size or pipeline.microbatches smaller "
		"(pipefw run --dry-run shows the memory of each rank)",
		mib(total(&sum)), mib(sum.weights), mib(sum.gradients),
		mib(sum.optimizer), mib(sum.saved), mib(sum.work),
		mib(sum.slots), mib(available));
}
