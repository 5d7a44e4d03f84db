/* Times of all actions, and where they come from. */
#include "schedule/simulate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/compile.h"

static double idle_share(const struct pfw_simulation *sim, int64_t each)
{
	double whole = (double)each * sim->ranks;

	return whole > 0 ? 1 - (double)sim->busy / whole : 0;
}

double pfw_simulation_bubble(const struct pfw_simulation *sim)
{
	return idle_share(sim, sim->step_time);
}

double pfw_simulation_span_bubble(const struct pfw_simulation *sim)
{
	return idle_share(sim, sim->span);
}

double pfw_simulation_ratio(const struct pfw_simulation *sim)
{
	double idle = (double)sim->step_time * sim->ranks - (double)sim->busy;

	return sim->busy > 0 ? idle / (double)sim->busy : 0;
}

void pfw_simulation_free(struct pfw_simulation *sim)
{
	if (!sim)
		return;
	free(sim->critical);
	free(sim->edges);
	free(sim->actions);
	free(sim->rank);
	free(sim->chunk_of);
	free(sim->rank_of);
	free(sim);
}

/* Fills what the action waited for last, and charges the idle time to it. */
static void find_cause(const struct pfw_pass *pass, uint32_t i, uint32_t first,
		       struct pfw_simulation *sim)
{
	const struct pfw_lowered *low = pass->low;
	const struct pfw_node *node = &low->nodes[i];
	struct pfw_sim_action *a = &sim->actions[i];
	int64_t idle = a->start - (i > first ? sim->actions[i - 1].end : 0);
	uint32_t slot = pfw_pass_slot_wait(pass, node);

	a->after = PFW_NONE;
	if (!idle && i == first) {
		a->cause = PFW_CAUSE_BEGIN;
	} else if (!idle) {
		a->cause = PFW_CAUSE_RANK;
		a->after = i - 1;
	} else if (slot != PFW_NONE && pass->released[slot] == a->start) {
		a->cause = PFW_CAUSE_SLOT;
		a->after = low->releaser[slot];
		sim->edges[low->lane_of[slot]].slot_waited += idle;
	} else {
		a->cause = PFW_CAUSE_MESSAGE;
		a->after = low->maker[node->wait];
		sim->edges[low->lane_of[node->wait]].waited += idle;
	}
}

/* Idle time of [from, to), split at the two ends of the steady phase. */
static void charge_idle(struct pfw_sim_rank *rank, int64_t from, int64_t to,
			int64_t turn, int64_t last)
{
	if (from >= to)
		return;
	if (from < turn)
		rank->warm_up += to - from;
	else if (from >= last)
		rank->cool_down += to - from;
	else
		rank->steady += to - from;
}

static void fill_rank(const struct pfw_pass *pass, uint32_t r,
		      struct pfw_simulation *sim)
{
	const struct pfw_lowered *low = pass->low;
	struct pfw_sim_rank *rank = &sim->rank[r];
	int64_t turn = -1, last = 0, clock = 0;
	uint32_t live = 0;

	rank->first = low->first[r];
	rank->n = low->first[r + 1] - rank->first;
	for (uint32_t i = rank->first; i < rank->first + rank->n; i++) {
		const struct pfw_node *node = &low->nodes[i];

		sim->actions[i] = (struct pfw_sim_action){
			.type = node->type, .stage = node->stage,
			.microbatch = node->microbatch,
			.start = pass->start[i], .end = pass->end[i],
		};
		find_cause(pass, i, rank->first, sim);
		rank->busy += pass->end[i] - pass->start[i];
		if (node->type == PFW_FORWARD) {
			last = pass->end[i];
			if (++live > rank->peak)
				rank->peak = live;
		} else if (turn < 0) {
			turn = pass->start[i];
		}
		if (node->type == PFW_BACKWARD ||
		    node->type == PFW_BACKWARD_WEIGHT || low->forward_only)
			live--;
	}
	if (turn < 0)
		turn = last;
	for (uint32_t i = rank->first; i < rank->first + rank->n; i++) {
		charge_idle(rank, clock, sim->actions[i].start, turn, last);
		clock = sim->actions[i].end;
	}
	charge_idle(rank, clock, sim->step_time, -1, -1);
	sim->busy += rank->busy;
	if (rank->n && clock - sim->actions[rank->first].start > sim->span)
		sim->span = clock - sim->actions[rank->first].start;
}

