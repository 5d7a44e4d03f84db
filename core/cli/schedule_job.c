#include "cli/schedule_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "runtime/planned.h"
#include "schedule/csv.h"
#include "settings/config.h"

int pfw_schedule_is_file(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && !strcmp(name + n - 4, ".csv");
}

void pfw_schedule_job_close(struct pfw_schedule_job *job)
{
	pfw_simulation_free(job->tight);
	pfw_simulation_free(job->sim);
	pfw_program_free(job->prog);
	pfw_schedule_plan_free(job->plan);
	free(job->bytes);
	free(job->durations);
	pfw_values_free(job->values);
	*job = (struct pfw_schedule_job){ 0 };
}

/* A list is of each rank's layers as one chunk a rank has them; a stage has one
 * part in v of what it lies in. */
static double cost_of(const struct pfw_cost_list *list, size_t stage,
		      size_t chunks)
{
	return list->part[list->n > 1 ? stage / chunks : 0] / (double)chunks;
}

/* Units are multiples of v, so that a chunk's share of one is whole. */
static int list_costs(struct pfw_schedule_job *job, size_t ranks, size_t chunks,
		      struct pfw_error *err)
{
	const struct pfw_schedule_args *args = job->args;
	size_t n = ranks * chunks;

	for (int k = 0; k < 3; k++)
		if (args->costs[k].n > 1 && args->costs[k].n != ranks)
			return pfw_error_set(err, EINVAL, "--cost %c= has %u "
					     "times, and there are %zu ranks: "
					     "give one, or %zu", "FIW"[k],
					     args->costs[k].n, ranks, ranks);
	for (size_t i = 0; i < 3 * n; i++)
		job->durations[i] = (int64_t)(job->unit *
			cost_of(&args->costs[i / n], i % n, chunks) + 0.5);
	return 0;
}

/* The run's stages, or its layers where there are other stages now. */
static int measured_costs(struct pfw_schedule_job *job, size_t n,
			  struct pfw_error *err)
{
	struct pfw_cut cut;
	int rc = pfw_cut_open(job->args->run, (uint32_t)n, 0, &cut, err);

	if (rc)
		return rc;
	memcpy(job->durations, cut.forward, n * sizeof(*cut.forward));
	memcpy(job->durations + n, cut.input, n * sizeof(*cut.input));
	memcpy(job->durations + 2 * n, cut.weight, n * sizeof(*cut.weight));
	pfw_cut_close(&cut);
	return 0;
}

static int set_costs(struct pfw_schedule_job *job, size_t ranks, size_t chunks,
		     struct pfw_error *err)
{
	const struct pfw_schedule_args *args = job->args;
	size_t n = ranks * chunks;
	int rc;

	job->unit = args->real_time ? 1e6 : 1e6 * (double)chunks;
	job->durations = calloc(3 * n, sizeof(*job->durations));
	if (!job->durations)
		return pfw_error_set(err, ENOMEM, "no memory for costs");
	rc = args->run ? measured_costs(job, n, err) :
			 list_costs(job, ranks, chunks, err);
	if (rc)
		return rc;
	job->costs = (struct pfw_costs){
		.size = sizeof(job->costs),
		.forward = job->durations,
		.input = job->durations + n,
		.weight = job->durations + 2 * n,
		.hop = (int64_t)(args->hop * job->unit + 0.5),
		.message = (int64_t)(args->message * job->unit + 0.5),
	};
	if (args->run && !args->hop_given)
		job->costs.hop = args->run->hop;
	return 0;
}

static int ask_plugin(struct pfw_schedule_job *job,
		      struct pfw_registry *registry, uint32_t chunks,
		      int *status, struct pfw_error *err)
{
	const struct pfw_schedule_args *args = job->args;
	uint64_t stages;
	int rc;

	*status = PFW_EXIT_PLUGIN;
	rc = pfw_registry_get(registry, PFW_KIND_SCHEDULE, job->name,
			      &job->plugin, err);
	if (rc)
		return rc;
	*status = PFW_EXIT_CONFIG;
	job->name = job->plugin->info.name;
	rc = pfw_values_from_texts(job->plugin->info.options,
				   job->plugin->info.n_options, job->name,
				   args->sets, args->n_sets, &job->values, err);
	if (rc)
		return rc;
	job->shape = (struct pfw_shape){
		.size = sizeof(job->shape),
		.ranks = args->ranks,
		.chunks = chunks,
		.microbatches = args->microbatches,
		.memory_cap = (uint64_t)args->memory_cap * chunks,
		.costs = &job->costs,
	};
	/* Refused by the plan, but costs come before. */
	stages = (uint64_t)args->ranks * chunks;
	if (stages * args->microbatches <= 1u << 26)
		rc = set_costs(job, args->ranks, chunks, err);
	if (!rc)
		rc = pfw_schedule_plan_apart(job->plugin, job->values,
					     &job->shape, &job->plan, err);
	if (rc == -ELIBACC)
		*status = PFW_EXIT_PLUGIN;
	return rc;
}

/* A file says its sizes itself; given as well, they must agree. */
static int check_size(const struct pfw_schedule_job *job, char letter,
		      uint32_t given, uint32_t found, struct pfw_error *err)
{
	if (!given || given == found)
		return 0;
	return pfw_error_set(err, EINVAL, "-%c %u, and %s has %u", letter, given,
			     job->name, found);
}

