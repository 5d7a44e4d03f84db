/*
 * DualPipeV (DeepSeek's DualPipe cut in half, dualpipev.py; also PyTorch's
 * ScheduleDualPipeV): on a V, forwards of one arm in pairs with backwards of
 * the other, which may overlap.  It pays where a pair hides communication
 * inside the stage; without that it takes as long as interleaved-zb at v=2, and
 * rank 0 keeps 2p+1 chunk activations.
 */
#include "../vshape.h"

enum { DOWN, UP }; /* the arms: stage r, stage 2p-1-r */

struct arms {
	struct pfw_plan *plan;
	uint32_t rank;
	uint32_t stage[2];
	/* Next micro-batch of each arm to go forward, back, to get its W. */
	uint32_t forward[2], backward[2], weight[2];
	uint32_t n_caught_up; /* W done of those kept back */
};

static void add_forward(struct arms *a, int arm)
{
	pfw_plan_add(a->plan, PFW_FORWARD, a->stage[arm], a->forward[arm]++);
}

static void add_backward(struct arms *a, int arm)
{
	a->weight[arm]++;
	pfw_plan_add(a->plan, PFW_BACKWARD, a->stage[arm], a->backward[arm]++);
}

static void add_input(struct arms *a, int arm)
{
	pfw_plan_add(a->plan, PFW_BACKWARD_INPUT, a->stage[arm],
		     a->backward[arm]++);
}

static void add_weight(struct arms *a, int arm)
{
	pfw_plan_add(a->plan, PFW_BACKWARD_WEIGHT, a->stage[arm],
		     a->weight[arm]++);
}

static void add_pair(struct arms *a, int forward, int backward)
{
	a->weight[backward]++;
	pfw_plan_add_pair(a->plan, PFW_FORWARD, a->stage[forward],
			  a->forward[forward]++, PFW_BACKWARD,
			  a->stage[backward], a->backward[backward]++);
}

/*
 * The oldest W kept back: the r+1 of turn_to_inputs() in turn, the last of them
 * on the way down, then those on the way down.
 */
static void add_oldest_weight(struct arms *a)
{
	uint32_t k = a->n_caught_up++;

	add_weight(a, k <= a->rank && (k + a->rank) % 2 ? UP : DOWN);
}

/* Both arms go back in turn; the last r+1 times only for the inputs. */
static void turn_to_inputs(struct arms *a)
{
	for (uint32_t k = 0; k < 2 * (a->rank + 1); k++) {
		int arm = k % 2 ? DOWN : UP;

		if (k < a->rank + 1)
			add_backward(a, arm);
		else
			add_input(a, arm);
	}
}

static int dualpipev_plan(const struct pfw_shape *shape,
			  const struct pfw_values *opt, uint32_t rank,
			  struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t p = shape->ranks, after = p - rank - 1;
	struct arms a = {
		.plan = plan,
		.rank = rank,
		.stage = { rank, 2 * p - 1 - rank },
	};

	(void)opt;
	(void)err;
	for (uint32_t i = 0; i < 2 * after; i++)
		add_forward(&a, DOWN);
	for (uint32_t i = 0; i <= rank; i++) {
		add_forward(&a, DOWN);
		add_forward(&a, UP);
	}
	for (uint32_t i = 0; i < after; i++) {
		add_input(&a, UP);
		add_weight(&a, UP);
		add_forward(&a, UP);
	}
	for (uint32_t i = 0; i < shape->microbatches - p - after; i++) {
		if (i == 0 && after == 0) {
			/* The last rank's first backward has nothing to hide. */
			add_forward(&a, DOWN);
			add_backward(&a, UP);
		} else {
			add_pair(&a, DOWN, UP);
		}
		add_pair(&a, UP, DOWN);
	}
	for (uint32_t i = 0; i < after; i++) {
		add_backward(&a, UP);
		add_pair(&a, UP, DOWN);
	}
	turn_to_inputs(&a);
	for (uint32_t i = 0; i < after; i++) {
		add_oldest_weight(&a);
		add_input(&a, DOWN);
	}
	for (uint32_t i = 0; i <= rank; i++)
		add_oldest_weight(&a);
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
