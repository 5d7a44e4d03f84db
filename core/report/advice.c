/*
 * What would make the step shorter: every schedule that is installed, with one
 * chunk a rank and more, simulated at the measured speed of each layer.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "schedule/csv.h"

#define MAX_CHUNKS 4u
/* Less than this is not worth a change, and less than what is measured. */
#define WORTH 0.01

/* A schedule that is looked at. */
struct candidate {
	const struct pfw_loaded *schedule;
	struct pfw_values *values;
	uint32_t chunks;
	struct pfw_costs costs;
};

static int plan_it(const struct pfw_report *r, const struct candidate *c,
		   const struct pfw_costs *costs,
		   struct pfw_schedule_plan **out, struct pfw_error *err)
{
	const struct pfw_shape shape = {
		.size = sizeof(shape),
		.ranks = r->program->ranks,
		.chunks = c->chunks,
		.microbatches = r->program->microbatches,
		.costs = costs,
	};

	return pfw_schedule_plan_apart(c->schedule, c->values, &shape, out, err);
}

/* Whether it is another order for these costs than without them. */
static int plans_for_costs(const struct pfw_report *r,
			   const struct candidate *c)
{
	struct pfw_schedule_plan *with, *without;
	int differ = 0;

	if (plan_it(r, c, &c->costs, &with, NULL))
		return 0;
	if (!plan_it(r, c, NULL, &without, NULL)) {
		differ = pfw_schedule_plan_hash(with) !=
			 pfw_schedule_plan_hash(without);
		pfw_schedule_plan_free(without);
	}
	pfw_schedule_plan_free(with);
	return differ;
}

static int simulate(const struct pfw_report *r, const struct candidate *c,
		    struct pfw_simulation **out, struct pfw_error *err)
{
	struct pfw_compile how = { .costs = &c->costs };
	struct pfw_schedule_plan *plan;
	struct pfw_program *program;
	int rc = plan_it(r, c, &c->costs, &plan, err);

	if (rc)
		return rc;
	how.plan = plan;
	rc = pfw_program_compile(&how, &program, err);
	if (!rc) {
		rc = pfw_simulate(&how, program, out, err);
		pfw_program_free(program);
	}
	pfw_schedule_plan_free(plan);
	return rc;
}

static double peak_share(const struct pfw_simulation *sim)
{
	uint32_t most = 0;

	for (uint32_t k = 0; k < sim->ranks; k++)
		if (sim->rank[k].peak > most)
			most = sim->rank[k].peak;
	return (double)most / sim->chunks;
}

/* Better than what was found so far? */
static void consider(struct pfw_report *r, const struct candidate *c,
		     const struct pfw_simulation *sim)
{
	const char *schedule = c->schedule->info.name;
	uint32_t chunks = c->chunks;
	double gain = 1 - (double)sim->step_time /
			  (double)r->predicted->step_time;
	char now[16], then[16], memory[96] = "", costs[PATH_MAX + 64] = "";

	if (gain <= r->advice.gain || gain < WORTH)
		return;
	snprintf(now, sizeof(now), "%.2g", peak_share(r->predicted));
	snprintf(then, sizeof(then), "%.2g", peak_share(sim));
	if (strcmp(now, then))
		snprintf(memory, sizeof(memory), " (activations at the peak: %s "
			 "in place of %s micro-batches of a rank)", then, now);
	r->advice.found = 1;
	r->advice.gain = gain;
	r->advice.chunks = chunks;
	snprintf(r->advice.schedule, sizeof(r->advice.schedule), "%s", schedule);
	snprintf(r->advice.text, sizeof(r->advice.text),
		 "schedule %s with %u chunk%s a rank would make the step %.0f %% "
		 "shorter%s", schedule, chunks, chunks == 1 ? "" : "s",
		 100 * gain, memory);
	if (plans_for_costs(r, c))
		snprintf(costs, sizeof(costs), " --set pipeline.cost_from=%s",
			 r->dir);
	snprintf(r->advice.set, sizeof(r->advice.set), "--set "
		 "pipeline.schedule=%s%s --set pipeline.chunks=%u", schedule,
		 costs, chunks);
}

static int is_choice(const struct pfw_report *r, const struct pfw_listed *entry)
{
	return entry->kind == PFW_KIND_SCHEDULE && entry->loaded &&
	       !(r->cfg->pipeline.layout);
}

static void try_schedule(struct pfw_report *r, const struct pfw_loaded *schedule,
			 uint32_t chunks, const struct pfw_cut *cut)
{
	const struct pfw_schedule_ops *ops = &schedule->ops.schedule;
	struct candidate c = {
		.schedule = schedule,
		.chunks = chunks,
		.costs = {
			.size = sizeof(c.costs),
			.forward = cut->forward,
			.input = cut->input,
			.weight = cut->weight,
			.hop = r->hop,
		},
	};
	struct pfw_simulation *sim;

	if (chunks > 1 && ops->flags & PFW_SCHEDULE_ONE_CHUNK)
		return;
	if (ops->flags & PFW_SCHEDULE_SPLITS &&
	    !(r->model->ops->flags & PFW_STAGE_SPLITS))
		return;
	if (pfw_values_from_texts(schedule->info.options,
				  schedule->info.n_options, schedule->info.name,
				  NULL, 0, &c.values, NULL))
		return;
	/* A schedule that cannot take this shape is no candidate. */
	if (!simulate(r, &c, &sim, NULL)) {
		consider(r, &c, sim);
		pfw_simulation_free(sim);
	}
	pfw_values_free(c.values);
}

/* "rank 0 waits 11 % of the step for rank 1: " */
static void worst_wait(const struct pfw_report *r, char *buf, size_t len)
{
	uint32_t who = 0, whom = 0;
	double most = 0;

	for (uint32_t k = 0; k < r->program->ranks; k++)
		for (uint32_t q = 0; q < r->program->ranks; q++)
			if (r->rank[k].waits[q] > most) {
				most = r->rank[k].waits[q];
				who = k;
				whom = q;
			}
	buf[0] = 0;
	if (most > WORTH * r->window)
		snprintf(buf, len, "rank %u waits %.0f %% of the step for rank "
			 "%u: ", who, 100 * most / r->window, whom);
}

static void phrase(struct pfw_report *r)
{
	char wait[96], text[sizeof(r->advice.text)];

	worst_wait(r, wait, sizeof(wait));
	if (!r->advice.found)
		snprintf(r->advice.text, sizeof(r->advice.text),
			 "no schedule that is installed would make the step more "
			 "than 1 %% shorter; more micro-batches would");
	memcpy(text, r->advice.text, sizeof(text));
	snprintf(r->advice.text, sizeof(r->advice.text), "%s%.400s", wait, text);
}

int pfw_report_advise(struct pfw_report *r, struct pfw_registry *registry,
		      struct pfw_error *err)
{
	struct pfw_listed *list;
	size_t n;
	int rc = pfw_registry_list(registry, &list, &n, err);

	if (rc)
		return rc;
	for (uint32_t v = 1; v <= MAX_CHUNKS; v++) {
		struct pfw_cut c;

		/* Fewer layers than stages: more chunks have no use either. */
		if (pfw_cut_open(r, r->program->ranks * v,
				 r->model->shape.split != 0, &c, NULL))
			break;
		for (size_t i = 0; i < n; i++)
			if (is_choice(r, &list[i]))
				try_schedule(r, list[i].loaded, v, &c);
		pfw_cut_close(&c);
	}
	pfw_listed_free(list, n);
	phrase(r);
	return 0;
}
