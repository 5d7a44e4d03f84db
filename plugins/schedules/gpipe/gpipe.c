/*
 * GPipe: all forwards, then all backwards (Huang et al. 2019, arXiv
 * 1811.06965).  The paper goes back from the last micro-batch; here they
 * ascend, so that gradients are summed in one order under every schedule.
 * Bubble (p-1)/(m+p-1); every rank keeps m activations.
 */
#include <pipefw/schedule.h>

static int gpipe_plan(const struct pfw_shape *shape,
		      const struct pfw_values *opt, uint32_t rank,
		      struct pfw_plan *plan, struct pfw_error *err)
{
	(void)opt;
	(void)err;
	for (uint32_t i = 0; i < shape->microbatches; i++)
		pfw_plan_add(plan, PFW_FORWARD, rank, i);
	for (uint32_t i = 0; i < shape->microbatches; i++)
		pfw_plan_add(plan, PFW_BACKWARD, rank, i);
	return 0;
}

static const struct pfw_schedule_ops gpipe_ops = {
	.size = sizeof(gpipe_ops),
	.flags = PFW_SCHEDULE_ONE_CHUNK,
	.plan = gpipe_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "gpipe",
	   .summary = "all forwards, then all backwards",
	   .ops = &gpipe_ops);
