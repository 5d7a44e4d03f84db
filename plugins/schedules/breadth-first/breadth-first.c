/*
 * Breadth-first, also looped BFS (Lamy-Poirier 2022, arXiv 2211.05953): a chunk
 * takes all micro-batches before the next chunk begins.  Bubble (p-1)/(v*m+p-1)
 * as interleaved, at the price of m activations of every chunk; but a stage's
 * parameters are needed in one stretch per direction, and a transfer has a
 * whole pass of slack.  Backwards ascend, as everywhere here.
 */
#include <pipefw/schedule.h>

static int breadth_first_plan(const struct pfw_shape *shape,
			      const struct pfw_values *opt, uint32_t rank,
			      struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t p = shape->ranks, v = shape->chunks, m = shape->microbatches;

	(void)opt;
	(void)err;
	for (uint32_t c = 0; c < v; c++)
		for (uint32_t i = 0; i < m; i++)
			pfw_plan_add(plan, PFW_FORWARD, c * p + rank, i);
	for (uint32_t c = v; c-- > 0;)
		for (uint32_t i = 0; i < m; i++)
			pfw_plan_add(plan, PFW_BACKWARD, c * p + rank, i);
	return 0;
}

static const struct pfw_schedule_ops breadth_first_ops = {
	.size = sizeof(breadth_first_ops),
	.plan = breadth_first_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "breadth-first",
	   .summary = "every chunk takes all micro-batches in one go",
	   .ops = &breadth_first_ops);
