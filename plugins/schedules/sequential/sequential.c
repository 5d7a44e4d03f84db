/*
 * One micro-batch at a time, through all stages and back: naive model
 * parallelism, the baseline.  One rank works while the others wait; every rank
 * keeps one micro-batch.
 */
#include <pipefw/schedule.h>

static int sequential_plan(const struct pfw_shape *shape,
			   const struct pfw_values *opt, uint32_t rank,
			   struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t p = shape->ranks, v = shape->chunks;

	(void)opt;
	(void)err;
	for (uint32_t i = 0; i < shape->microbatches; i++) {
		for (uint32_t c = 0; c < v; c++)
			pfw_plan_add(plan, PFW_FORWARD, c * p + rank, i);
		for (uint32_t c = v; c-- > 0;)
			pfw_plan_add(plan, PFW_BACKWARD, c * p + rank, i);
	}
	return 0;
}

static const struct pfw_schedule_ops sequential_ops = {
	.size = sizeof(sequential_ops),
	.plan = sequential_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "sequential",
	   .summary = "one micro-batch at a time, the baseline",
	   .ops = &sequential_ops);
