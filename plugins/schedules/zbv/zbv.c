/*
 * ZBV (Qi et al. 2023, arXiv 2401.10241, section 6; the order is PyTorch's
 * ScheduleZBVZeroBubble): split backwards on a V.  The step takes
 * m*(F+I+W) + (p-1)*F/2, the least behind a barrier at two chunks, and each
 * rank's own span has no bubble, where F = I = W and m >= 2p-1.  Every rank
 * keeps p activations.
 */
#include "../vshape.h"

enum { DOWN, UP }; /* the arms: stage r, stage 2p-1-r */

struct arms {
	struct pfw_plan *plan;
	uint32_t m;
	uint32_t stage[2];
	uint32_t done[2][PFW_BACKWARD_WEIGHT + 1]; /* [arm][type] */
};

/* The arm's next; those past the last micro-batch are left out. */
static void next(struct arms *a, uint32_t type, int arm)
{
	uint32_t i = a->done[arm][type]++;

	if (i < a->m)
		pfw_plan_add(a->plan, type, a->stage[arm], i);
}

static void next_backward(struct arms *a, int arm)
{
	next(a, PFW_BACKWARD_INPUT, arm);
	next(a, PFW_BACKWARD_WEIGHT, arm);
}

static void warm_up(struct arms *a, uint32_t p, uint32_t rank)
{
	for (uint32_t i = 0; i < 2 * (p - rank) - 1; i++)
		next(a, PFW_FORWARD, DOWN);
	for (uint32_t i = 0; i < rank; i++) {
		next(a, PFW_FORWARD, UP);
		next(a, PFW_FORWARD, DOWN);
	}
	for (uint32_t i = 0; i < p - rank; i++) {
		next(a, PFW_FORWARD, UP);
		next_backward(a, UP);
	}
}

static void cool_down(struct arms *a, uint32_t p, uint32_t rank)
{
	for (uint32_t i = 0; i < rank; i++) {
		next(a, PFW_BACKWARD_INPUT, DOWN);
		next(a, PFW_BACKWARD_INPUT, UP);
	}
	for (uint32_t i = 0; i < p - rank; i++)
		next_backward(a, DOWN);
	for (int arm = UP; arm >= DOWN; arm--)
		while (a->done[arm][PFW_BACKWARD_WEIGHT] <
		       a->done[arm][PFW_BACKWARD_INPUT])
			next(a, PFW_BACKWARD_WEIGHT, arm);
}

static int zbv_plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		    uint32_t rank, struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t p = shape->ranks, m = shape->microbatches;
	uint32_t n = m < 2 * p - 1 ? 2 * p - 1 : m; /* the order's own least */
	struct arms a = {
		.plan = plan,
		.m = m,
		.stage = { rank, 2 * p - 1 - rank },
	};
	const uint32_t *down = a.done[DOWN], *up = a.done[UP];

	(void)opt;
	(void)err;
	warm_up(&a, p, rank);
	while (down[PFW_FORWARD] < n || up[PFW_FORWARD] < down[PFW_FORWARD]) {
		if (down[PFW_FORWARD] < n)
			next(&a, PFW_FORWARD, DOWN);
		next_backward(&a, DOWN);
		next(&a, PFW_FORWARD, UP);
		next_backward(&a, UP);
	}
	cool_down(&a, p, rank);
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
