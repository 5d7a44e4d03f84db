/*
 * Slots: the figures of the papers' schedules, every count one below the least
 * that lives refused with who waits for what, and the work linear.
 */
#include "schedule_kit.h"

#include <errno.h>
#include <stdlib.h>

#include "schedule/compile.h"

static struct pfw_program *compile(const struct kit_shape *k, uint32_t slots,
				   const uint32_t *given, struct pfw_error *err)
{
	struct pfw_schedule_plan *plan = kit_plan(k, err);
	struct pfw_compile how = { .plan = plan, .slots = slots, .given = given };
	struct pfw_program *prog = NULL;

	pfw_program_compile(&how, &prog, err);
	pfw_schedule_plan_free(plan);
	return prog;
}

/* Most slots of a kind, as counted live or ideal. */
static uint32_t most(const struct pfw_program *prog, uint32_t kind, int ideal)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];
		uint32_t slots = ideal ? c->least_ideal : c->least_live;

		if (c->kind == kind && slots > n)
			n = slots;
	}
	return n;
}

static void gradient_figures(void)
{
	static const struct {
		struct kit_shape shape;
		uint32_t live, ideal;
	} figures[] = {
		{ { "breadth-first", 8, 4, 32, 0 }, 5, 25 },
		{ { "interleaved", 8, 4, 32, 16 }, 3, 9 },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		struct pfw_program *prog = compile(&figures[i].shape,
						   PFW_SLOTS_IDEAL, NULL, NULL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
		CU_ASSERT_EQUAL(most(prog, PFW_CHANNEL_GRADIENT, 0),
				figures[i].live);
		CU_ASSERT_EQUAL(most(prog, PFW_CHANNEL_GRADIENT, 1),
				figures[i].ideal);
		CU_ASSERT_EQUAL(prog->planned_time, prog->ideal_time);
		pfw_program_free(prog);
	}
}

/* 1F1B with no slot beyond what the consumer keeps loses 21 %. */
static void one_more_restores_1f1b(void)
{
	struct kit_shape k = { "1f1b", 4, 1, 8, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
	struct pfw_costs costs = kit_costs(0);
	struct pfw_compile how = { .plan = plan, .costs = &costs };
	struct pfw_program *prog = NULL;
	uint32_t given[64];

	CU_ASSERT_EQUAL_FATAL(pfw_program_compile(&how, &prog, NULL), 0);
	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];

		CU_ASSERT_EQUAL(c->least_ideal, c->least_live + 1);
		given[i] = c->kind == PFW_CHANNEL_ACTIVATION ? c->least_live
							     : c->n_messages;
	}
	pfw_program_free(prog);
	how.slots = PFW_SLOTS_GIVEN;
	how.given = given;
	CU_ASSERT_EQUAL_FATAL(pfw_program_compile(&how, &prog, NULL), 0);
	CU_ASSERT_EQUAL(prog->ideal_time, 33);
	CU_ASSERT_EQUAL(prog->planned_time, 40);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

/* The pair of counts is least: one below, on either kind, deadlocks. */
static int one_below_deadlocks(const struct kit_shape *k, uint32_t kind)
{
	struct pfw_program *prog = compile(k, PFW_SLOTS_LIVE, NULL, NULL);
	struct pfw_error err = { 0 };
	uint32_t given[256], lowered = 0;
	int refused;

	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];

		given[i] = c->n_slots;
		if (c->kind != kind && kind == PFW_CHANNEL_ACTIVATION)
			given[i] = c->n_messages; /* the first search's */
		if (c->kind == kind && c->n_slots > 1) {
			given[i]--;
			lowered++;
		}
	}
	pfw_program_free(prog);
	if (!lowered)
		return 1; /* one slot each: nothing is below */
	prog = compile(k, PFW_SLOTS_GIVEN, given, &err);
	refused = !prog && err.code == EDEADLK && strstr(err.text, "rank ") &&
		  strstr(err.text, kind == PFW_CHANNEL_ACTIVATION ?
			 "activation slots to rank" : "gradient slots to rank");
	if (!refused)
		printf("\n%s p=%u v=%u m=%u N=%d: %s\n", k->name, k->p, k->v,
		       k->m, k->group, prog ? "accepted" : err.text);
	pfw_program_free(prog);
	return refused;
}

