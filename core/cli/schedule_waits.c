#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/schedule_show.h"
#include "cli/shown.h"
#include "cli/text.h"

/* Actions of a path: all, or so many from each end. */
#define PATH_ALL 14u
#define PATH_END 6u
/* Where what is waited for begins. */
#define WAITS_COLUMN 39u
/* Where figures begin. */
#define PATH_COLUMN 13

static int64_t idle_of(const void *simulation, uint32_t r)
{
	const struct pfw_simulation *sim = simulation;

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

void pfw_schedule_idle(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;
	uint32_t shown[PFW_SHOWN_ALL], n;

	if (sim->step_time * sim->ranks == sim->busy)
		return;
	puts("\nidle     warm-up   steady   cool-down  waits for, %");
	n = pfw_shown_ranks(sim->ranks, idle_of, sim, shown);
	for (uint32_t i = 0; i < n; i++)
		print_idle(sim, shown[i]);
	if (n < sim->ranks)
		printf("the other %u are idle no longer than these\n",
		       sim->ranks - n);
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
