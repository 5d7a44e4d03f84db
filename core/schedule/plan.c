/* Compute lists: what a schedule plugin writes, for all ranks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/compile.h"

static void add(struct pfw_plan *plan, uint32_t type, uint32_t stage,
		uint32_t microbatch, uint32_t group)
{
	struct pfw_planned *items;
	size_t capacity;

	if (plan->failed)
		return;
	if (plan->n == plan->capacity) {
		capacity = plan->capacity ? 2 * plan->capacity : 64;
		if (plan->limit && plan->n >= plan->limit) {
			plan->failed = E2BIG;
			return;
		}
		items = realloc(plan->items, capacity * sizeof(*items));
		if (!items) {
			plan->failed = ENOMEM;
			return;
		}
		plan->items = items;
		plan->capacity = capacity;
	}
	plan->items[plan->n++] = (struct pfw_planned){
		.type = type,
		.stage = stage,
		.microbatch = microbatch,
		.group = group,
	};
}

void pfw_plan_add(struct pfw_plan *plan, uint32_t type, uint32_t stage,
		  uint32_t microbatch)
{
	add(plan, type, stage, microbatch, PFW_NONE);
}

void pfw_plan_add_pair(struct pfw_plan *plan, uint32_t type0, uint32_t stage0,
		       uint32_t microbatch0, uint32_t type1, uint32_t stage1,
		       uint32_t microbatch1)
{
	uint32_t group = plan->n_groups++;

	add(plan, type0, stage0, microbatch0, group);
	add(plan, type1, stage1, microbatch1, group);
}

void pfw_plan_clear(struct pfw_plan *plan)
{
	free(plan->items);
	*plan = (struct pfw_plan){ 0 };
}

void pfw_schedule_plan_free(struct pfw_schedule_plan *plan)
{
	if (!plan)
		return;
	for (uint32_t r = 0; plan->lists && r < plan->ranks; r++)
		pfw_plan_clear(&plan->lists[r]);
	free(plan->lists);
	free(plan->rank_of);
	free(plan->chunk_of);
	free(plan);
}

int pfw_schedule_plan_new(uint32_t ranks, uint32_t chunks,
			  uint32_t microbatches, struct pfw_schedule_plan **out,
			  struct pfw_error *err)
{
	struct pfw_schedule_plan *plan;
	uint64_t stages = (uint64_t)ranks * chunks;

	if (!ranks || !chunks || !microbatches)
		return pfw_error_set(err, EINVAL,
			"p=%u v=%u m=%u: there must be at least one rank, one "
			"chunk per rank and one micro-batch",
			ranks, chunks, microbatches);
	if (stages > PFW_MAX_CELLS || stages * microbatches > PFW_MAX_CELLS)
		return pfw_error_set(err, E2BIG,
			"p=%u v=%u m=%u is too large: p*v*m may be at most %u",
			ranks, chunks, microbatches, PFW_MAX_CELLS);
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		goto err_memory;
	plan->ranks = ranks;
	plan->chunks = chunks;
	plan->microbatches = microbatches;
	plan->stages = (uint32_t)stages;
	plan->rank_of = calloc(stages, sizeof(*plan->rank_of));
	plan->chunk_of = calloc(stages, sizeof(*plan->chunk_of));
	plan->lists = calloc(ranks, sizeof(*plan->lists));
	if (!plan->rank_of || !plan->chunk_of || !plan->lists)
		goto err_memory;
	*out = plan;
	return 0;

err_memory:
	pfw_schedule_plan_free(plan);
	return pfw_error_set(err, ENOMEM, "no memory for a plan of %llu stages",
			     (unsigned long long)stages);
}

/* Numbers the stages of each rank; every rank must have its share. */
int pfw_schedule_plan_number(struct pfw_schedule_plan *plan,
			     struct pfw_error *err)
{
	uint32_t *count = calloc(plan->ranks, sizeof(*count));
	int rc = 0;

	if (!count)
		return pfw_error_set(err, ENOMEM, "no memory for a plan");
	for (uint32_t s = 0; s < plan->stages && !rc; s++) {
		uint32_t r = plan->rank_of[s];

		if (r >= plan->ranks)
			rc = pfw_error_set(err, EINVAL,
				"stage %u is placed on rank %u; ranks are 0 to "
				"%u", s, r, plan->ranks - 1);
		else if (count[r] == plan->chunks)
			rc = pfw_error_set(err, EINVAL,
				"stage %u is placed on rank %u, which has its "
				"%u already: every rank holds %u", s, r,
				plan->chunks, plan->chunks);
		else
			plan->chunk_of[s] = count[r]++;
	}
	free(count);
	return rc;
}

static int ask_plugin(const struct pfw_schedule_ops *ops,
		      const struct pfw_values *opt,
		      const struct pfw_shape *shape,
		      struct pfw_schedule_plan *plan, struct pfw_error *err)
{
	int rc;

	for (uint32_t s = 0; s < plan->stages; s++)
		plan->rank_of[s] = ops->place ? ops->place(shape, opt, s)
					      : s % plan->ranks;
	rc = pfw_schedule_plan_number(plan, err);
	for (uint32_t r = 0; r < plan->ranks && !rc; r++) {
		struct pfw_plan *list = &plan->lists[r];

		/* F, I and W of all it has is the longest right list. */
		list->limit = (size_t)PFW_PLAN_TYPES * plan->chunks *
			      plan->microbatches;
		rc = ops->plan(shape, opt, r, list, err);
		if (rc || !list->failed)
			continue;
		rc = list->failed == ENOMEM ?
			pfw_error_set(err, ENOMEM, "no memory for the list of "
				      "rank %u", r) :
			pfw_error_set(err, EINVAL, "rank %u lists more than %zu "
				      "actions: that is F, I and W of all its "
				      "micro-batches", r, list->limit);
	}
	return rc;
}

int pfw_schedule_plan_make(const struct pfw_loaded *schedule,
			   const struct pfw_values *opt,
			   const struct pfw_shape *shape,
			   struct pfw_schedule_plan **out,
			   struct pfw_error *err)
{
	const struct pfw_schedule_ops *ops = &schedule->ops.schedule;
	struct pfw_schedule_plan *plan;
	int rc;

	rc = pfw_schedule_plan_new(shape->ranks, shape->chunks,
				   shape->microbatches, &plan, err);
	if (rc)
		goto err_name;
	if ((ops->flags & PFW_SCHEDULE_ONE_CHUNK) && shape->chunks > 1)
		rc = pfw_error_set(err, EINVAL, "v=%u: this schedule takes one "
				   "chunk per rank, use v=1", shape->chunks);
	else if (ops->check)
		rc = ops->check(shape, opt, err);
	if (!rc)
		rc = ask_plugin(ops, opt, shape, plan, err);
	if (rc)
		goto err_plan;
	*out = plan;
	return 0;

err_plan:
	pfw_schedule_plan_free(plan);
err_name:
	pfw_error_prefix(err, "%s: ", schedule->info.name);
	return rc;
}
