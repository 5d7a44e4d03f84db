/*
 * DualPipeV (DeepSeek's DualPipe cut in half, dualpipev.py; also PyTorch's
 * ScheduleDualPipeV): on a V, forwards of one arm in pairs with backwards of
 * the other, which may overlap.  It pays where a pair hides communication
 * inside the stage; without that it takes as long as interleaved-zb at v=2, and
 * rank 0 keeps 2p+1 chunk activations.
 */
#include "../dualpipev-order.h"

struct target {
	struct pfw_plan *plan;
	uint32_t stage[2];
};

static void add(void *to, uint32_t type, int arm, uint32_t microbatch)
{
	const struct target *t = to;

	pfw_plan_add(t->plan, type, t->stage[arm], microbatch);
}

static void add_pair(void *to, int forward, uint32_t forward_microbatch,
		     int backward, uint32_t backward_microbatch)
{
	const struct target *t = to;

	pfw_plan_add_pair(t->plan, PFW_FORWARD, t->stage[forward],
			  forward_microbatch, PFW_BACKWARD,
			  t->stage[backward], backward_microbatch);
}

static int dualpipev_plan(const struct pfw_shape *shape,
			  const struct pfw_values *opt, uint32_t rank,
			  struct pfw_plan *plan, struct pfw_error *err)
{
	struct target to = {
		.plan = plan,
		.stage = { rank, 2 * shape->ranks - 1 - rank },
	};
	struct dualpipev d = {
		.add = add,
		.add_pair = add_pair,
		.to = &to,
		.rank = rank,
	};

	(void)opt;
	(void)err;
	dualpipev_order(&d, shape->ranks, shape->microbatches);
	return 0;
}

static int dualpipev_check(const struct pfw_shape *shape,
			   const struct pfw_values *opt, struct pfw_error *err)
{
	(void)opt;
	if (shape->microbatches < 2 * shape->ranks)
		return pfw_error_set(err, EINVAL, "m=%u fills less than both "
				     "arms of the V: use m=%u or more, or zbv",
				     shape->microbatches, 2 * shape->ranks);
	return vshape_check_chunks(shape, err);
}

static const struct pfw_schedule_ops dualpipev_ops = {
	.size = sizeof(dualpipev_ops),
	.flags = PFW_SCHEDULE_SPLITS,
	.check = dualpipev_check,
	.place = vshape_place,
	.plan = dualpipev_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "dualpipev",
	   .summary = "two arms of a V in pairs that overlap (DeepSeek)",
	   .ops = &dualpipev_ops);
