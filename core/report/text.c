/* The report for a terminal. */
#include <inttypes.h>
#include <math.h>

#include "report/report.h"

static double percent(const struct pfw_report *r, double ns)
{
	return 100 * ns / r->window;
}

static void print_rank(const struct pfw_report *r, uint32_t k, FILE *to)
{
	const struct pfw_report_rank *rank = &r->rank[k];
	int some = 0;

	fprintf(to, "%4u %8.1f %% %9.2f %% %6.1f %%  ", k,
		percent(r, rank->compute), percent(r, rank->transfer),
		percent(r, rank->idle));
	for (uint32_t q = 0; q < r->program->ranks; q++)
		if (percent(r, rank->waits[q]) >= 0.05)
			fprintf(to, "%s%.1f %% for rank %u", some++ ? ", " : "",
				percent(r, rank->waits[q]), q);
	fputs(some ? "\n" : "-\n", to);
}

static void print_costs(const struct pfw_report *r, FILE *to)
{
	fprintf(to, "\nstage  rank      F ms      %s\n",
		r->program->splits ? "I ms      W ms" : "B ms");
	for (uint32_t s = 0; s < r->program->stages; s++) {
		fprintf(to, "%5u %5u %9.3f %9.3f", s, r->program->rank_of[s],
			(double)r->forward[s] / 1e6, (double)r->input[s] / 1e6);
		if (r->program->splits)
			fprintf(to, " %9.3f", (double)r->weight[s] / 1e6);
		fputc('\n', to);
	}
}

int pfw_report_text(const struct pfw_report *r, FILE *to)
{
	fprintf(to, "%s: %s, p=%u v=%u m=%u, steps %" PRIu64 " to %" PRIu64
		"\n\n", r->dir, pfw_config_schedule(r->cfg),
		r->program->ranks, r->program->chunks, r->program->microbatches,
		r->first_step, r->last_step);
	fprintf(to, "                 predicted   measured\n");
	fprintf(to, "step, ms       %11.3f %10.3f\n",
		(double)r->predicted->step_time / 1e6, r->window / 1e6);
	fprintf(to, "bubble         %9.1f %% %8.1f %%\n",
		100 * pfw_simulation_bubble(r->predicted), 100 * r->bubble);
	fprintf(to, "(from the first action to NORM; predicted at the measured "
		"cost of each action)\n\n");
	fprintf(to, "rank    compute    transfer     idle  waits\n");
	for (uint32_t k = 0; k < r->program->ranks; k++)
		print_rank(r, k, to);
	print_costs(r, to);
	fprintf(to, "\n%s\n", r->advice.text);
	return ferror(to) ? -1 : 0;
}
