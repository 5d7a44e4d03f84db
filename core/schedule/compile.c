/* From compute lists to a program: runs the passes and puts it together. */
#include <errno.h>
#include <stdlib.h>

#include "schedule/assemble.h"

/* Enough to cost no time, or as many as the transport has. */
static int limit_slots(const struct pfw_compile *how,
		       const struct pfw_lowered *low, const uint32_t *live,
		       uint32_t *slots, struct pfw_error *err)
{
	uint32_t max = how->props ? how->props->max_slots : 0;

	for (uint32_t i = 0; max && i < low->n_lanes; i++) {
		const struct pfw_lane *lane = &low->lanes[i];

		if (lane->from == lane->to)
			continue;
		if (live[i] > max)
			return pfw_error_set(err, ENOBUFS,
				"the %s channel from rank %u to rank %u needs "
				"%u slots or the schedule deadlocks; this "
				"transport has at most %u: use fewer "
				"micro-batches or a schedule that keeps fewer",
				pfw_channel_kind_name(lane->kind), lane->from,
				lane->to, live[i], max);
		if (slots[i] > max)
			slots[i] = max;
	}
	return 0;
}

static int choose_slots(const struct pfw_compile *how,
			const struct pfw_lowered *low,
			struct pfw_slot_counts *counts, struct pfw_error *err)
{
	for (uint32_t i = 0; i < low->n_lanes; i++) {
		counts->planned[i] = how->slots == PFW_SLOTS_LIVE ?
			counts->least_live[i] : counts->least_ideal[i];
		if (how->slots != PFW_SLOTS_GIVEN)
			continue;
		if (!how->given[i])
			return pfw_error_set(err, EINVAL, "channel %u is given "
					     "no slot; it needs at least one",
					     i);
		counts->planned[i] = how->given[i];
	}
	if (how->slots == PFW_SLOTS_GIVEN)
		return 0;
	return limit_slots(how, low, counts->least_live, counts->planned, err);
}

static int counts_make(uint32_t n_lanes, struct pfw_slot_counts *out,
		       struct pfw_error *err)
{
	out->least_live = calloc((size_t)n_lanes + 1, sizeof(uint32_t));
	out->least_ideal = calloc((size_t)n_lanes + 1, sizeof(uint32_t));
	out->planned = calloc((size_t)n_lanes + 1, sizeof(uint32_t));
	if (out->least_live && out->least_ideal && out->planned)
		return 0;
	return pfw_error_set(err, ENOMEM, "no memory to count slots");
}

static void counts_clear(struct pfw_slot_counts *counts)
{
	pfw_posts_clear(&counts->posts);
	free(counts->planned);
	free(counts->least_ideal);
	free(counts->least_live);
}

/* Everything after lowering. */
static int prove(const struct pfw_compile *how, const struct pfw_lowered *low,
		 const struct pfw_durations *cost,
		 struct pfw_slot_counts *counts, struct pfw_error *err)
{
	struct pfw_queues *queues = NULL;
	struct pfw_pass pass = { 0 };
	int rc;

	rc = pfw_queues_make(low, cost, how->props, &queues, err);
	if (!rc)
		rc = pfw_pass_init(&pass, low, cost, queues, err);
	if (!rc)
		rc = pfw_slots_plan(&pass, counts->least_live,
				    counts->least_ideal, &counts->ideal_time,
				    err);
	if (!rc)
		rc = choose_slots(how, low, counts, err);
	if (!rc && pfw_pass_run(&pass, counts->planned))
		rc = pfw_deadlock_explain(&pass, err);
	counts->planned_time = pass.time;
	if (!rc && how->props && how->props->receive == PFW_RECEIVE_PLANNED)
		rc = pfw_posts_make(&pass, &counts->posts, err);
	pfw_pass_clear(&pass);
	pfw_queues_free(queues);
	return rc;
}

int pfw_program_compile(const struct pfw_compile *how, struct pfw_program **out,
			struct pfw_error *err)
{
	struct pfw_lowered low = { 0 };
	struct pfw_durations cost = { 0 };
	struct pfw_slot_counts counts = { 0 };
	int rc;

	rc = pfw_plan_verify(how->plan, how->order_any, how->forward_only, err);
	if (!rc)
		rc = pfw_durations_make(how->plan, how->costs, &cost, err);
	if (!rc)
		rc = pfw_lower(how->plan, how->forward_only, &low, err);
	if (!rc)
		rc = counts_make(low.n_lanes, &counts, err);
	if (!rc)
		rc = prove(how, &low, &cost, &counts, err);
	if (!rc)
		rc = pfw_program_assemble(&low, &counts, out, err);
	counts_clear(&counts);
	pfw_lowered_clear(&low);
	pfw_durations_clear(&cost);
	return rc;
}
