/*
 * ZB-H1 (Qi et al. 2023, arXiv 2401.10241): 1F1B with the backward taken apart;
 * rank r keeps its W back by r micro-batches, where they fill the wait.  Bubble
 * (p-1)*(F+I-W), a third of 1F1B's; every rank keeps min(m, p) activations.
 */
#include <pipefw/schedule.h>

static int zb_h1_plan(const struct pfw_shape *shape,
		      const struct pfw_values *opt, uint32_t rank,
		      struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t m = shape->microbatches, ahead = shape->ranks - 1 - rank;
	uint32_t f = 0, w = 0;

	(void)opt;
	(void)err;
	while (f < m && f < ahead)
		pfw_plan_add(plan, PFW_FORWARD, rank, f++);
	for (uint32_t i = 0; i < m; i++) {
		if (f < m)
			pfw_plan_add(plan, PFW_FORWARD, rank, f++);
		pfw_plan_add(plan, PFW_BACKWARD_INPUT, rank, i);
		if (i >= rank)
			pfw_plan_add(plan, PFW_BACKWARD_WEIGHT, rank, w++);
	}
	while (w < m)
		pfw_plan_add(plan, PFW_BACKWARD_WEIGHT, rank, w++);
	return 0;
}

static const struct pfw_schedule_ops zb_h1_ops = {
	.size = sizeof(zb_h1_ops),
	.flags = PFW_SCHEDULE_SPLITS | PFW_SCHEDULE_ONE_CHUNK,
	.plan = zb_h1_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "zb-h1",
	   .summary = "zero bubble at 1F1B's memory (split backwards)",
	   .ops = &zb_h1_ops);
