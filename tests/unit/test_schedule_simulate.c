/*
 * The simulator against closed forms, and against a brute-force one that knows
 * nothing but the rules: it sweeps over all actions until nothing moves.
 */
#include "schedule_kit.h"

#include <stdlib.h>

#include "base/philox.h"
#include "schedule/simulate.h"

static struct pfw_simulation *simulate(const struct pfw_schedule_plan *plan,
				       const struct pfw_costs *costs,
				       const struct pfw_program *prog)
{
	struct pfw_compile how = { .plan = plan, .costs = costs };
	struct pfw_simulation *sim = NULL;

	CU_ASSERT_EQUAL_FATAL(pfw_simulate(&how, prog, &sim, NULL), 0);
	return sim;
}

#define NO_FORM (-1)

/* Of a step: exact, as integers, which is more than to 1e-9. */
struct form {
	int64_t idle; /* of each rank until the step ends */
	int64_t span; /* longest from a rank's first action to its last */
	int64_t peak; /* chunk activations of the rank that keeps most */
};

/* Times of one chunk's actions, the same for all. */
struct times {
	int64_t f, i, w;
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int is(const struct kit_shape *k, const char *name)
{
	return !strcmp(k->name, name);
}

/* The least m from which a schedule has a closed form. */
static uint32_t formal_from(const struct kit_shape *k)
{
	if (is(k, "sequential"))
		return 1;
	if (is(k, "zb-h2") || is(k, "zbv"))
		return 2 * k->p - 1;
	return is(k, "dualpipev") ? 2 * k->p : k->p;
}

static struct form form_of(const struct kit_shape *k, const struct times *t)
{
	int64_t p = k->p, v = k->v, m = k->m, each = t->f + t->i + t->w;
	int64_t work = v * m * each, split = (p - 1) * (t->f + t->i - t->w);
	int equal = t->f == t->i && t->i == t->w;

