/*
 * ZB-H2 (Qi et al. 2023, arXiv 2401.10241): more forwards ahead, so that the
 * first gradient is not waited for, and up to 2r of rank r's W kept back.  Each
 * rank's own span has no bubble where F = I = W and m >= 2p-1; behind a barrier
 * the step is as long as ZB-H1's, at 2p-1 activations instead of p.
 */
#include <pipefw/schedule.h>

static int zb_h2_plan(const struct pfw_shape *shape,
		      const struct pfw_values *opt, uint32_t rank,
		      struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t m = shape->microbatches;
	uint32_t ahead = 2 * (shape->ranks - 1 - rank) + 1;
	uint32_t f = 0, w = 0;

	(void)opt;
	(void)err;
	while (f < m && f < ahead)
		pfw_plan_add(plan, PFW_FORWARD, rank, f++);
	for (uint32_t i = 0; i < m; i++) {
		pfw_plan_add(plan, PFW_BACKWARD_INPUT, rank, i);
		if (i >= 2 * rank)
			pfw_plan_add(plan, PFW_BACKWARD_WEIGHT, rank, w++);
		if (f < m)
			pfw_plan_add(plan, PFW_FORWARD, rank, f++);
	}
	while (w < m)
		pfw_plan_add(plan, PFW_BACKWARD_WEIGHT, rank, w++);
	return 0;
}

static const struct pfw_schedule_ops zb_h2_ops = {
	.size = sizeof(zb_h2_ops),
	.flags = PFW_SCHEDULE_SPLITS | PFW_SCHEDULE_ONE_CHUNK,
	.plan = zb_h2_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "zb-h2",
	   .summary = "no bubble in a rank's own span, at twice the memory",
	   .ops = &zb_h2_ops);
