#include "cli/report_text.h"

#include <inttypes.h>
#include <string.h>

#include "cli/shown.h"
#include "cli/text.h"
#include "runtime/job.h"

static double percent(const struct pfw_report *r, double ns)
{
	return 100 * ns / r->window;
}

/* All stages, or of many a line that says so. */
#define STAGES_ALL 32u

/* Who computes least has the longest waits. */
static int64_t idle_of(const void *report, uint32_t k)
{
	const struct pfw_report *r = report;

	return (int64_t)r->window - (int64_t)r->rank[k].compute;
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

static void print_ranks(const struct pfw_report *r, FILE *to)
{
	uint32_t shown[PFW_SHOWN_ALL], ranks = r->program->ranks;
	uint32_t n = pfw_shown_ranks(ranks, idle_of, r, shown);

	fprintf(to, "rank    compute    transfer     idle  waits\n");
	for (uint32_t i = 0; i < n; i++)
		print_rank(r, shown[i], to);
	if (n < ranks)
		fprintf(to, "the other %u compute no less than these\n",
			ranks - n);
}

static void print_stage(const struct pfw_report *r, uint32_t s, FILE *to)
{
	fprintf(to, "%5u %5u %9.3f %9.3f", s, r->program->rank_of[s],
		(double)r->forward[s] / 1e6, (double)r->input[s] / 1e6);
	if (r->program->splits)
		fprintf(to, " %9.3f", (double)r->weight[s] / 1e6);
	fputc('\n', to);
}

static int64_t whole_cost(const struct pfw_report *r, uint32_t s)
{
	return r->forward[s] + r->input[s] + r->weight[s];
}

/* Of many stages the dearest and the cheapest. */
static void print_costs(const struct pfw_report *r, FILE *to)
{
	uint32_t dearest = 0, cheapest = 0;

	fprintf(to, "\nstage  rank      F ms      %s\n",
		r->program->splits ? "I ms      W ms" : "B ms");
	for (uint32_t s = 0; s < r->program->stages; s++) {
		if (r->program->stages <= STAGES_ALL)
			print_stage(r, s, to);
		if (whole_cost(r, s) > whole_cost(r, dearest))
			dearest = s;
		if (whole_cost(r, s) < whole_cost(r, cheapest))
			cheapest = s;
	}
	if (r->program->stages <= STAGES_ALL)
		return;
	print_stage(r, dearest, to);
	print_stage(r, cheapest, to);
	fprintf(to, "the dearest and the cheapest of %u\n", r->program->stages);
}

static void print_loss(const struct pfw_report *r, FILE *to)
{
	if (r->n_losses)
		fprintf(to, "\nloss           %.4f at step %" PRIu64 ", %.4f at "
			"step %" PRIu64 "\n", r->losses[0].value,
			r->losses[0].step, r->losses[r->n_losses - 1].value,
			r->losses[r->n_losses - 1].step);
	if (r->n_valid)
		fprintf(to, "validation     %.4f at step %" PRIu64 "\n",
			r->valid[r->n_valid - 1].value,
			r->valid[r->n_valid - 1].step);
}

static int print_memory(const struct pfw_report *r, FILE *to,
			struct pfw_error *err)
{
	const struct pfw_job_options how = { .cfg = r->cfg };
	uint64_t most = 0;
	uint32_t who = 0;
	struct pfw_job *job;
	char text[16];
	int rc = pfw_job_open(&how, &job, err);

	if (rc)
		return rc;
	for (uint32_t k = 0; k < r->program->ranks; k++) {
		struct pfw_rank_memory m;
		uint64_t all;

		pfw_job_memory(job, k, &m);
		all = m.weights + m.gradients + m.optimizer + m.saved + m.work +
		      m.slots;
		if (all > most) {
			most = all;
			who = k;
		}
	}
	pfw_job_close(job);
	pfw_text_size(most, text, sizeof(text));
	fprintf(to, "memory         %s at most, of rank %u, as planned\n", text,
		who);
	return 0;
}

/* Of a chunk, mean over the stages. */
static double forward_ms(const struct pfw_report *r)
{
	double sum = 0;

	for (uint32_t s = 0; s < r->program->stages; s++)
		sum += (double)r->forward[s] / 1e6;
	return sum / r->program->stages;
}

void pfw_report_table_head(FILE *to)
{
	fprintf(to, "schedule         p  v    m    F ms predicted  measured   "
		"off by  by set  run\n");
}

void pfw_report_table_row(const struct pfw_report *r, FILE *to)
{
	const struct pfw_program *p = r->program;

	fprintf(to, "%-14s %3u %2u %4u %7.3f %9.3f %9.3f %+6.1f %%",
		pfw_config_schedule(r->cfg), p->ranks, p->chunks,
		p->microbatches, forward_ms(r),
		(double)r->predicted->step_time / 1e6, r->window / 1e6,
		pfw_report_off(r, r->predicted->step_time));
	if (r->set_step)
		fprintf(to, " %+5.1f %%", pfw_report_off(r, r->set_step));
	else
		fprintf(to, " %7s", "-");
	fprintf(to, "  %s\n", r->dir);
}

/* As a shell takes them, an option a line. */
static void print_sets(const char *sets, FILE *to)
{
	const char *next;

	fputs("with ", to);
	while ((next = strstr(sets + 1, " --set "))) {
		fprintf(to, "%.*s \\\n    ", (int)(next - sets), sets);
		sets = next;
	}
	fprintf(to, "%s\n", sets);
}

void pfw_report_table_foot(FILE *to)
{
	fprintf(to, "(steps in ms, from the first action to NORM; predicted at "
		"the measured cost of\neach action; by set: off from what the "
		"times say that the layers were set to)\n");
}

int pfw_report_text(const struct pfw_report *r, FILE *to, struct pfw_error *err)
{
	int rc;

	fprintf(to, "%s: %s, p=%u v=%u m=%u, steps %" PRIu64 " to %" PRIu64
		"\n\n", r->dir, pfw_config_schedule(r->cfg),
		r->program->ranks, r->program->chunks, r->program->microbatches,
		r->first_step, r->last_step);
	fprintf(to, "                 predicted   measured    off by\n");
	fprintf(to, "step, ms       %11.3f %10.3f %+7.1f %%\n",
		(double)r->predicted->step_time / 1e6, r->window / 1e6,
		pfw_report_off(r, r->predicted->step_time));
	if (r->set_step)
		fprintf(to, "by set times   %11.3f            %+7.1f %%\n",
			(double)r->set_step / 1e6,
			pfw_report_off(r, r->set_step));
	fprintf(to, "bubble         %9.1f %% %8.1f %%\n",
		100 * pfw_simulation_bubble(r->predicted), 100 * r->bubble);
	fprintf(to, "(from the first action to NORM; predicted at the measured "
		"cost of each action%s)\n\n",
		r->set_step ? ",\nand at the times that were set" : "");
	print_ranks(r, to);
	print_costs(r, to);
	print_loss(r, to);
	rc = print_memory(r, to, err);
	fputc('\n', to);
	pfw_text_wrap(to, 0, r->advice.text);
	if (r->advice.found)
		print_sets(r->advice.set, to);
	return rc;
}