	if (is(k, "sequential"))
		return (struct form){ (p - 1) * work, p * work, v };
	if (is(k, "gpipe") || is(k, "breadth-first"))
		return (struct form){ (p - 1) * each, work + (p - 1) * each,
				      v * m };
	if (is(k, "1f1b"))
		return (struct form){ (p - 1) * each, work + (p - 1) * each, p };
	if (is(k, "interleaved") && m % p == 0)
		return (struct form){ (p - 1) * each, work + (p - 1) * each,
				      least(v * m, (v + 1) * p - 1) };
	if (is(k, "interleaved"))
		return (struct form){ (p - 1) * each, work + (p - 1) * each,
				      NO_FORM };
	if (is(k, "zb-h1") || (is(k, "interleaved-zb") && m % p == 0))
		return (struct form){ split, work + split, v * p };
	if (is(k, "dualpipev") && equal)
		return (struct form){ split, work + split, 2 * p + 1 };
	if (is(k, "zb-h2") && equal)
		return (struct form){ (p - 1) * t->f, work, 2 * p - 1 };
	if (is(k, "zbv") && equal)
		return (struct form){ (p - 1) * t->f, work, 2 * p };
	return (struct form){ NO_FORM, NO_FORM, NO_FORM };
}

static const struct {
	const char *name;
	uint32_t min_v, max_v;
} schedules[] = {
	{ "sequential", 1, 4 }, { "gpipe", 1, 1 }, { "1f1b", 1, 1 },
	{ "interleaved", 1, 4 }, { "breadth-first", 1, 4 }, { "zb-h1", 1, 1 },
	{ "zb-h2", 1, 1 }, { "interleaved-zb", 1, 4 }, { "zbv", 2, 2 },
	{ "dualpipev", 2, 2 }, { "zb-auto", 1, 1 },
};

#define N_SCHEDULES (sizeof(schedules) / sizeof(schedules[0]))

/* The same times for all stages. */
static struct pfw_costs uniform(const struct times *t,
				int64_t durations[3][KIT_MAX_STAGES])
{
	for (int s = 0; s < KIT_MAX_STAGES; s++) {
		durations[0][s] = t->f;
		durations[1][s] = t->i;
		durations[2][s] = t->w;
	}
	return (struct pfw_costs){
		.size = sizeof(struct pfw_costs),
		.forward = durations[0], .input = durations[1],
		.weight = durations[2],
	};
}

static int is_or_unknown(int64_t form, int64_t found)
{
	return form == NO_FORM || form == found;
}

static int keeps_form(const struct kit_shape *k, const struct times *t)
{
	int64_t durations[3][KIT_MAX_STAGES], phases = 0, peak = 0, idle;
	struct pfw_costs costs = uniform(t, durations);
	struct pfw_schedule_plan *plan = kit_plan(k, NULL);
	struct form form = form_of(k, t);
	struct pfw_simulation *sim;
	int ok;

	if (!plan)
		return 1; /* refused: other tests say whether rightly */
	sim = simulate(plan, &costs, NULL);
	idle = sim->step_time * k->p - sim->busy;
	for (uint32_t r = 0; r < k->p; r++) {
		phases += sim->rank[r].warm_up + sim->rank[r].steady +
			  sim->rank[r].cool_down;
		peak = sim->rank[r].peak > peak ? sim->rank[r].peak : peak;
	}
	ok = is_or_unknown(form.idle * (form.idle > 0 ? k->p : 1), idle) &&
	     is_or_unknown(form.span, sim->span) &&
	     is_or_unknown(form.peak, peak) && phases == idle &&
	     sim->busy == (t->f + t->i + t->w) * k->p * k->v * k->m;
	if (!ok)
		printf("\n%s p=%u v=%u m=%u F=%lld: idle %lld, phases %lld, "
		       "span %lld, peak %lld; forms %lld a rank, %lld, %lld\n",
		       k->name, k->p, k->v, k->m, (long long)t->f,
		       (long long)idle, (long long)phases, (long long)sim->span,
		       (long long)peak, (long long)form.idle,
		       (long long)form.span, (long long)form.peak);
	pfw_simulation_free(sim);
	pfw_schedule_plan_free(plan);
	return ok;
}

/* From where the form begins, and then every fifth, and 64. */
static uint32_t next_m(const struct kit_shape *k)
{
	if (k->m < formal_from(k) + 2)
		return k->m + 1;
	return k->m < 64 && k->m + 5 > 64 ? 64 : k->m + 5;
}

static void closed_forms(void)
{
	static const struct times times[] = { { 1, 1, 1 }, { 7, 9, 5 } };
	int broken = 0;

	for (size_t i = 0; i < N_SCHEDULES; i++)
		for (uint32_t p = 1; p <= 16; p++)
			for (uint32_t v = schedules[i].min_v;
			     v <= schedules[i].max_v; v++) {
				struct kit_shape k = {
					schedules[i].name, p, v, 1, 0,
				};

				for (k.m = formal_from(&k); k.m <= 64;
				     k.m = next_m(&k))
					for (int t = 0; t < 2; t++)
						broken += !keeps_form(
							&k, &times[t]);
			}
	CU_ASSERT_EQUAL(broken, 0);
}

/* Everything the brute-force one knows. */
struct brute {
	const struct pfw_program *prog;
	const struct pfw_costs *costs;
	int64_t *made[2];     /* [kind][stage * m]: end of the maker, or -1 */
	int64_t **released;   /* [channel][n-th release], or -1 */
	int changed;
};

static int64_t later(int64_t a, int64_t b)
{
	return a < 0 || b < 0 ? -1 : a > b ? a : b;
}

/* When the message is there; hops are between ranks only. */
static int64_t arrival(const struct brute *b, const struct pfw_transfer *t)
{
	const struct pfw_channel *c;
	const struct pfw_planned_message *message;
	int64_t made;

	if (t->channel == PFW_NONE)
		return 0;
	c = &b->prog->channels[t->channel];
	message = &c->messages[t->message];
	made = b->made[c->kind][message->stage * b->prog->microbatches +
				message->microbatch];
	return made < 0 ? -1 : made + (c->from == c->to ? 0 : b->costs->hop);
}

/* When the slot is free: by its number, not by counting releases. */
static int64_t slot_free(const struct brute *b, const struct pfw_transfer *t)
{
	const struct pfw_channel *c;
	uint32_t user = PFW_NONE;

	if (t->channel == PFW_NONE)
		return 0;
	c = &b->prog->channels[t->channel];
	for (uint32_t k = 0; k < t->message; k++)
		if (c->messages[k].slot == t->slot)
			user = k;
	return user == PFW_NONE ? 0 : b->released[t->channel][user];
}

static int64_t cost_of(const struct brute *b, const struct pfw_op *op)
{
	const struct pfw_costs *c = b->costs;

	switch (op->type) {
	case PFW_FORWARD:
		return c->forward[op->stage];
	case PFW_BACKWARD:
		return c->input[op->stage] + c->weight[op->stage];
	case PFW_BACKWARD_INPUT:
		return c->input[op->stage];
	case PFW_BACKWARD_WEIGHT:
		return c->weight[op->stage];
	}
	return 0;
}

static void sweep_op(struct brute *b, const struct pfw_op *op, int64_t *clock)
{
	uint32_t m = b->prog->microbatches;
	const struct pfw_transfer *out =
		op->type == PFW_FORWARD ? &op->output : &op->grad_input;
	int64_t start = *clock;

	if (op->type == PFW_FORWARD)
		start = later(start, arrival(b, &op->input));
	else if (op->type != PFW_BACKWARD_WEIGHT)
		start = later(start, arrival(b, &op->grad_output));
	if (op->type != PFW_BACKWARD_WEIGHT)
		start = later(start, slot_free(b, out));
	*clock = start < 0 ? -1 : start + cost_of(b, op);
	if (op->type != PFW_BACKWARD_WEIGHT) {
		int kind = op->type == PFW_FORWARD ? PFW_CHANNEL_ACTIVATION
						   : PFW_CHANNEL_GRADIENT;
		int64_t *made = &b->made[kind][op->stage * m + op->microbatch];

		b->changed |= *made != *clock;
		*made = *clock;
	}
	if (op->flags & PFW_RELEASE_INPUT)
		b->released[op->input.channel][op->input.message] = *clock;
	if (op->flags & PFW_RELEASE_GRAD)
		b->released[op->grad_output.channel][op->grad_output.message] =
			*clock;
}

/* Until when a rank works, and from when on. */
static int64_t sweep_rank(struct brute *b, uint32_t r, int64_t *begin)
{
	const struct pfw_op *ops = b->prog->rank[r].ops;
	size_t n = b->prog->rank[r].n - 3; /* TIE, NORM, OPT */
	int64_t clock = 0;

	*begin = 0;
	for (size_t i = 1; i < n; i++) {
		sweep_op(b, &ops[i], &clock);
		if (i == 1)
			*begin = clock < 0 ? -1 : clock - cost_of(b, &ops[i]);
	}
	return clock;
}

/* The step time, by sweeping until nothing changes any more. */
static int64_t brute_force(const struct pfw_program *prog,
			   const struct pfw_costs *costs, int64_t *span)
{
	size_t cells = (size_t)prog->stages * prog->microbatches;
	struct brute b = { .prog = prog, .costs = costs };
	int64_t time, begin, end;

	for (int kind = 0; kind < 2; kind++) {
		b.made[kind] = malloc(cells * sizeof(int64_t));
		memset(b.made[kind], 0xff, cells * sizeof(int64_t));
	}
	b.released = calloc(prog->n_channels + 1, sizeof(*b.released));
	for (uint32_t i = 0; i < prog->n_channels; i++) {
		size_t size = prog->channels[i].n_messages * sizeof(int64_t);

		b.released[i] = malloc(size);
		memset(b.released[i], 0xff, size);
	}
	do {
		b.changed = 0;
		time = *span = 0;
		for (uint32_t r = 0; r < prog->ranks; r++) {
			end = sweep_rank(&b, r, &begin);
			time = later(time, end);
			*span = later(*span, end - begin);
		}
	} while (b.changed);
	for (uint32_t i = 0; i < prog->n_channels; i++)
		free(b.released[i]);
	free(b.released);
	free(b.made[0]);
	free(b.made[1]);
	return time;
}

/* Times by chance, or with no seed all 1; slots of both kinds. */
static int agrees(const struct kit_shape *k, uint32_t slots, uint32_t seed)
{
	int64_t durations[3][KIT_MAX_STAGES];
	struct pfw_costs costs = {
		.size = sizeof(costs),
		.forward = durations[0], .input = durations[1],
		.weight = durations[2],
	};
	struct pfw_schedule_plan *plan = kit_plan(k, NULL);
	struct pfw_compile how = { .plan = plan, .costs = &costs, .slots = slots };
	struct pfw_program *prog = NULL;
	struct pfw_simulation *sim;
	int64_t brute, span;
	int ok;

	if (!plan)
		return 1;
	for (uint32_t s = 0; s < k->p * k->v && !seed; s++)
		durations[0][s] = durations[1][s] = durations[2][s] = 1;
	for (uint32_t s = 0; s < k->p * k->v && seed; s++) {
		uint32_t counter[4] = { s, 0, 0, 0 }, random[4];

		pfw_philox(counter, seed, random);
		for (int i = 0; i < 3; i++)
			durations[i][s] = random[i] % 20;
		costs.hop = random[3] % 8;
	}
	CU_ASSERT_EQUAL_FATAL(pfw_program_compile(&how, &prog, NULL), 0);
	sim = simulate(plan, &costs, prog);
	brute = brute_force(prog, &costs, &span);
	ok = sim->step_time == brute && prog->planned_time == brute &&
	     sim->span == span;
	if (!ok)
		printf("\n%s p=%u v=%u m=%u seed %u: %lld, by force %lld\n",
		       k->name, k->p, k->v, k->m, seed,
		       (long long)sim->step_time, (long long)brute);
	pfw_simulation_free(sim);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
	return ok;
}

static void by_force(void)
{
	int wrong = 0;
	uint32_t seed = 0;

	for (size_t i = 0; i < N_SCHEDULES; i++)
		for (uint32_t p = 1; p <= 4; p++)
			for (uint32_t m = 1; m <= 9; m += 2) {
				const struct kit_shape k = {
					schedules[i].name, p,
					schedules[i].max_v, m, 0,
				};

				wrong += !agrees(&k, PFW_SLOTS_IDEAL, ++seed);
				wrong += !agrees(&k, PFW_SLOTS_LIVE, ++seed);
			}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Fewer micro-batches than the closed forms want. */
static void below_the_forms(void)
{
	int wrong = 0;

	for (size_t i = 0; i < N_SCHEDULES; i++)
		for (uint32_t p = 2; p <= 16; p++)
			for (uint32_t v = schedules[i].min_v;
			     v <= schedules[i].max_v; v++) {
				struct kit_shape k = {
					schedules[i].name, p, v, 1, 0,
				};
				uint32_t form = formal_from(&k);

				for (; k.m < form; k.m += 1 + k.m / 3)
					wrong += !agrees(&k, PFW_SLOTS_IDEAL, 0);
				k.m = form - 1;
				wrong += k.m && !agrees(&k, PFW_SLOTS_IDEAL, 0);
			}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Messages of 4 on one channel: the k-th arrives at 1 + 4*(k+1), and back. */
static void bandwidth(void)
{
	struct kit_shape k = { "gpipe", 2, 1, 4, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
	struct pfw_costs costs = kit_costs(0);
	struct pfw_simulation *sim;

	costs.message = 4;
	sim = simulate(plan, &costs, NULL);
	CU_ASSERT_EQUAL(sim->actions[sim->rank[1].first].start, 5);
	CU_ASSERT_EQUAL(sim->actions[sim->rank[1].first + 3].start, 17);
	CU_ASSERT_EQUAL(sim->step_time, 20 + 4 * 4 + 2);
	pfw_simulation_free(sim);
	pfw_schedule_plan_free(plan);
}

/* A longest chain: each begins when what it waited for had arrived. */
static void critical_path(void)
{
	struct kit_shape k = { "interleaved", 4, 2, 8, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
	struct pfw_simulation *sim = simulate(plan, NULL, NULL);
	int64_t clock = 0, hops = 0, busy = 0;

	CU_ASSERT_FATAL(sim->n_critical > 0);
	for (uint32_t i = 0; i < sim->n_critical; i++) {
		const struct pfw_sim_action *a =
			&sim->actions[sim->critical[i]];

		CU_ASSERT(a->start >= clock);
		hops += a->start - clock;
		busy += a->end - a->start;
		clock = a->end;
	}
	CU_ASSERT_EQUAL(clock, sim->step_time);
	CU_ASSERT_EQUAL(busy + hops, sim->step_time);
	CU_ASSERT_EQUAL(hops % 100000, 0); /* whole hops, nothing else */
	pfw_simulation_free(sim);
	pfw_schedule_plan_free(plan);
}

/* Idle time is charged to a channel, or lies behind a rank's last action. */
static void waits_add_up(void)
{
	struct kit_shape k = { "1f1b", 4, 1, 8, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL);
	struct pfw_compile how = { .plan = plan, .slots = PFW_SLOTS_LIVE };
	struct pfw_program *prog = NULL;
	struct pfw_simulation *sim;
	int64_t waited = 0, behind = 0, slots = 0;

	CU_ASSERT_EQUAL_FATAL(pfw_program_compile(&how, &prog, NULL), 0);
	sim = simulate(plan, NULL, prog);
	for (uint32_t i = 0; i < sim->n_edges; i++) {
		waited += sim->edges[i].waited + sim->edges[i].slot_waited;
		slots += sim->edges[i].slot_waited;
	}
	for (uint32_t r = 0; r < sim->ranks; r++) {
		const struct pfw_sim_rank *rank = &sim->rank[r];

		behind += sim->step_time -
			  sim->actions[rank->first + rank->n - 1].end;
	}
	CU_ASSERT(slots > 0);
	CU_ASSERT_EQUAL(waited + behind,
			sim->step_time * sim->ranks - sim->busy);
	pfw_simulation_free(sim);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

/* No bubble in the spans of these, though there is one in the step. */
static void spans(void)
{
	static const struct kit_shape shapes[] = {
		{ "zb-h2", 4, 1, 8, 0 }, { "zbv", 4, 2, 8, 0 },
		{ "zb-h2", 8, 1, 32, 0 }, { "zbv", 8, 2, 32, 0 },
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct pfw_schedule_plan *plan = kit_plan(&shapes[i], NULL);
		struct pfw_costs costs = kit_costs(0);
		struct pfw_simulation *sim = simulate(plan, &costs, NULL);

		CU_ASSERT_DOUBLE_EQUAL(pfw_simulation_span_bubble(sim), 0, 1e-9);
		CU_ASSERT(pfw_simulation_bubble(sim) > 0.03);
		pfw_simulation_free(sim);
		pfw_schedule_plan_free(plan);
	}
}

static const struct unit_test tests[] = {
	{ "closed forms up to p=16, v=4, m=64", closed_forms },
	{ "a brute-force simulator agrees", by_force },
	{ "and below the closed forms", below_the_forms },
	{ "messages share a channel's bandwidth", bandwidth },
	{ "the critical path is a chain to the end", critical_path },
	{ "waits add up to what is idle", waits_add_up },
	{ "spans without a bubble", spans },
};

UNIT_MAIN("schedule simulate", tests)
