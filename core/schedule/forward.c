/* Forward only, for evaluation and generation, on another plan's placement. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/program.h"

struct greedy {
	struct pfw_schedule_plan *plan;
	uint32_t *held; /* [ranks * chunks]: stage of each chunk */
	uint32_t *done; /* [stages]: micro-batches through it */
	uint32_t *came; /* [stages]: those that had come when the turn began */
};

/* The deepest stage of the rank that has a micro-batch waiting. */
static uint32_t deepest_ready(const struct greedy *g, uint32_t r)
{
	const uint32_t *held = g->held + (size_t)r * g->plan->chunks;

	for (uint32_t c = g->plan->chunks; c-- > 0;)
		if (g->done[held[c]] < g->came[held[c]])
			return held[c];
	return PFW_NONE;
}

/* One turn: every rank does one action on what was there at its beginning. */
static uint64_t turn(struct greedy *g)
{
	struct pfw_schedule_plan *plan = g->plan;
	uint64_t n = 0;

	for (uint32_t s = 1; s < plan->stages; s++)
		g->came[s] = g->done[s - 1];
	for (uint32_t r = 0; r < plan->ranks; r++) {
		uint32_t s = deepest_ready(g, r);

		if (s == PFW_NONE)
			continue;
		pfw_plan_add(&plan->lists[r], PFW_FORWARD, s, g->done[s]++);
		n++;
	}
	return n;
}

static int write_lists(struct greedy *g, struct pfw_error *err)
{
	struct pfw_schedule_plan *plan = g->plan;
	uint64_t left = (uint64_t)plan->stages * plan->microbatches;

	g->came[0] = plan->microbatches;
	for (uint32_t s = 0; s < plan->stages; s++)
		g->held[(size_t)plan->rank_of[s] * plan->chunks +
			plan->chunk_of[s]] = s;
	while (left)
		left -= turn(g);
	for (uint32_t r = 0; r < plan->ranks; r++)
		if (plan->lists[r].failed)
			return pfw_error_set(err, plan->lists[r].failed,
					     "no memory for the list of rank %u",
					     r);
	return 0;
}

int pfw_schedule_plan_forward(const struct pfw_schedule_plan *like,
			      uint32_t microbatches,
			      struct pfw_schedule_plan **out,
			      struct pfw_error *err)
{
	size_t stages = like->stages;
	struct greedy g = { 0 };
	int rc;

	rc = pfw_schedule_plan_new(like->ranks, like->chunks, microbatches,
				   &g.plan, err);
	if (rc)
		return rc;
	memcpy(g.plan->rank_of, like->rank_of, stages * sizeof(uint32_t));
	memcpy(g.plan->chunk_of, like->chunk_of, stages * sizeof(uint32_t));
	g.held = malloc(stages * sizeof(*g.held));
	g.done = calloc(stages, sizeof(*g.done));
	g.came = calloc(stages, sizeof(*g.came));
	if (g.held && g.done && g.came)
		rc = write_lists(&g, err);
	else
		rc = pfw_error_set(err, ENOMEM, "no memory for a plan");
	free(g.came);
	free(g.done);
	free(g.held);
	if (rc) {
		pfw_schedule_plan_free(g.plan);
		return rc;
	}
	*out = g.plan;
	return 0;
}
