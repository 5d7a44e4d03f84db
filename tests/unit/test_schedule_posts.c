/* Receives that the plan posts: in order, into free slots, late, and for free. */
#include "schedule_kit.h"

#include <stdlib.h>

#define MAX_MESSAGES 4096
#define MAX_CHANNELS 64
#define MAX_RANKS 8

/* A program played with its postings, in no clever order; -1: not yet. */
struct play {
	const struct pfw_program *prog;
	int64_t hop;
	int64_t made[MAX_CHANNELS][MAX_MESSAGES];
	int64_t arrived[MAX_CHANNELS][MAX_MESSAGES];
	int64_t posted[MAX_CHANNELS][MAX_MESSAGES];
	int64_t freed[MAX_CHANNELS][MAX_MESSAGES]; /* by slot */
	int64_t clock[MAX_RANKS];
	size_t next[MAX_RANKS];
	uint32_t next_post[MAX_RANKS];
	int busy_slots; /* posted into, while in use */
};

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static struct pfw_program *compile_planned(const struct kit_shape *k,
					   uint32_t order, int64_t hop)
{
	struct pfw_costs costs = kit_costs(hop);
	struct pfw_transport_props props = {
		.size = sizeof(props),
		.order = order,
		.receive = PFW_RECEIVE_PLANNED,
	};
	struct pfw_schedule_plan *plan = kit_plan(k, NULL);
	struct pfw_compile how = { .plan = plan, .props = &props,
				   .costs = &costs };
	struct pfw_program *prog = NULL;

	pfw_program_compile(&how, &prog, NULL);
	pfw_schedule_plan_free(plan);
	return prog;
}

static void post(struct play *p, uint32_t r)
{
	const struct pfw_rank_program *rank = &p->prog->rank[r];

	for (; p->next_post[r] < rank->n_posts; p->next_post[r]++) {
		const struct pfw_posting *m = &rank->posts[p->next_post[r]];
		const struct pfw_channel *c = &p->prog->channels[m->channel];

		if (m->at > p->next[r])
			return;
		p->busy_slots += p->freed[m->channel]
					 [c->messages[m->message].slot] < 0;
		p->freed[m->channel][c->messages[m->message].slot] = -1;
		p->posted[m->channel][m->message] = p->clock[r];
	}
}

/* Hands over what is made and posted, one after the other. */
static void deliver(struct play *p)
{
	for (uint32_t i = 0; i < p->prog->n_channels; i++) {
		const struct pfw_channel *c = &p->prog->channels[i];
		int64_t free_at = 0;

		for (uint32_t k = 0; k < c->n_messages; k++) {
			int64_t at = p->made[i][k];

			if (at < 0 || (c->from != c->to && p->posted[i][k] < 0))
				break;
			if (c->from != c->to)
				at = later(later(at, p->posted[i][k]), free_at) +
				     p->hop;
			p->arrived[i][k] = free_at = at;
		}
	}
}

static int ready(const struct play *p, const struct pfw_transfer *t,
		 int64_t *start)
{
	if (t->channel == PFW_NONE)
		return 1;
	*start = later(*start, p->arrived[t->channel][t->message]);
	return p->arrived[t->channel][t->message] >= 0;
}

static void finish(struct play *p, const struct pfw_op *op, int64_t end)
{
	if (op->output.channel != PFW_NONE && op->type == PFW_FORWARD)
		p->made[op->output.channel][op->output.message] = end;
	if (op->grad_input.channel != PFW_NONE)
		p->made[op->grad_input.channel][op->grad_input.message] = end;
	if (op->flags & PFW_RELEASE_INPUT && op->input.channel != PFW_NONE)
		p->freed[op->input.channel][op->input.slot] = end;
	if (op->flags & PFW_RELEASE_GRAD && op->grad_output.channel != PFW_NONE)
		p->freed[op->grad_output.channel][op->grad_output.slot] = end;
}

static int step(struct play *p, uint32_t r)
{
	const struct pfw_rank_program *rank = &p->prog->rank[r];
	const struct pfw_op *op = &rank->ops[p->next[r]];
	int64_t start = p->clock[r];

	if (p->next[r] == rank->n)
		return 0;
	post(p, r);
	deliver(p);
	if (op->type == PFW_FORWARD ? !ready(p, &op->input, &start) :
	    op->type == PFW_BACKWARD || op->type == PFW_BACKWARD_INPUT ?
				      !ready(p, &op->grad_output, &start) : 0)
		return 0;
	if (op->microbatch != PFW_NONE)
		p->clock[r] = start + 1 + (op->type == PFW_BACKWARD);
	finish(p, op, p->clock[r]);
	p->next[r]++;
	return 1;
}