/* Back from the last action to end, cause by cause; then turned round. */
static void trace_critical(struct pfw_simulation *sim)
{
	uint32_t at = 0, n = 0;

	for (uint32_t i = 1; i < sim->n_actions; i++)
		if (sim->actions[i].end > sim->actions[at].end)
			at = i;
	while (at != PFW_NONE && n < sim->n_actions) {
		sim->critical[n++] = at;
		at = sim->actions[at].after;
	}
	sim->n_critical = n;
	for (uint32_t i = 0; i < n / 2; i++) {
		at = sim->critical[i];
		sim->critical[i] = sim->critical[n - 1 - i];
		sim->critical[n - 1 - i] = at;
	}
}

static int collect(const struct pfw_pass *pass, struct pfw_simulation **out,
		   struct pfw_error *err)
{
	const struct pfw_lowered *low = pass->low;
	const struct pfw_schedule_plan *plan = low->plan;
	struct pfw_simulation *sim = calloc(1, sizeof(*sim));

	if (!sim)
		goto err_memory;
	sim->ranks = plan->ranks;
	sim->chunks = plan->chunks;
	sim->microbatches = plan->microbatches;
	sim->stages = plan->stages;
	sim->n_actions = low->n_nodes;
	sim->n_edges = low->n_lanes;
	sim->step_time = pass->time;
	sim->rank_of = malloc(plan->stages * sizeof(*sim->rank_of));
	sim->chunk_of = malloc(plan->stages * sizeof(*sim->chunk_of));
	sim->rank = calloc(plan->ranks, sizeof(*sim->rank));
	sim->actions = malloc(((size_t)low->n_nodes + 1) * sizeof(*sim->actions));
	sim->critical = malloc(((size_t)low->n_nodes + 1) * sizeof(uint32_t));
	sim->edges = calloc((size_t)low->n_lanes + 1, sizeof(*sim->edges));
	if (!sim->rank_of || !sim->chunk_of || !sim->rank || !sim->actions ||
	    !sim->critical || !sim->edges)
		goto err_memory;
	memcpy(sim->rank_of, plan->rank_of,
	       plan->stages * sizeof(*sim->rank_of));
	memcpy(sim->chunk_of, plan->chunk_of,
	       plan->stages * sizeof(*sim->chunk_of));
	for (uint32_t i = 0; i < low->n_lanes; i++) {
		const struct pfw_lane *lane = &low->lanes[i];

		sim->edges[i].from = lane->from;
		sim->edges[i].to = lane->to;
		sim->edges[i].kind = lane->kind;
		sim->edges[i].n_messages = lane->n;
		if (lane->from != lane->to)
			sim->messages += lane->n;
	}
	for (uint32_t r = 0; r < plan->ranks; r++)
		fill_rank(pass, r, sim);
	trace_critical(sim);
	*out = sim;
	return 0;

err_memory:
	pfw_simulation_free(sim);
	return pfw_error_set(err, ENOMEM, "no memory for a simulation");
}

static int play(const struct pfw_compile *how, const struct pfw_lowered *low,
		const struct pfw_durations *cost,
		const struct pfw_program *prog, struct pfw_simulation **out,
		struct pfw_error *err)
{
	struct pfw_queues *queues = NULL;
	struct pfw_pass pass = { 0 };
	uint32_t *slots = NULL;
	int rc;

	rc = pfw_queues_make(low, cost, how->props, &queues, err);
	if (!rc)
		rc = pfw_pass_init(&pass, low, cost, queues, err);
	if (!rc && prog) {
		slots = malloc(((size_t)low->n_lanes + 1) * sizeof(*slots));
		if (!slots)
			rc = pfw_error_set(err, ENOMEM, "no memory for slots");
		for (uint32_t i = 0; !rc && i < low->n_lanes; i++)
			slots[i] = prog->channels[i].n_slots;
	}
	if (!rc && pfw_pass_run(&pass, slots))
		rc = pfw_deadlock_explain(&pass, err);
	if (!rc)
		rc = collect(&pass, out, err);
	free(slots);
	pfw_pass_clear(&pass);
	pfw_queues_free(queues);
	return rc;
}

int pfw_simulate(const struct pfw_compile *how, const struct pfw_program *prog,
		 struct pfw_simulation **out, struct pfw_error *err)
{
	struct pfw_durations cost = { 0 };
	struct pfw_lowered low = { 0 };
	int rc;

	rc = pfw_plan_verify(how->plan, how->order_any, how->forward_only, err);
	if (!rc)
		rc = pfw_durations_make(how->plan, how->costs, &cost, err);
	if (!rc)
		rc = pfw_lower(how->plan, how->forward_only, &low, err);
	if (!rc)
		rc = play(how, &low, &cost, prog, out, err);
	pfw_lowered_clear(&low);
	pfw_durations_clear(&cost);
	return rc;
}
