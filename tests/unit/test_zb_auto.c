/* zb-auto against the fixed schedules, and against all orders there are. */
#include <stdlib.h>

#include "schedule/simulate.h"
#include "schedule_kit.h"

#define P 8
#define M 32

/* Costs and cap as a case of a test has them; times are in tenths of F. */
struct zb_case {
	const char *what;
	int64_t cost[3][2 * P];
	int64_t hop;
	uint32_t p, m, cap; /* cap: of stages */
	uint32_t v;         /* 0: 1 */
};

struct outcome {
	int64_t time; /* INT64_MAX: refused, or above the cap */
	uint32_t peak;
};

static struct pfw_schedule_plan *plan_of(const char *name,
					 const struct zb_case *c,
					 const struct pfw_costs *costs)
{
	struct pfw_shape shape = {
		.size = sizeof(shape),
		.ranks = c->p,
		.chunks = c->v ? c->v : 1,
		.microbatches = c->m,
		.memory_cap = c->cap,
		.costs = costs,
	};
	static struct pfw_registry *registry;
	struct pfw_schedule_plan *plan = NULL;
	const struct pfw_loaded *loaded;
	struct pfw_values *values;
	struct pfw_error err;

	if ((!registry && pfw_registry_open(NULL, &registry, &err)) ||
	    pfw_registry_get(registry, PFW_KIND_SCHEDULE, name, &loaded, &err) ||
	    pfw_values_from_texts(loaded->info.options, loaded->info.n_options,
				  name, NULL, 0, &values, &err))
		return NULL;
	if (pfw_schedule_plan_make(loaded, values, &shape, &plan, &err))
		printf("\n%s\n", err.text);
	pfw_values_free(values);
	return plan;
}

/* By the core's simulator, after the core's proof. */
static struct outcome outcome_of(const char *name, const struct zb_case *c)
{
	struct pfw_costs costs = {
		.size = sizeof(costs),
		.forward = c->cost[0],
		.input = c->cost[1],
		.weight = c->cost[2],
		.hop = c->hop,
	};
	struct pfw_compile how = { .costs = &costs };
	struct pfw_schedule_plan *plan = plan_of(name, c, &costs);
	struct outcome out = { .time = INT64_MAX };
	struct pfw_simulation *sim;
	struct pfw_program *prog;
	struct pfw_error err;

	how.plan = plan;
	if (!plan || pfw_program_compile(&how, &prog, &err)) {
		CU_FAIL("no program");
		pfw_schedule_plan_free(plan);
		return out;
	}
	CU_ASSERT_EQUAL_FATAL(pfw_simulate(&how, NULL, &sim, &err), 0);
	for (uint32_t r = 0; r < c->p; r++)
		if (sim->rank[r].peak > out.peak)
			out.peak = sim->rank[r].peak;
	if (!c->cap || out.peak <= c->cap)
		out.time = sim->step_time;
	pfw_simulation_free(sim);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
	return out;
}

static struct outcome best_fixed(const struct zb_case *c, const char **name)
{
	static const char *const names[] = { "1f1b", "zb-h1", "zb-h2", "gpipe" };
	struct outcome best = { .time = INT64_MAX };

	*name = "none fits";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct outcome o = outcome_of(names[i], c);

		if (o.time < best.time) {
			best = o;
			*name = names[i];
		}
	}
	return best;
}

static struct zb_case even(const char *what, int64_t f, int64_t i, int64_t w)
{
	struct zb_case c = { .what = what, .p = P, .m = M, .cap = P };

	for (int s = 0; s < 2 * P; s++) {
		c.cost[0][s] = f;
		c.cost[1][s] = i;
		c.cost[2][s] = w;
	}
	return c;
}

static void compare(const struct zb_case *c, int *better)
{
	const char *name;
	struct outcome own = outcome_of("zb-auto", c);
	struct outcome fixed = best_fixed(c, &name);

	CU_ASSERT_NOT_EQUAL(own.time, INT64_MAX);
	CU_ASSERT(own.time <= fixed.time);
	*better += own.time < fixed.time;
	printf("%-27s %3u  %7.1f  %5u  ", c->what, c->cap,
	       (double)own.time / 10, own.peak);
	if (fixed.time == INT64_MAX)
		puts("none fits");
	else
		printf("%7.1f %s\n", (double)fixed.time / 10, name);
}

