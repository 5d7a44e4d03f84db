/* A schedule as somebody outside the tree would write one. */
#include <pipefw/schedule.h>

static int plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		uint32_t rank, struct pfw_plan *plan, struct pfw_error *err)
{
	(void)opt;
	(void)err;
	for (uint32_t m = shape->microbatches; m-- > 0;) {
		pfw_plan_add(plan, PFW_FORWARD, rank, m);
		pfw_plan_add(plan, PFW_BACKWARD, rank, m);
	}
	return 0;
}

static const struct pfw_schedule_ops ops = {
	.size = sizeof(ops),
	.flags = PFW_SCHEDULE_ONE_CHUNK,
	.plan = plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "backwards", .summary = "one at a time, last micro-batch first",
	   .ops = &ops);