static void one_below_the_least(void)
{
	static const struct kit_shape shapes[] = {
		{ "gpipe", 4, 1, 8, 0 },
		{ "1f1b", 4, 1, 8, 0 },
		{ "interleaved", 4, 2, 8, 0 },
		{ "interleaved", 4, 3, 16, 8 },
		{ "breadth-first", 2, 2, 8, 0 },
		{ "breadth-first", 4, 3, 16, 0 },
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		CU_ASSERT(one_below_deadlocks(&shapes[i], PFW_CHANNEL_ACTIVATION));
		CU_ASSERT(one_below_deadlocks(&shapes[i], PFW_CHANNEL_GRADIENT));
	}
}

static void two_gradient_slots(void)
{
	struct kit_shape k = { "breadth-first", 2, 2, 8, 0 };
	struct pfw_program *prog = compile(&k, PFW_SLOTS_IDEAL, NULL, NULL);
	struct pfw_error err = { 0 };
	uint32_t given[8];

	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	for (uint32_t i = 0; i < prog->n_channels; i++)
		given[i] = prog->channels[i].kind == PFW_CHANNEL_GRADIENT ?
			2 : prog->channels[i].n_slots;
	pfw_program_free(prog);
	CU_ASSERT_PTR_NULL(compile(&k, PFW_SLOTS_GIVEN, given, &err));
	CU_ASSERT_STRING_EQUAL(err.text,
		"deadlock: rank 0 at 2B2 waits for one of 2 gradient slots to "
		"rank 1, which 1B0 frees; rank 1 at 3B4 waits for one of 2 "
		"gradient slots to rank 0, which 2B2 frees");
}

/* No two messages that are held at once share a slot. */
static void slots_are_apart(void)
{
	struct kit_shape k = { "interleaved", 3, 2, 6, 0 };
	struct pfw_program *prog = compile(&k, PFW_SLOTS_LIVE, NULL, NULL);
	unsigned char taken[32][64] = { { 0 } };
	int clash = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	for (uint32_t r = 0; r < prog->ranks; r++)
		for (size_t i = 0; i < prog->rank[r].n; i++) {
			const struct pfw_op *op = &prog->rank[r].ops[i];
			const struct pfw_transfer *in = &op->input;

			if (in->channel == PFW_NONE)
				continue;
			CU_ASSERT(in->slot < prog->channels[in->channel].n_slots);
			if (op->type == PFW_FORWARD)
				clash += taken[in->channel][in->slot]++;
			if (op->flags & PFW_RELEASE_INPUT)
				taken[in->channel][in->slot]--;
		}
	CU_ASSERT_EQUAL(clash, 0);
	pfw_program_free(prog);
}

static void transport_limits(void)
{
	struct kit_shape k = { "breadth-first", 2, 2, 8, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
	struct pfw_transport_props props = {
		.size = sizeof(props),
		.order = PFW_ORDER_CHANNEL,
		.receive = PFW_RECEIVE_EARLY,
		.max_slots = 15,
	};
	struct pfw_compile how = { .plan = plan, .props = &props };
	struct pfw_program *prog = NULL;
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(pfw_program_compile(&how, &prog, &err), -ENOBUFS);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "rank 0 to rank 1 needs 16"));
	props.max_slots = 16;
	CU_ASSERT_EQUAL(pfw_program_compile(&how, &prog, &err), 0);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