/*
 * At 1.5 times 1F1B's memory it is better on five of the six.  At p, where the
 * best fixed one is, on the slow rank and the cap of 6, and no order is on the
 * others: the heavy head's is the last rank's own work after p-1 F; else rank 0
 * waits (p-1)*(I + 2 hops) for its first gradient, and after its last F has but
 * (p-1)*(I+W) to do in (p-1)*(F + I + 2 hops), which is ZB-H1.  Without a cap
 * ZB-H2 gets to m*(F+I+W) + (p-1)*F, which nothing beats, where I is short.
 */
static void cost_sets(void)
{
	struct zb_case sets[] = {
		even("I=1.2 W=0.8", 10, 12, 8),
		even("attention-heavy, I=2.5", 10, 25, 10),
		even("heavy head, 1.5 of a rank", 10, 10, 10),
		even("rank 3 slow by 1.3", 10, 10, 10),
		even("hop 0.2 F", 10, 10, 10),
		even("cap of 6: V-Half 5, 1F1B 8", 10, 10, 10),
	};
	static const uint32_t caps[] = { 3 * P / 2, P, 0 };
	int better[3] = { 0 };

	for (int k = 0; k < 3; k++) {
		sets[2].cost[k][P - 1] = 15;
		sets[3].cost[k][3] = 13;
	}
	sets[4].hop = 2;
	sets[5].cap = 6;
	printf("\np=%d m=%d, time in F       cap  zb-auto  keeps  best fixed\n", P,
	       M);
	compare(&sets[5], &better[0]);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 5; k++) {
			sets[k].cap = caps[i];
			compare(&sets[k], &better[i]);
		}
	CU_ASSERT(better[0] >= 5);
}

/* Every order of a rank: F before its I before its W, no more than the cap. */
struct orders {
	unsigned char list[512][12];
	uint32_t n, m, cap;
};

static void add_orders(struct orders *o, unsigned char *so_far, uint32_t f,
		       uint32_t i, uint32_t w)
{
	uint32_t at = f + i + w;

	if (w == o->m) {
		memcpy(o->list[o->n++], so_far, 12);
		return;
	}
	for (unsigned char type = 0; type < 3; type++) {
		if (type == 0 ? f == o->m || f - w == o->cap :
		    type == 1 ? i == f : w == i)
			continue;
		so_far[at] = type;
		add_orders(o, so_far, f + (type == 0), i + (type == 1),
			   w + (type == 2));
	}
}

/* When those orders are done; less than @p most, or -1. */
static int64_t time_of(const struct zb_case *c, unsigned char *const *list,
		       int64_t most)
{
	int64_t end[3][3][4], clock[3] = { 0 }, time = 0;
	uint32_t at[3] = { 0 }, done[3][3] = { { 0 } }, left = 3 * c->m * c->p;
	int moved;

	do {
		moved = 0;
		for (uint32_t r = 0; r < c->p; r++)
			while (at[r] < 3 * c->m) {
				int type = list[r][at[r]];
				uint32_t from = type == 0 ? r - 1 : r + 1;
				uint32_t i = done[r][type];

				if (type < 2 && from < c->p) {
					if (done[from][type] <= i)
						break;
					if (end[from][type][i] + c->hop > clock[r])
						clock[r] = end[from][type][i] +
							   c->hop;
				}
				clock[r] += c->cost[type][r];
				if (clock[r] >= most)
					return -1;
				end[r][type][i] = clock[r];
				done[r][type]++;
				at[r]++;
				left--;
				moved = 1;
			}
	} while (moved && left);
	for (uint32_t r = 0; r < c->p; r++)
		time = clock[r] > time ? clock[r] : time;
	return left ? -1 : time;
}

static int64_t least_of_all(const struct zb_case *c)
{
	static struct orders o;
	unsigned char so_far[12] = { 0 }, *list[3];
	int64_t best = INT64_MAX, time;
	uint64_t total = 1;

	o = (struct orders){ .m = c->m, .cap = c->cap ? c->cap : c->m };
	add_orders(&o, so_far, 0, 0, 0);
	for (uint32_t r = 0; r < c->p; r++)
		total *= o.n;
	for (uint64_t k = 0; k < total; k++) {
		uint64_t rest = k;

		for (uint32_t r = 0; r < c->p; r++, rest /= o.n)
			list[r] = o.list[rest % o.n];
		time = time_of(c, list, best);
		best = time >= 0 ? time : best;
	}
	return best;
}

