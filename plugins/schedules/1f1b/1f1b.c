/*
 * 1F1B, also PipeDream-Flush (Narayanan et al. 2021, arXiv 2104.04473): a rank
 * runs ahead only as far as the ranks after it need, then alternates.  Bubble
 * (p-1)/(m+p-1) as GPipe; rank r keeps min(m, p-r) activations.
 */
#include <pipefw/schedule.h>

static int plan_1f1b(const struct pfw_shape *shape,
		     const struct pfw_values *opt, uint32_t rank,
		     struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t m = shape->microbatches, ahead = shape->ranks - 1 - rank;
	uint32_t f = 0, b = 0;

	(void)opt;
	(void)err;
	while (f < m && f < ahead)
		pfw_plan_add(plan, PFW_FORWARD, rank, f++);
	while (f < m) {
		pfw_plan_add(plan, PFW_FORWARD, rank, f++);
		pfw_plan_add(plan, PFW_BACKWARD, rank, b++);
	}
	while (b < m)
		pfw_plan_add(plan, PFW_BACKWARD, rank, b++);
	return 0;
}

static const struct pfw_schedule_ops ops_1f1b = {
	.size = sizeof(ops_1f1b),
	.flags = PFW_SCHEDULE_ONE_CHUNK,
	.plan = plan_1f1b,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "1f1b",
	   .summary = "one forward, one backward, flushed each step",
	   .ops = &ops_1f1b);