/* The time of a step, with slots without limit at the sender; -1: it hangs. */
static int64_t play(struct play *p, const struct pfw_program *prog, int64_t hop)
{
	int64_t time = 0;
	int moved = 1;

	memset(p, 0xff, sizeof(*p));
	p->prog = prog;
	p->hop = hop;
	p->busy_slots = 0;
	memset(p->freed, 0, sizeof(p->freed));
	memset(p->clock, 0, sizeof(p->clock));
	memset(p->next, 0, sizeof(p->next));
	memset(p->next_post, 0, sizeof(p->next_post));
	while (moved) {
		moved = 0;
		for (uint32_t r = 0; r < prog->ranks; r++)
			while (step(p, r))
				moved = 1;
	}
	for (uint32_t r = 0; r < prog->ranks; r++) {
		if (p->next[r] < prog->rank[r].n)
			return -1;
		time = later(time, p->clock[r]);
	}
	return time;
}

static uint32_t crossing(const struct pfw_program *prog)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < prog->n_channels; i++)
		if (prog->channels[i].from != prog->channels[i].to)
			n += prog->channels[i].n_messages;
	return n;
}

static void late_and_free(void)
{
	static const struct kit_shape shapes[] = {
		{ "gpipe", 4, 1, 8, 0 },	 { "1f1b", 4, 1, 8, 0 },
		{ "1f1b", 2, 1, 3, 0 },		 { "zb-h1", 4, 1, 8, 0 },
		{ "interleaved", 4, 2, 8, 4 },	 { "zbv", 4, 2, 8, 0 },
		{ "breadth-first", 4, 2, 8, 0 },
	};
	struct play *p = malloc(sizeof(*p));

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (int64_t hop = 0; hop < 4; hop++) {
			struct pfw_program *prog = compile_planned(
				&shapes[i], PFW_ORDER_CHANNEL, hop);
			uint32_t n = 0;

			CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
			CU_ASSERT_EQUAL(play(p, prog, hop), prog->planned_time);
			CU_ASSERT_EQUAL(p->busy_slots, 0);
			for (uint32_t r = 0; r < prog->ranks; r++)
				n += prog->rank[r].n_posts;
			CU_ASSERT_EQUAL(n, crossing(prog));
			pfw_program_free(prog);
		}
	}
	free(p);
}

/* Rank 1 of 1F1B computes F0 B0 F1 B1 ...; rank 0 makes F0 and F1 at once. */
static void by_hand(void)
{
	static const struct kit_shape shape = { "1f1b", 2, 1, 3, 0 };
	/* F0 arrives from 1 to 2: before F0 itself.  F1, from 2 to 3, while F0
	 * runs: before it too.  F2 is made at 9, when rank 1 has nothing left to do
	 * but to wait for it. */
	static const uint32_t at[] = { 1, 1, 5 };
	struct pfw_program *prog = compile_planned(&shape, PFW_ORDER_CHANNEL, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	CU_ASSERT_EQUAL_FATAL(prog->rank[1].n_posts, 3);
	for (uint32_t k = 0; k < 3; k++) {
		CU_ASSERT_EQUAL(prog->rank[1].posts[k].at, at[k]);
		CU_ASSERT_EQUAL(prog->rank[1].posts[k].message, k);
	}
	pfw_program_free(prog);
}

/* Early receives are the transport's; and a post is part of the hash. */
static void only_where_planned(void)
{
	static const struct kit_shape shape = { "1f1b", 4, 1, 8, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&shape, NULL);
	struct pfw_program *early = kit_compile(plan, 1, NULL);
	struct pfw_program *planned =
		compile_planned(&shape, PFW_ORDER_CHANNEL, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(early);
	CU_ASSERT_PTR_NOT_NULL_FATAL(planned);
	for (uint32_t r = 0; r < 4; r++)
		CU_ASSERT_EQUAL(early->rank[r].n_posts, 0);
	CU_ASSERT_NOT_EQUAL(early->hash, planned->hash);
	pfw_program_free(planned);
	pfw_program_free(early);
	pfw_schedule_plan_free(plan);
}

/* One queue for both kinds of an edge: the postings follow it. */
static void in_the_order_of_an_edge(void)
{
	static const struct kit_shape shape = { "breadth-first", 2, 2, 8, 0 };
	struct pfw_program *prog = compile_planned(&shape, PFW_ORDER_EDGE, 1);
	struct play *p = malloc(sizeof(*p));

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(prog);
	CU_ASSERT(play(p, prog, 1) > 0);
	CU_ASSERT_EQUAL(p->busy_slots, 0);
	pfw_program_free(prog);
	free(p);
}

static const struct unit_test tests[] = {
	{ "as late as costs no time, into free slots", late_and_free },
	{ "1F1B by hand", by_hand },
	{ "only where receives are planned", only_where_planned },
	{ "in the order of an edge's queue", in_the_order_of_an_edge },
};

UNIT_MAIN("schedule posts", tests)
