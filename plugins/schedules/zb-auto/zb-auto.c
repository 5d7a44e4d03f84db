/*
 * zb-auto: an order of F, I and W made for given costs and a memory cap.  It is
 * never slower, by the simulator, than 1F1B, ZB-H1, ZB-H2 and GPipe where they
 * keep to the cap, since they are among the orders it chooses from; and the
 * fastest there is for at most 3 ranks and 4 micro-batches.  With a cap of one
 * micro-batch there is still an order, so that no cap is refused.  Two chunks a
 * rank are on a V or round a loop (vee.c), and never slower than ZBV, DualPipeV and
 * interleaved-zb.
 */
#include <errno.h>
#include <stdlib.h>

#include "zb-auto.h"
#include "../vshape.h"

/* What the core takes for costs that are not known, and a tenth for a hop. */
#define DEFAULT_NS 1000000

static int64_t cost_of(const struct pfw_costs *costs, int type, uint32_t stage)
{
	const int64_t *of[ZB_TYPES] = { NULL, NULL, NULL };

	if (costs) {
		of[ZB_F] = costs->forward;
		of[ZB_I] = costs->input;
		of[ZB_W] = costs->weight;
	}
	return of[type] ? of[type][stage] : DEFAULT_NS;
}

static int fill(struct zb_problem *of, const struct pfw_shape *shape,
		struct zb_best *best)
{
	size_t stages = (size_t)shape->ranks * shape->chunks;
	size_t n = 3 * stages * shape->microbatches;

	of->p = shape->ranks;
	of->m = shape->microbatches;
	of->cap = of->m * shape->chunks;
	if (shape->memory_cap && shape->memory_cap < of->cap)
		of->cap = (uint32_t)shape->memory_cap;
	of->hop = shape->costs ? shape->costs->hop : DEFAULT_NS / 10;
	of->message = shape->costs ? shape->costs->message : 0;
	of->cost[0] = malloc(ZB_TYPES * stages * sizeof(*of->cost[0]));
	best->order = malloc(n);
	best->trial = malloc(n);
	if (!of->cost[0] || !best->order || !best->trial)
		return -ENOMEM;
	for (int type = 0; type < ZB_TYPES; type++) {
		of->cost[type] = of->cost[0] + (size_t)type * stages;
		for (uint32_t s = 0; s < stages; s++)
			of->cost[type][s] = cost_of(shape->costs, type, s);
	}
	return 0;
}

static int search(const struct zb_problem *of, struct zb_best *best)
{
	struct zb_game game;
	int rc = zb_game_open(&game, of);

	if (rc)
		return rc;
	zb_offer_fixed(best, &game);
	rc = zb_offer_greedy(best, &game);
	if (!rc && of->p <= ZB_EXACT_P && of->m <= ZB_EXACT_M)
		rc = zb_offer_exact(best, &game);
	zb_game_close(&game);
	return rc;
}

static void list(const unsigned char *order, uint32_t rank, uint32_t m,
		 struct pfw_plan *plan)
{
	static const uint32_t types[ZB_TYPES] = {
		PFW_FORWARD, PFW_BACKWARD_INPUT, PFW_BACKWARD_WEIGHT,
	};
	uint32_t done[ZB_TYPES] = { 0 };

	order += (size_t)rank * 3 * m;
	for (uint32_t k = 0; k < 3 * m; k++)
		pfw_plan_add(plan, types[order[k]], rank, done[order[k]]++);
}

static int zb_auto_plan(const struct pfw_shape *shape,
			const struct pfw_values *opt, uint32_t rank,
			struct pfw_plan *plan, struct pfw_error *err)
{
	struct zb_problem of = { .p = 0 };
	struct zb_best best = { .time = ZB_NEVER };
	int rc = fill(&of, shape, &best);

	(void)opt;
	if (!rc && shape->chunks == 2)
		rc = zb_vee_plan(&of, rank, plan);
	else if (!rc && !(rc = search(&of, &best)))
		list(best.order, rank, of.m, plan);
	free(best.trial);
	free(best.order);
	free(of.cost[0]);
	return rc ? pfw_error_set(err, ENOMEM, "no memory to look for an order") :
		    0;
}

/* Each rank plans for all: beyond this that takes more than seconds. */
static int zb_auto_check(const struct pfw_shape *shape,
			 const struct pfw_values *opt, struct pfw_error *err)
{
	uint64_t p = shape->ranks, most = (1u << 22) / (p * p);

	(void)opt;
	if (shape->chunks > 2)
		return pfw_error_set(err, EINVAL, "v=%u: it plans one chunk per "
				     "rank, or two on a V, use v=2", shape->chunks);
	if (shape->chunks == 2 && shape->memory_cap == 1)
		return pfw_error_set(err, EINVAL, "v=2: a rank keeps a micro-batch "
				     "of each of its two chunks, and the memory "
				     "cap is one: use a cap of 2, or v=1");
	if (shape->microbatches <= most)
		return 0;
	return pfw_error_set(err, EINVAL, "p=%u m=%u is too large to plan: use "
			     "m=%llu, fewer ranks, or zb-h1", shape->ranks,
			     shape->microbatches,
			     (unsigned long long)(most ? most : 1));
}

/* Want of memory is plan()'s to tell. */
static int is_looped(const struct pfw_shape *shape)
{
	struct zb_problem of = { .p = 0 };
	struct zb_best best = { .time = ZB_NEVER };
	int rc = fill(&of, shape, &best);

	if (!rc)
		rc = zb_vee_loops(&of);
	free(best.trial);
	free(best.order);
	free(of.cost[0]);
	return rc == 1;
}

static uint32_t zb_auto_place(const struct pfw_shape *shape,
			      const struct pfw_values *opt, uint32_t stage)
{
	if (stage < shape->ranks)
		return stage;
	return is_looped(shape) ? stage - shape->ranks :
				  vshape_place(shape, opt, stage);
}

static const struct pfw_schedule_ops zb_auto_ops = {
	.size = sizeof(zb_auto_ops),
	.flags = PFW_SCHEDULE_SPLITS,
	.check = zb_auto_check,
	.place = zb_auto_place,
	.plan = zb_auto_plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "zb-auto",
	   .summary = "split backwards, planned for given costs and memory",
	   .ops = &zb_auto_ops);