static int read_file(struct pfw_schedule_job *job, struct pfw_error *err)
{
	const struct pfw_schedule_args *args = job->args;
	const struct pfw_schedule_plan *plan;
	int rc = pfw_csv_read(job->name, &job->plan, err);

	if (rc)
		return rc;
	plan = job->plan;
	rc = check_size(job, 'p', args->ranks, plan->ranks, err);
	if (!rc)
		rc = check_size(job, 'v', args->chunks, plan->chunks, err);
	if (!rc)
		rc = check_size(job, 'm', args->microbatches, plan->microbatches,
				err);
	return rc ? rc : set_costs(job, plan->ranks, plan->chunks, err);
}

/* Somebody else's order of sums is shown, and said. */
static int prove(struct pfw_schedule_job *job, struct pfw_error *err)
{
	struct pfw_compile how = {
		.plan = job->plan,
		.costs = job->args->costs_given ? &job->costs : NULL,
	};
	int rc = pfw_program_compile(&how, &job->prog, err);

	if (rc && !job->plugin) {
		how.order_any = 1;
		if (!pfw_program_compile(&how, &job->prog, NULL)) {
			job->any_order = 1;
			rc = 0;
		}
	}
	how.costs = &job->costs;
	if (!rc)
		rc = pfw_simulate(&how, NULL, &job->sim, err);
	if (rc || job->args->command != PFW_SCHEDULE_SHOW)
		return rc;
	for (uint32_t i = 0; i < job->prog->n_channels; i++)
		job->prog->channels[i].n_slots = job->prog->channels[i].least_live;
	return pfw_simulate(&how, job->prog, &job->tight, err);
}

/* What a run would keep, as --dry-run has it. */
static int count_bytes(struct pfw_schedule_job *job, struct pfw_error *err)
{
	const struct pfw_program *prog = job->prog;
	struct pfw_cut cut;
	int rc;

	if (!job->args->run)
		return 0;
	rc = pfw_cut_open(job->args->run, prog->stages, prog->splits, &cut, err);
	if (rc)
		return rc;
	job->bytes = calloc(prog->ranks, sizeof(*job->bytes));
	if (!job->bytes)
		rc = pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t r = 0; !rc && r < prog->ranks; r++)
		job->bytes[r] = pfw_planned_saved_bytes(prog, cut.model, r);
	pfw_cut_close(&cut);
	return rc;
}

static int check_cap(const struct pfw_schedule_job *job, struct pfw_error *err)
{
	uint32_t cap = job->args->memory_cap, chunks = job->sim->chunks;

	for (uint32_t r = 0; cap && r < job->sim->ranks; r++)
		if (job->sim->rank[r].peak > (uint64_t)cap * chunks)
			return pfw_error_set(err, ERANGE, "%s: rank %u keeps "
				"%.4g micro-batches, more than the memory cap of "
				"%u", job->name, r,
				(double)job->sim->rank[r].peak / chunks, cap);
	return 0;
}

int pfw_schedule_job_open(struct pfw_registry *registry,
			  const struct pfw_schedule_args *args,
			  const char *name, uint32_t chunks,
			  struct pfw_schedule_job *out, int *status,
			  struct pfw_error *err)
{
	int rc;

	*out = (struct pfw_schedule_job){ .args = args, .name = name };
	*status = PFW_EXIT_CONFIG;
	if (!chunks)
		chunks = args->chunks ? args->chunks : 1;
	rc = pfw_schedule_is_file(name) ? read_file(out, err) :
		ask_plugin(out, registry, chunks, status, err);
	if (!rc)
		rc = prove(out, err);
	if (!rc)
		rc = check_cap(out, err);
	if (!rc)
		rc = count_bytes(out, err);
	if (rc == -ENOMEM)
		*status = PFW_EXIT_RESOURCES;
	if (rc)
		pfw_schedule_job_close(out);
	return rc;
}

static int is_one_chunk(struct pfw_registry *registry, const char *name)
{
	const struct pfw_loaded *plugin;

	return !pfw_schedule_is_file(name) &&
	       !pfw_registry_get(registry, PFW_KIND_SCHEDULE, name, &plugin,
				 NULL) &&
	       plugin->ops.schedule.flags & PFW_SCHEDULE_ONE_CHUNK;
}

int pfw_schedule_job_beside(struct pfw_registry *registry,
			    const struct pfw_schedule_args *args,
			    const char *name, struct pfw_schedule_job *out,
			    int *one_chunk, int *status, struct pfw_error *err)
{
	uint32_t chunks = args->chunks ? args->chunks : 2;

	*one_chunk = chunks > 1 && is_one_chunk(registry, name);
	return pfw_schedule_job_open(registry, args, name,
				     *one_chunk ? 1 : chunks, out, status, err);
}

void pfw_schedule_job_chosen(const struct pfw_schedule_job *job, char *buf,
			     size_t len)
{
	buf[0] = '\0';
	if (job->plugin && job->plugin->ops.schedule.describe)
		job->plugin->ops.schedule.describe(&job->shape, job->values, buf,
						   len);
}

uint64_t pfw_schedule_job_bytes(const struct pfw_schedule_job *job)
{
	uint64_t most = 0;

	for (uint32_t r = 0; job->bytes && r < job->sim->ranks; r++)
		if (job->bytes[r] > most)
			most = job->bytes[r];
	return most;
}

double pfw_schedule_job_peak(const struct pfw_schedule_job *job)
{
	uint32_t most = 0;

	for (uint32_t r = 0; r < job->sim->ranks; r++)
		if (job->sim->rank[r].peak > most)
			most = job->sim->rank[r].peak;
	return (double)most / job->sim->chunks;
}
