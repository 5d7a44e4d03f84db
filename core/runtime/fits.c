/* Can this machine have the channels' slots?  Asked before a rank is started. */
#include <errno.h>

#include "base/available.h"
#include "base/size.h"
#include "runtime/job.h"

static int is_here(const struct pfw_job *job, uint32_t rank)
{
	return !job->n_here || (rank >= job->first_here &&
				rank - job->first_here < job->n_here);
}

uint64_t pfw_job_slot_bytes(const struct pfw_job *job)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < job->n_edges; i++) {
		const struct pfw_edge *e = &job->edges[i];
		uint64_t bytes = pfw_size_mul(e->n_slots, e->slot_bytes);

		if (!is_here(job, e->from) && !is_here(job, e->to))
			continue;
		if (e->from != e->to && !job->props.shared_slots &&
		    is_here(job, e->from) && is_here(job, e->to))
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

int pfw_job_fits(const struct pfw_job *job, uint64_t available,
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
