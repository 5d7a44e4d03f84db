/*
 * ZBV (Qi et al. 2023, arXiv 2401.10241, section 6; the order is PyTorch's
 * ScheduleZBVZeroBubble): split backwards on a V.  The step takes
 * m*(F+I+W) + (p-1)*F/2, the least behind a barrier at two chunks, and each
 * rank's own span has no bubble, where F = I = W and m >= 2p-1.  Every rank
 * keeps p activations.
 */
#include "../zbv-order.h"

struct target {
	struct pfw_plan *plan;
	uint32_t stage[2];
};

static void add(void *to, uint32_t type, int arm, uint32_t microbatch)
{
	const struct target *t = to;

	pfw_plan_add(t->plan, type, t->stage[arm], microbatch);
}

static int zbv_plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		    uint32_t rank, struct pfw_plan *plan, struct pfw_error *err)
{
	struct target to = {
		.plan = plan,
		.stage = { rank, 2 * shape->ranks - 1 - rank },
	};
	struct arms a = { .add = add, .to = &to, .m = shape->microbatches };

	(void)opt;
	(void)err;
	zbv_order(&a, shape->ranks, rank);
	return 0;
}

static int zbv_check(const struct pfw_shape *shape,
		     const struct pfw_values *opt, struct pfw_error *err)
{
	(void)opt;
	return vshape_check_chunks(shape, err);
}

static const struct pfw_schedule_ops zbv_ops = {
	.size = sizeof(zbv_ops),
	.flags = PFW_SCHEDULE_SPLITS,
	.check = zbv_check,
	.place = vshape_place,
	.plan = zbv_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "zbv",
	   .summary = "zero bubble on a V of two chunks, at 1F1B's memory",
	   .ops = &zbv_ops);
