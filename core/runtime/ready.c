/* Can this machine open the channels of a job?  Asked before a rank is started. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/job.h"

/* One of the config's transports, and what a process would open of it. */
struct asked {
	const struct pfw_job *job;
	const struct pfw_transport_choice *choice;
	int remote; /* it joins ranks of two hosts */
	struct pfw_transport_props props;
	struct pfw_channel_info *ends;
	uint32_t n;
};

/* Ranks that are not here are on another host: that is what --ranks says. */
static int is_remote(const struct pfw_job *job, const struct pfw_edge *e)
{
	return job->cfg->remote.transport.plugin &&
	       !(pfw_job_is_here(job, e->from) && pfw_job_is_here(job, e->to));
}

static void add(struct asked *a, const struct pfw_edge *e, uint32_t rank)
{
	const struct pfw_config *cfg = a->job->cfg;
	uint32_t index = pfw_config_device_of(cfg, rank);
	const struct pfw_choice *device = pfw_config_device(cfg, index);

	a->ends[a->n++] = (struct pfw_channel_info){
		.size = sizeof(struct pfw_channel_info),
		.from = e->from,
		.to = e->to,
		.kind = e->kind,
		.n_slots = e->n_slots,
		.slot_bytes = e->slot_bytes,
		.memory = pfw_slots_memory(e->kind, a->props.memory,
					   device->plugin->ops.device.memory),
		.sending = e->from == rank,
	};
}

/* Of the ranks from @p first to before @p end, which share a process. */
static void collect(struct asked *a, uint32_t first, uint32_t end)
{
	a->n = 0;
	for (uint32_t i = 0; i < a->job->n_edges; i++) {
		const struct pfw_edge *e = &a->job->edges[i];

		if (e->from == e->to || is_remote(a->job, e) != a->remote)
			continue;
		if (e->from >= first && e->from < end)
			add(a, e, e->from);
		if (e->to >= first && e->to < end)
			add(a, e, e->to);
	}
}

static int ask_processes(struct asked *a, struct pfw_error *err)
{
	const struct pfw_transport_ops *ops = &a->choice->transport.plugin->ops.transport;
	const struct pfw_values *values = a->choice->transport.values;
	const struct pfw_config *cfg = a->job->cfg;
	uint32_t end = a->job->first_here + (a->job->n_here ? a->job->n_here :
					     cfg->pipeline.ranks);
	uint32_t per = cfg->pipeline.ranks_per_process;
	int rc = ops->ready(values, NULL, 0, err);

	for (uint32_t r = a->job->first_here; !rc && r < end; r += per) {
		collect(a, r, per < end - r ? r + per : end);
		if (a->n)
			rc = ops->ready(values, a->ends, a->n, err);
	}
	return rc;
}

static int ask(const struct pfw_job *job,
	       const struct pfw_transport_choice *choice, struct pfw_error *err)
{
	struct asked a = {
		.job = job,
		.choice = choice,
		.remote = choice == &job->cfg->remote,
	};
	int rc;

	if (!choice->transport.plugin ||
	    !choice->transport.plugin->ops.transport.ready)
		return 0;
	a.ends = calloc(2 * (size_t)job->n_edges + 1, sizeof(*a.ends));
	if (!a.ends)
		return pfw_error_set(err, ENOMEM, "out of memory");
	pfw_job_transport_props(choice, &a.props);
	rc = ask_processes(&a, err);
	free(a.ends);
	if (rc)
		pfw_config_blame(job->cfg, choice->home, err);
	return rc;
}

int pfw_job_ready(const struct pfw_job *job, struct pfw_error *err)
{
	int rc = ask(job, &job->cfg->transport, err);

	return rc ? rc : ask(job, &job->cfg->remote, err);
}
