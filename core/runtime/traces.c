/* The traces of a run's ranks on this host. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/job_make.h"
#include "runtime/trace.h"

/* Actions of one rank that a trace holds: about 60 MB. */
#define TRACE_MAX (1u << 20)

static int is_here(const struct pfw_job *job, uint32_t rank)
{
	return !job->n_here || rank - job->first_here < job->n_here;
}

/* Whole steps. */
static uint64_t room(const struct pfw_job *job, uint32_t rank)
{
	uint64_t actions = job->programs[PFW_PROGRAM_TRAIN].program->rank[rank].n;
	uint64_t most = TRACE_MAX / actions;

	return actions * (job->steps < most ? job->steps : most);
}

int pfw_job_open_traces(struct pfw_job *job, struct pfw_error *err)
{
	uint32_t ranks = job->cfg->pipeline.ranks;
	int rc = 0;

	job->traces = calloc(ranks, sizeof(struct pfw_trace *));
	if (!job->traces)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t r = 0; !rc && r < ranks; r++)
		if (is_here(job, r))
			rc = pfw_trace_open(room(job, r), &job->traces[r], err);
	return rc;
}

void pfw_job_close_traces(struct pfw_job *job)
{
	for (uint32_t r = 0; job->traces && r < job->cfg->pipeline.ranks; r++)
		pfw_trace_close(job->traces[r]);
	free(job->traces);
}

int pfw_job_write_traces(const struct pfw_job *job, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t r = 0; !rc && r < job->cfg->pipeline.ranks; r++)
		if (pfw_trace_is_due(job->traces[r]))
			rc = pfw_trace_write(job->traces[r], job->run_dir, r,
					     err);
	return rc;
}
