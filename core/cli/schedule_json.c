#include <pipefw/json.h>
#include <stdio.h>

#include "cli/schedule_show.h"

static void print_shape(const struct pfw_schedule_job *job)
{
	const struct pfw_schedule_plan *plan = job->plan;
	char chosen[128], text[512];

	pfw_json_quote(job->name, text, sizeof(text));
	printf("{\"name\": %s, \"ranks\": %u, \"chunks\": %u, "
	       "\"microbatches\": %u, ", text, plan->ranks, plan->chunks,
	       plan->microbatches);
	pfw_schedule_job_chosen(job, chosen, sizeof(chosen));
	pfw_json_quote(chosen, text, sizeof(text));
	printf("\"chosen\": %s, \"unit\": \"%s\", \"ascending\": %s,\n", text,
	       job->args->unit_name, job->any_order ? "false" : "true");
	fputs(" \"placement\": [", stdout);
	for (uint32_t s = 0; s < plan->stages; s++)
		printf("%s%u", s ? ", " : "", plan->rank_of[s]);
	puts("],");
}

static void print_figures(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;

	printf(" \"step_time\": %.12g, \"bubble\": %.12g, \"span_bubble\": %.12g, "
	       "\"idle_over_ideal\": %.12g,\n",
	       (double)sim->step_time / job->unit, pfw_simulation_bubble(sim),
	       pfw_simulation_span_bubble(sim), pfw_simulation_ratio(sim));
	printf(" \"least_live_step_time\": %.12g, \"peak_activations\": %.12g, "
	       "\"messages\": %llu,\n",
	       (double)job->tight->step_time / job->unit,
	       pfw_schedule_job_peak(job), (unsigned long long)sim->messages);
}

/* What the rank is idle for, before its last action. */
static void print_waits(const struct pfw_simulation *sim, uint32_t rank,
			double unit)
{
	int some = 0;

	fputs(",\n   \"waits\": [", stdout);
	for (uint32_t i = 0; i < sim->n_edges; i++) {
		const struct pfw_sim_edge *edge = &sim->edges[i];

		if (edge->to != rank || !edge->waited)
			continue;
		printf("%s{\"for\": %u, \"kind\": \"%s\", \"time\": %.12g}",
		       some++ ? ", " : "", edge->from,
		       pfw_channel_kind_name(edge->kind),
		       (double)edge->waited / unit);
	}
	fputs("]}", stdout);
}

static void print_ranks(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;
	double unit = job->unit;

	fputs(" \"per_rank\": [", stdout);
	for (uint32_t r = 0; r < sim->ranks; r++) {
		const struct pfw_sim_rank *rank = &sim->rank[r];

		printf("%s\n  {\"rank\": %u, \"busy\": %.12g, \"warm_up\": %.12g, "
		       "\"steady\": %.12g, \"cool_down\": %.12g, "
		       "\"peak_activations\": %.12g", r ? "," : "", r,
		       (double)rank->busy / unit, (double)rank->warm_up / unit,
		       (double)rank->steady / unit,
		       (double)rank->cool_down / unit,
		       (double)rank->peak / sim->chunks);
		if (job->bytes)
			printf(", \"peak_bytes\": %llu",
			       (unsigned long long)job->bytes[r]);
		print_waits(sim, r, unit);
	}
	puts("],");
}

static void print_channels(const struct pfw_schedule_job *job)
{
	const struct pfw_program *prog = job->prog;

	fputs(" \"channels\": [", stdout);
	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];
		const struct pfw_sim_edge *edge = &job->sim->edges[i];

		printf("%s\n  {\"from\": %u, \"to\": %u, \"kind\": \"%s\", "
		       "\"messages\": %u, \"least_live\": %u, "
		       "\"least_ideal\": %u, \"waited\": %.12g, "
		       "\"occupied\": %.12g, \"least_live_waited\": %.12g}",
		       i ? "," : "",
		       c->from, c->to, pfw_channel_kind_name(c->kind),
		       c->n_messages, c->least_live, c->least_ideal,
		       (double)edge->waited / job->unit,
		       (double)edge->n_messages * (double)job->costs.message /
				job->unit,
		       (double)job->tight->edges[i].slot_waited / job->unit);
	}
	puts("],");
}

static void print_action(const struct pfw_sim_action *a, double unit)
{
	char text[64];

	pfw_action_text(a->type, a->stage, a->microbatch, text, sizeof(text));
	printf("{\"action\": \"%s\", \"start\": %.12g, \"end\": %.12g}", text,
	       (double)a->start / unit, (double)a->end / unit);
}

void pfw_schedule_json(const struct pfw_schedule_job *job)
{
	const struct pfw_simulation *sim = job->sim;
	char text[64];

	print_shape(job);
	print_figures(job);
	print_ranks(job);
	print_channels(job);
	fputs(" \"critical_path\": [", stdout);
	for (uint32_t i = 0; i < sim->n_critical; i++) {
		const struct pfw_sim_action *a =
			&sim->actions[sim->critical[i]];

		pfw_action_text(a->type, a->stage, a->microbatch, text,
				sizeof(text));
		printf("%s\"%s\"", i ? ", " : "", text);
	}
	fputs("],\n \"timeline\": [", stdout);
	for (uint32_t r = 0; r < sim->ranks; r++) {
		const struct pfw_sim_rank *rank = &sim->rank[r];

		fputs(r ? ",\n  [" : "\n  [", stdout);
		for (uint32_t i = 0; i < rank->n; i++) {
			fputs(i ? ",\n   " : "", stdout);
			print_action(&sim->actions[rank->first + i], job->unit);
		}
		putchar(']');
	}
	puts("]}");
}