/* Queues wider than a channel, and receives in program order. */
static void transport_orders(void)
{
	static const struct {
		struct kit_shape shape;
		uint32_t order, receive;
		int64_t time; /* tenths of F; 0: deadlock */
	} table[] = {
		{ { "breadth-first", 8, 4, 32, 0 }, PFW_ORDER_RANK,
		  PFW_RECEIVE_EARLY, 3647 },
		{ { "breadth-first", 8, 4, 32, 0 }, PFW_ORDER_EDGE,
		  PFW_RECEIVE_EARLY, 1027 },
		{ { "breadth-first", 8, 4, 32, 0 }, PFW_ORDER_RANK,
		  PFW_RECEIVE_PLANNED, 0 },
		{ { "interleaved", 8, 4, 32, 8 }, PFW_ORDER_RANK,
		  PFW_RECEIVE_EARLY, 1926 },
		{ { "interleaved", 8, 4, 32, 8 }, PFW_ORDER_DIRECTION,
		  PFW_RECEIVE_EARLY, 1862 },
		{ { "1f1b", 4, 1, 8, 0 }, PFW_ORDER_RANK, PFW_RECEIVE_PLANNED, 0 },
		{ { "zbv", 8, 2, 32, 0 }, PFW_ORDER_EDGE, PFW_RECEIVE_PLANNED, 0 },
		{ { "zbv", 8, 2, 32, 0 }, PFW_ORDER_CHANNEL,
		  PFW_RECEIVE_PLANNED, 1028 },
		{ { "interleaved-zb", 2, 2, 8, 0 }, PFW_ORDER_EDGE,
		  PFW_RECEIVE_PLANNED, 0 },
		{ { "interleaved-zb", 2, 2, 8, 0 }, PFW_ORDER_EDGE,
		  PFW_RECEIVE_EARLY, 251 },
		{ { "interleaved", 4, 2, 8, 0 }, PFW_ORDER_DIRECTION,
		  PFW_RECEIVE_PLANNED, 0 },
		{ { "interleaved", 8, 4, 32, 16 }, PFW_ORDER_CHANNEL,
		  PFW_RECEIVE_PLANNED, 1027 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pfw_schedule_plan *plan = kit_plan(&table[i].shape, NULL);
		struct pfw_transport_props props = {
			.size = sizeof(props),
			.order = table[i].order,
			.receive = table[i].receive,
		};
		struct pfw_compile how = { .plan = plan, .props = &props };
		struct pfw_program *prog = NULL;
		int rc = pfw_program_compile(&how, &prog, NULL);

		if (!table[i].time)
			CU_ASSERT_EQUAL(rc, -EDEADLK);
		if (table[i].time)
			CU_ASSERT(prog && llabs(prog->ideal_time / 100000 -
						table[i].time) <= 1);
		pfw_program_free(prog);
		pfw_schedule_plan_free(plan);
	}
}

/* Actions tried by one pass, with limits tight enough to wait. */
static uint64_t work_of(const struct kit_shape *k)
{
	struct pfw_schedule_plan *plan = kit_plan(k, NULL);
	struct pfw_durations cost;
	struct pfw_lowered low;
	struct pfw_pass pass;
	uint32_t slots[256];
	uint64_t work;

	CU_ASSERT_EQUAL_FATAL(pfw_durations_make(plan, NULL, &cost, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_lower(plan, 0, &low, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_pass_init(&pass, &low, &cost, NULL, NULL), 0);
	for (uint32_t i = 0; i < low.n_lanes; i++)
		slots[i] = low.lanes[i].kind == PFW_CHANNEL_ACTIVATION ?
			low.lanes[i].n : k->m;
	CU_ASSERT_EQUAL(pfw_pass_run(&pass, slots), 0);
	work = pass.work;
	CU_ASSERT(work >= low.n_nodes);
	/* Every message and every release wakes one rank at most once. */
	CU_ASSERT(work <= low.n_nodes + 2ull * low.n_messages + k->p);
	pfw_pass_clear(&pass);
	pfw_lowered_clear(&low);
	pfw_durations_clear(&cost);
	pfw_schedule_plan_free(plan);
	return work;
}

static void work_is_linear(void)
{
	struct kit_shape k = { "breadth-first", 4, 2, 64, 0 };
	uint64_t before = work_of(&k);

	for (k.m = 128; k.m <= 4096; k.m *= 2) {
		uint64_t work = work_of(&k);

		CU_ASSERT(work <= before * 2 + before / 10);
		before = work;
	}
}

static const struct unit_test tests[] = {
	{ "gradient slots of the looped schedules", gradient_figures },
	{ "1F1B needs one more to lose nothing", one_more_restores_1f1b },
	{ "one below the least deadlocks", one_below_the_least },
	{ "two gradient slots, in words", two_gradient_slots },
	{ "what is held at once is apart", slots_are_apart },
	{ "a transport with few slots", transport_limits },
	{ "transports with wider queues", transport_orders },
	{ "work is linear", work_is_linear },
};

UNIT_MAIN("schedule slots", tests)
