/* Good plans, broken: each is refused by a sentence that says what and where. */
#include "schedule_kit.h"

#include <errno.h>
#include <stdlib.h>

static const struct kit_shape small = { "1f1b", 3, 1, 4, 0 };
static const struct kit_shape tiny = { "gpipe", 1, 1, 1, 0 };

/* Where the rank lists it. */
static size_t find(const struct pfw_plan *list, uint32_t type, uint32_t stage,
		   uint32_t microbatch)
{
	size_t i = 0;

	while (i < list->n && (list->items[i].type != type ||
			       list->items[i].stage != stage ||
			       list->items[i].microbatch != microbatch))
		i++;
	CU_ASSERT_FATAL(i < list->n);
	return i;
}

static void drop(struct pfw_plan *list, size_t at)
{
	memmove(list->items + at, list->items + at + 1,
		(--list->n - at) * sizeof(*list->items));
}

static void swap(struct pfw_plan *list, size_t a, size_t b)
{
	struct pfw_planned item = list->items[a];

	list->items[a] = list->items[b];
	list->items[b] = item;
}

/* Compiles, expects this refusal, frees the plan. */
static void refuse(struct pfw_schedule_plan *plan, int code, const char *words)
{
	struct pfw_compile how = { .plan = plan };
	struct pfw_program *prog = NULL;
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(pfw_program_compile(&how, &prog, &err), -code);
	CU_ASSERT_PTR_NULL(prog);
	if (!strstr(err.text, words))
		printf("\nsaid: %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

static void missing(void)
{
	struct pfw_schedule_plan *plan = kit_plan(&small, NULL);

	drop(&plan->lists[1], find(&plan->lists[1], PFW_BACKWARD, 1, 3));
	refuse(plan, EINVAL, "rank 1 never does 1B3");

	plan = kit_plan(&small, NULL);
	drop(&plan->lists[0], find(&plan->lists[0], PFW_FORWARD, 0, 2));
	refuse(plan, EINVAL, "rank 0 lists 0B2 (action 5) and never 0F2");

	plan = kit_plan(&tiny, NULL);
	plan->lists[0].items[1].type = PFW_BACKWARD_INPUT;
	refuse(plan, EINVAL, "rank 0 never does 0W0");
}

static void doubled(void)
{
	struct pfw_schedule_plan *plan = kit_plan(&small, NULL);

	pfw_plan_add(&plan->lists[2], PFW_FORWARD, 2, 1);
	refuse(plan, EINVAL, "rank 2 lists 2F1 twice, as actions 2 and 8");

	plan = kit_plan(&small, NULL);
	pfw_plan_add(&plan->lists[0], PFW_BACKWARD_INPUT, 0, 3);
	refuse(plan, EINVAL, "rank 0 lists 0B3 (action 7) and 0I3 (action 8)");

	plan = kit_plan(&small, NULL);
	pfw_plan_add(&plan->lists[0], PFW_BACKWARD_WEIGHT, 0, 3);
	refuse(plan, EINVAL, "rank 0 lists 0B3 (action 7) and 0W3 (action 8)");
}

static void out_of_order(void)
{
	struct pfw_schedule_plan *plan = kit_plan(&small, NULL);

	swap(&plan->lists[2], 0, 1);
	refuse(plan, EINVAL,
	       "rank 2 lists 2B0 (action 0) before 2F0 (action 1), which it "
	       "needs");

	plan = kit_plan(&small, NULL);
	swap(&plan->lists[0], 6, 7);
	refuse(plan, EINVAL, "rank 0, action 7: 0B2 comes after micro-batch 3");

	plan = kit_plan(&small, NULL);
	plan->lists[2].items[1].type = PFW_BACKWARD_WEIGHT;
	refuse(plan, EINVAL, "rank 2 lists 2W0 (action 1) and never 2I0");
}

static void unknown(void)
{
	struct pfw_schedule_plan *plan = kit_plan(&small, NULL);

	plan->lists[0].items[0].stage = 9;
	refuse(plan, EINVAL, "rank 0, action 0: 9F0 names stage 9; stages are 0 "
			     "to 2");
	plan = kit_plan(&small, NULL);
	plan->lists[0].items[0].stage = 1;
	refuse(plan, EINVAL, "rank 0, action 0: 1F0, but stage 1 is on rank 1");
	plan = kit_plan(&small, NULL);
	plan->lists[0].items[0].microbatch = 4;
	refuse(plan, EINVAL, "0F4 names micro-batch 4; with m=4 they are 0 to 3");
	plan = kit_plan(&small, NULL);
	plan->lists[0].items[0].type = 77;
	refuse(plan, EINVAL, "0?0 is of type 77");
}

/* Each rank's own order is right, and still nobody can go on. */

static void cycle(void)
{
	struct kit_shape k = { "gpipe", 2, 1, 2, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);

	/* 0: F0 B0 F1 B1 is fine alone; 1 wants F1 before it gives B0. */
	swap(&plan->lists[0], 1, 2);
	refuse(plan, EDEADLK,
	       "deadlock: rank 0 at 0B0 waits for 1B0 of rank 1; rank 1 at 1F1 "
	       "waits for 0F1 of rank 0");
}

/* B between the first I and the first W of a stage. */
static void mixed_backward(void)
{
	struct kit_shape k = { "gpipe", 1, 1, 2, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);

	plan->lists[0].items[2].type = PFW_BACKWARD_INPUT;
	pfw_plan_add(&plan->lists[0], PFW_BACKWARD_WEIGHT, 0, 0);
	refuse(plan, EINVAL, "0B1 comes between the first I of its stage");
}

static void any_order_when_asked(void)
{
	struct pfw_schedule_plan *plan = kit_plan(&small, NULL);
	struct pfw_compile how = { .plan = plan, .order_any = 1 };
	struct pfw_program *prog = NULL;

	/* PyTorch's GPipe goes back from the last one. */
	plan->lists[0].items[6].microbatch = 3;
	plan->lists[0].items[7].microbatch = 2;
	CU_ASSERT_EQUAL(pfw_program_compile(&how, &prog, NULL), 0);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

/* Every single action taken out or listed again, of a plan of many: refused. */
static void every_action_counts(void)
{
	struct kit_shape k = { "interleaved", 2, 2, 4, 0 };
	int accepted = 0;

	for (uint32_t r = 0; r < k.p; r++)
		for (size_t i = 0; i < 16; i++)
			for (int twice = 0; twice < 2; twice++) {
				struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
				struct pfw_plan *list = &plan->lists[r];
				struct pfw_planned item = list->items[i];
				struct pfw_program *prog;

				if (twice)
					pfw_plan_add(list, item.type, item.stage,
						     item.microbatch);
				else
					drop(list, i);
				prog = kit_compile(plan, 0, NULL);
				accepted += prog != NULL;
				pfw_program_free(prog);
				pfw_schedule_plan_free(plan);
			}
	CU_ASSERT_EQUAL(accepted, 0);
}

/* Marks of a program that the runtime lives by. */
static void marks(void)
{
	struct pfw_schedule_plan *plan = kit_plan(&small, NULL);
	struct pfw_program *prog = kit_compile(plan, 0, NULL);
	const struct pfw_op *ops;

	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	ops = prog->rank[1].ops;
	CU_ASSERT_EQUAL(ops[0].type, PFW_LOAD);
	CU_ASSERT_EQUAL(prog->rank[1].n, 12);
	CU_ASSERT_EQUAL(ops[9].type, PFW_TIE);
	CU_ASSERT_EQUAL(ops[10].type, PFW_NORM);
	CU_ASSERT_EQUAL(ops[11].type, PFW_OPT);
	CU_ASSERT_EQUAL(ops[11].output.channel, PFW_NONE);
	/* F0 F1 B0 F2 B1 F3 B2 B3 */
	CU_ASSERT_EQUAL(ops[1].flags, 0);
	CU_ASSERT_EQUAL(ops[3].type, PFW_BACKWARD);
	CU_ASSERT_EQUAL(ops[3].flags, PFW_FIRST_GRADIENT | PFW_RELEASE_INPUT |
				      PFW_RELEASE_GRAD | PFW_RELEASE_SAVED);
	CU_ASSERT_EQUAL(ops[5].flags, PFW_RELEASE_INPUT | PFW_RELEASE_GRAD |
				      PFW_RELEASE_SAVED);
	CU_ASSERT_EQUAL(prog->rank[1].n_saved[0], 2);
	CU_ASSERT_EQUAL(ops[4].saved, ops[3].saved);
	CU_ASSERT_EQUAL(ops[1].input.channel,
			pfw_program_channel(prog, 0, 1, PFW_CHANNEL_ACTIVATION));
	CU_ASSERT_EQUAL(ops[1].output.channel,
			pfw_program_channel(prog, 1, 2, PFW_CHANNEL_ACTIVATION));
	CU_ASSERT_EQUAL(ops[3].grad_output.channel,
			pfw_program_channel(prog, 2, 1, PFW_CHANNEL_GRADIENT));
	CU_ASSERT_EQUAL(ops[3].grad_input.channel,
			pfw_program_channel(prog, 1, 0, PFW_CHANNEL_GRADIENT));
	CU_ASSERT_EQUAL(pfw_program_channel(prog, 2, 0, 0), PFW_NONE);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

static void split_marks(void)
{
	struct kit_shape k = { "gpipe", 1, 1, 2, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
	struct pfw_program *prog;
	const struct pfw_op *ops;

	plan->lists[0].items[2].type = PFW_BACKWARD_INPUT;
	plan->lists[0].items[3].type = PFW_BACKWARD_INPUT;
	pfw_plan_add(&plan->lists[0], PFW_BACKWARD_WEIGHT, 0, 0);
	pfw_plan_add(&plan->lists[0], PFW_BACKWARD_WEIGHT, 0, 1);
	prog = kit_compile(plan, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	ops = prog->rank[0].ops;
	CU_ASSERT_EQUAL(prog->splits, 1);
	CU_ASSERT_EQUAL(ops[3].flags, PFW_FIRST_GRADIENT);
	CU_ASSERT_EQUAL(ops[4].flags, 0);
	CU_ASSERT_EQUAL(ops[5].flags, PFW_FIRST_GRADIENT | PFW_RELEASE_SAVED);
	CU_ASSERT_EQUAL(ops[6].flags, PFW_RELEASE_SAVED);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

static void forward_only(void)
{
	struct kit_shape k = { "interleaved", 3, 2, 3, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL), *eval = NULL;
	struct pfw_compile how = { .forward_only = 1 };
	struct pfw_program *prog = NULL;

	CU_ASSERT_EQUAL(pfw_schedule_plan_forward(plan, 5, &eval, NULL), 0);
	how.plan = eval;
	CU_ASSERT_EQUAL_FATAL(pfw_program_compile(&how, &prog, NULL), 0);
	for (uint32_t r = 0; r < 3; r++) {
		CU_ASSERT_EQUAL(prog->rank[r].n, 11);
		CU_ASSERT_EQUAL(prog->rank[r].peak_saved, 1);
	}
	CU_ASSERT(prog->rank[2].ops[1].flags & PFW_RELEASE_INPUT);
	for (uint32_t i = 0; i < prog->n_channels; i++)
		CU_ASSERT_EQUAL(prog->channels[i].kind, PFW_CHANNEL_ACTIVATION);
	pfw_program_free(prog);
	pfw_schedule_plan_free(eval);
	pfw_schedule_plan_free(plan);
}

static void hash_tells_apart(void)
{
	struct kit_shape k = { "interleaved", 4, 2, 8, 0 };
	struct pfw_schedule_plan *a = kit_plan(&k, NULL), *b = kit_plan(&k, NULL);
	struct pfw_program *x = kit_compile(a, 0, NULL), *y;

	y = kit_compile(b, 0, NULL);
	CU_ASSERT_EQUAL(x->hash, y->hash);
	pfw_program_free(y);
	/* Two forwards of one stage, next to each other on the last rank. */
	swap(&b->lists[3], 0, 1);
	y = kit_compile(b, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(y);
	CU_ASSERT_NOT_EQUAL(x->hash, y->hash);
	pfw_program_free(x);
	pfw_program_free(y);
	pfw_schedule_plan_free(a);
	pfw_schedule_plan_free(b);
}

static const struct unit_test tests[] = {
	{ "an action missing", missing },
	{ "an action doubled", doubled },
	{ "actions out of order", out_of_order },
	{ "what there is not", unknown },
	{ "a cycle across ranks", cycle },
	{ "B among I and W", mixed_backward },
	{ "any order, when asked for", any_order_when_asked },
	{ "every action counts", every_action_counts },
	{ "marks on actions", marks },
	{ "marks on split backwards", split_marks },
	{ "forward only", forward_only },
	{ "the hash tells programs apart", hash_tells_apart },
};

UNIT_MAIN("schedule verify", tests)