static void optimal(void)
{
	const int rounds = getenv("PIPEFW_LONG") ? 40 : 3;
	uint32_t random = 1;

	for (uint32_t p = 1; p <= 3; p++)
		for (uint32_t m = 1; m <= (p < 3 || rounds > 3 ? 4 : 3); m++)
			for (int k = 0; k < (p * m == 12 ? 3 : rounds); k++) {
				struct zb_case c = { .p = p, .m = m };
				int64_t best;

				for (uint32_t i = 0; i < 3 * p; i++) {
					random = random * 1103515245 + 12345;
					c.cost[i % 3][i / 3] =
						1 + (random >> 16) % 5;
				}
				random = random * 1103515245 + 12345;
				c.hop = (random >> 16) % 3;
				c.cap = (random >> 18) % (m + 1);
				best = least_of_all(&c);
				if (outcome_of("zb-auto", &c).time == best)
					continue;
				printf("\np=%u m=%u case %d: %lld, not the "
				       "least, %lld\n", p, m, k,
				       (long long)outcome_of("zb-auto", &c).time,
				       (long long)best);
				CU_FAIL("not the fastest order");
			}
}

/* Never worse, whatever the shape; every cap has an order. */
static void shapes(void)
{
	for (uint32_t p = 1; p <= P; p++)
		for (uint32_t m = 1; m <= 12; m += 1 + m / 4)
			for (uint32_t cap = 0; cap <= p + 1; cap += 1 + cap / 2) {
				struct zb_case c = even("", 10, 14, 7);
				const char *name;

				c.p = p;
				c.m = m;
				c.cap = cap;
				c.hop = p % 3;
				CU_ASSERT(outcome_of("zb-auto", &c).time <=
					  best_fixed(&c, &name).time);
				CU_ASSERT_NOT_EQUAL(outcome_of("zb-auto",
							       &c).time,
						    INT64_MAX);
			}
}

/* Never worse than ZBV and interleaved-zb, in any shape, and better than ZBV where
 * it can be. */
static void two_chunks(void)
{
	static const int64_t costs[][3] = {
		{ 10, 10, 10 }, { 10, 12, 8 }, { 10, 25, 10 },
	};
	int better = 0, looped = 0;

	for (uint32_t p = 1; p <= P; p++)
		for (uint32_t m = 1; m <= 9; m += 1 + m / 3)
			for (uint32_t k = 0; k < 6; k++) {
				const int64_t *t = costs[k / 2];
				struct zb_case c = even("", t[0], t[1], t[2]);
				struct outcome own, zbv, loop;

				c.p = p;
				c.m = m;
				c.v = 2;
				c.cap = k % 2 ? 2 * p : 0;
				c.hop = p % 3;
				own = outcome_of("zb-auto", &c);
				zbv = outcome_of("zbv", &c);
				loop.time = INT64_MAX;
				if (m % (m < p ? 1 : m / p) == 0)
					loop = outcome_of("interleaved-zb", &c);
				CU_ASSERT_NOT_EQUAL(own.time, INT64_MAX);
				CU_ASSERT(own.time <= zbv.time);
				CU_ASSERT(own.time <= loop.time);
				better += own.time < zbv.time;
				looped += own.time == loop.time &&
					  own.time < zbv.time;
			}
	printf("\nbetter than zbv in %d shapes, round the loop in %d\n", better,
	       looped);
	CU_ASSERT(better > 40);
	CU_ASSERT(looped > 0);
}

/* Nor than DualPipeV, which the rules alone miss here by 0.05 F. */
static void dualpipev(void)
{
	struct zb_case c = even("", 10, 5, 3);
	struct outcome own, fixed;

	c.p = 6;
	c.m = 18;
	c.v = 2;
	c.cap = 14;
	c.hop = 10;
	own = outcome_of("zb-auto", &c);
	fixed = outcome_of("dualpipev", &c);
	CU_ASSERT_NOT_EQUAL(fixed.time, INT64_MAX);
	CU_ASSERT(own.time <= fixed.time);
}

/* Every cap from two stages on has an order. */
static void small_caps(void)
{
	for (uint32_t p = 1; p <= P; p++)
		for (uint32_t cap = 2; cap <= 2 * p; cap++) {
			struct zb_case c = even("", 10, 14, 7);

			c.p = p;
			c.m = 9;
			c.v = 2;
			c.cap = cap;
			CU_ASSERT_NOT_EQUAL(outcome_of("zb-auto", &c).time,
					    INT64_MAX);
		}
}

static const struct unit_test tests[] = {
	{ "six sets of costs", cost_sets },
	{ "optimal for small shapes", optimal },
	{ "never worse in any shape", shapes },
	{ "two chunks on a V", two_chunks },
	{ "two chunks and DualPipeV", dualpipev },
	{ "two chunks and little memory", small_caps },
};

UNIT_MAIN("zb-auto", tests)
