#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/schedule_show.h"
#include "cli/text.h"

/* All ranks, or of many the idlest ones. */
#define RANKS_ALL 16u
#define RANKS_IDLEST 8u
/* Actions of a path: all, or so many from each end. */
#define PATH_ALL 14u
#define PATH_END 6u
/* Where what is waited for begins. */
#define WAITS_COLUMN 39u
/* Where figures begin. */
#define PATH_COLUMN 13

static int64_t idle_of(const struct pfw_simulation *sim, uint32_t r)
{
	return sim->step_time - sim->rank[r].busy;
}

/* "1's gradients 27.3, ...", percent of the step. */
static void print_waits(const struct pfw_simulation *sim, uint32_t rank)
{
	char text[1024] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < sim->n_edges && used < sizeof(text) - 64; i++) {
		const struct pfw_sim_edge *edge = &sim->edges[i];
		double share = 100 * (double)edge->waited /
			       (double)sim->step_time;

		if (edge->to == rank && share >= 0.05)
			used += (size_t)snprintf(text + used,
				sizeof(text) - used, "%s%u's %ss %.1f",
				used ? ", " : "", edge->from,
				pfw_channel_kind_name(edge->kind), share);
	}
	pfw_text_wrap(stdout, WAITS_COLUMN, used ? text : "-");
}

static void print_idle(const struct pfw_simulation *sim, uint32_t r)
{
	const struct pfw_sim_rank *rank = &sim->rank[r];
	double whole = (double)sim->step_time / 100;

	printf("rank %-4u%5.1f %%  %5.1f %%     %5.1f %%  ", r,
	       (double)rank->warm_up / whole, (double)rank->steady / whole,
	       (double)rank->cool_down / whole);
	print_waits(sim, r);
}

/* The idlest rank that is not shown yet, the first of equals. */
static uint32_t idlest(const struct pfw_simulation *sim, const uint32_t *shown,
		       uint32_t n)
{
	uint32_t most = PFW_NONE;

	for (uint32_t r = 0; r < sim->ranks; r++) {
		uint32_t i = 0;

		while (i < n && shown[i] != r)
			i++;
		if (i == n && (most == PFW_NONE ||
			       idle_of(sim, r) > idle_of(sim, most)))
			most = r;
	}
	return most;
}

void pfw_schedule_idle(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;
	uint32_t shown[RANKS_IDLEST];

	if (sim->step_time * sim->ranks == sim->busy)
		return;
	puts("\nidle     warm-up   steady   cool-down  waits for, %");
	if (sim->ranks <= RANKS_ALL) {
		for (uint32_t r = 0; r < sim->ranks; r++)
			print_idle(sim, r);
	} else {
		for (uint32_t n = 0; n < RANKS_IDLEST; n++) {
			shown[n] = idlest(sim, shown, n);
			print_idle(sim, shown[n]);
		}
		printf("the other %u are idle no longer than these\n",
		       sim->ranks - RANKS_IDLEST);
	}
	putchar('\n');
}

static void print_rank_of_path(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;
	char text[256];
	uint32_t most = 0;
	int used;
	int64_t *on = calloc(sim->ranks, sizeof(*on)), all = 0;

	for (uint32_t i = 0; on && i < sim->n_critical; i++) {
		const struct pfw_sim_action *a = &sim->actions[sim->critical[i]];
		uint32_t r = sim->rank_of[a->stage];

		on[r] += a->end - a->start;
		all += a->end - a->start;
		if (on[r] > on[most])
			most = r;
	}
	used = snprintf(text, sizeof(text), "%u actions", sim->n_critical);
	if (on)
		used += snprintf(text + used, sizeof(text) - (size_t)used,
			", rank %u's the longest: %.6g of %.6g %s", most,
			(double)on[most] / job->unit,
			(double)sim->step_time / job->unit, job->args->unit_name);
	if (on && all < sim->step_time)
		snprintf(text + used, sizeof(text) - (size_t)used,
			 "; %.4g between them",
			 (double)(sim->step_time - all) / job->unit);
	printf("%*s", PATH_COLUMN, "");
	pfw_text_wrap(stdout, PATH_COLUMN, text);
	free(on);
}

void pfw_schedule_path(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;
	char text[PATH_ALL * 32] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < sim->n_critical; i++) {
		const struct pfw_sim_action *a;

		if (sim->n_critical > PATH_ALL && i == PATH_END) {
			i = sim->n_critical - PATH_END;
			used += (size_t)snprintf(text + used,
						 sizeof(text) - used, "... ");
		}
		a = &sim->actions[sim->critical[i]];
		pfw_action_text(a->type, a->stage, a->microbatch, text + used,
				sizeof(text) - used - 1);
		used = strlen(text);
		text[used++] = ' ';
		text[used] = '\0';
	}
	fputs("critical     ", stdout);
	pfw_text_wrap(stdout, PATH_COLUMN, text);
	print_rank_of_path(job);
}
