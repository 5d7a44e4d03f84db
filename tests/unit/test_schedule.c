/*
 * Every schedule over p = 1..8, m = 1..24, v = 1..4: accepted or refused as its
 * rule says, complete, live, its peak and its step time as the formulas of its
 * paper.
 */
#include "schedule_kit.h"

#include <stdlib.h>

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t peak_sequential(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return k->v;
}

static uint32_t peak_gpipe(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return k->m;
}

static uint32_t peak_1f1b(const struct kit_shape *k, uint32_t r)
{
	return min_u32(k->m, k->p - r);
}

static uint32_t peak_breadth_first(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return k->v * k->m;
}

static uint32_t peak_interleaved(const struct kit_shape *k, uint32_t r)
{
	return min_u32(k->v * k->m,
		       (k->v - 1) * (uint32_t)k->group + 2 * (k->p - r - 1) + 1);
}

static uint32_t peak_zb_h1(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return min_u32(k->m, k->p);
}

static uint32_t peak_zb_h2(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return min_u32(k->m, 2 * k->p - 1);
}

static uint32_t peak_interleaved_zb(const struct kit_shape *k, uint32_t r)
{
	uint32_t rounds = k->m < k->p ? 1 : k->m / k->p;

	(void)r;
	return min_u32(k->v * k->m, (k->v - 1) * (k->m / rounds) + k->p);
}

static uint32_t peak_zbv(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return k->m >= 2 * k->p - 1 ? 2 * k->p : 0;
}

static uint32_t peak_dualpipev(const struct kit_shape *k, uint32_t r)
{
	(void)r;
	return 2 * k->p + 1;
}

/* Step times in actions of a chunk, F = I = W = 1, no hop; 0: no formula. */
static int64_t time_sequential(const struct kit_shape *k)
{
	return 3ll * k->m * k->p * k->v;
}

static int64_t time_pipelined(const struct kit_shape *k)
{
	return 3ll * (k->m * k->v + k->p - 1);
}

static int64_t time_looped(const struct kit_shape *k)
{
	return k->m >= k->p ? time_pipelined(k) : 0;
}

static int64_t time_interleaved(const struct kit_shape *k)
{
	return k->m % (uint32_t)k->group ? 0 : time_looped(k);
}

/* (F + I - W) * (p - 1) / v beyond the ideal: a flush's lower bound. */
static int64_t time_bound(const struct kit_shape *k)
{
	return 3ll * k->m * k->v + k->p - 1;
}

static int64_t time_zb_h1(const struct kit_shape *k)
{
	return k->m >= k->p ? time_bound(k) : 0;
}

static int64_t time_zb_h2(const struct kit_shape *k)
{
	return k->m >= 2 * k->p - 1 ? time_bound(k) : 0;
}

static int any_m(const struct kit_shape *k)
{
	return k->m > 0;
}

/* PyTorch's rounds. */
static int even_rounds(const struct kit_shape *k)
{
	return k->m < k->p || k->m % (k->m / k->p) == 0;
}

static int both_arms(const struct kit_shape *k)
{
	return k->m >= 2 * k->p;
}

struct law {
	const char *name;
	uint32_t min_v, max_v;
	int (*takes)(const struct kit_shape *k);
	/* Most chunk activations of a rank; 0: no formula. */
	uint32_t (*peak)(const struct kit_shape *k, uint32_t rank);
	int64_t (*time)(const struct kit_shape *k);
};

static const struct law laws[] = {
	{ "sequential", 1, 4, any_m, peak_sequential, time_sequential },
	{ "gpipe", 1, 1, any_m, peak_gpipe, time_pipelined },
	{ "1f1b", 1, 1, any_m, peak_1f1b, time_pipelined },
	{ "breadth-first", 1, 4, any_m, peak_breadth_first, time_looped },
	{ "zb-h1", 1, 1, any_m, peak_zb_h1, time_zb_h1 },
	{ "zb-h2", 1, 1, any_m, peak_zb_h2, time_zb_h2 },
	{ "interleaved-zb", 1, 4, even_rounds, peak_interleaved_zb, time_zb_h1 },
	{ "zbv", 2, 2, any_m, peak_zbv, time_zb_h2 },
	{ "dualpipev", 2, 2, both_arms, peak_dualpipev, time_bound },
};

static const struct law interleaved = {
	"interleaved", 1, 4, any_m, peak_interleaved, time_interleaved,
};

/* Holds a program to its law; says which shape broke it. */
static int keeps_law(const struct law *law, const struct kit_shape *k)
{
	struct pfw_error err = { 0 };
	struct pfw_schedule_plan *plan = kit_plan(k, &err);
	struct pfw_program *prog = plan ? kit_compile(plan, 0, &err) : NULL;
	int64_t time = law->time(k);
	int ok = prog != NULL;

	if (ok && time)
		ok = prog->ideal_time == time;
	if (ok)
		ok = prog->planned_time == prog->ideal_time;
	for (uint32_t r = 0; ok && r < k->p; r++)
		ok = !law->peak(k, r) ||
		     prog->rank[r].peak_saved == law->peak(k, r);
	if (!ok)
		printf("\n%s p=%u v=%u m=%u group=%d: time %lld, law %lld; peak "
		       "of rank 0 %u, law %u; %s\n", law->name, k->p, k->v,
		       k->m, k->group, prog ? (long long)prog->ideal_time : -1ll,
		       (long long)time, prog ? prog->rank[0].peak_saved : 0,
		       law->peak(k, 0), err.text);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
	return ok;
}

/* Every m from 1 to 24: taken and right, or refused. */
static int broken_at(const struct law *law, uint32_t p, uint32_t v)
{
	int broken = 0;

	for (uint32_t m = 1; m <= 24; m++) {
		struct kit_shape k = { law->name, p, v, m, 0 };
		struct pfw_schedule_plan *plan;

		if (law->takes(&k)) {
			broken += !keeps_law(law, &k);
			continue;
		}
		plan = kit_plan(&k, NULL);
		broken += plan != NULL;
		pfw_schedule_plan_free(plan);
	}
	return broken;
}

static void laws_hold(void)
{
	int broken = 0;

	for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); i++)
		for (uint32_t p = 1; p <= 8; p++)
			for (uint32_t v = laws[i].min_v; v <= laws[i].max_v; v++)
				broken += broken_at(&laws[i], p, v);
	CU_ASSERT_EQUAL(broken, 0);
}

/* Megatron's rule for a group that is asked for. */
static int megatron_takes(uint32_t p, uint32_t m, uint32_t group)
{
	return group >= p && group <= m && (m % group == 0 || m % group >= p);
}

static void interleaved_groups(void)
{
	int broken = 0;

	for (uint32_t p = 1; p <= 8; p++)
		for (uint32_t v = 1; v <= 4; v++)
			for (uint32_t m = 1; m <= 24; m++)
				for (uint32_t n = 1; n <= m + 1; n++) {
					struct kit_shape k = {
						"interleaved", p, v, m, (int)n,
					};
					struct pfw_schedule_plan *plan;

					if (megatron_takes(p, m, n)) {
						broken += !keeps_law(&interleaved, &k);
						continue;
					}
					plan = kit_plan(&k, NULL);
					broken += plan != NULL;
					pfw_schedule_plan_free(plan);
				}
	CU_ASSERT_EQUAL(broken, 0);
}

/* Unset: p by Megatron's rule, else PyTorch's even rounds, else refused. */
static void interleaved_default(void)
{
	int broken = 0;

	for (uint32_t p = 1; p <= 8; p++)
		for (uint32_t v = 1; v <= 4; v++)
			for (uint32_t m = 1; m <= 24; m++) {
				struct kit_shape k = { "interleaved", p, v, m, 0 };
				uint32_t rounds = m < p ? 1 : m / p;
				struct pfw_error err = { 0 };
				struct pfw_schedule_plan *plan = kit_plan(&k, &err);
				struct pfw_program *prog;

				if (m % rounds && m % p) {
					broken += plan != NULL;
					continue;
				}
				prog = plan ? kit_compile(plan, 0, &err) : NULL;
				k.group = (int)(m % p ? m / rounds : p);
				for (uint32_t r = 0; prog && r < p; r++)
					broken += prog->rank[r].peak_saved !=
						  peak_interleaved(&k, r);
				broken += !prog;
				pfw_program_free(prog);
				pfw_schedule_plan_free(plan);
			}
	CU_ASSERT_EQUAL(broken, 0);
}

static void refused(const char *name, uint32_t p, uint32_t v, uint32_t m,
		    int group, const char *words)
{
	struct kit_shape k = { name, p, v, m, group };
	struct pfw_error err = { 0 };

	CU_ASSERT_PTR_NULL(kit_plan(&k, &err));
	if (!strstr(err.text, words))
		printf("\nsaid: %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
}

static void refusals_name_the_fix(void)
{
	refused("interleaved", 4, 2, 9, 0, "use group = 5, or m=8 or m=10");
	refused("interleaved", 4, 2, 9, 4, "last group of 1, which must have at "
		"least p=4: use group = 5, or m=8 or m=12");
	refused("interleaved", 4, 2, 3, 4, "leave group unset, or use m=4");
	refused("interleaved", 4, 2, 8, 2, "less than p=4: use group = 4");
	refused("interleaved", 4, 2, 8, 9, "use group = 8, or m=9");
	refused("interleaved-zb", 4, 2, 9, 0, "use m=8 or m=10");
	refused("zbv", 4, 1, 8, 0, "use v=2");
	refused("zbv", 4, 3, 8, 0, "use v=2");
	refused("dualpipev", 4, 2, 7, 0, "use m=8 or more, or zbv");
	refused("zb-h1", 4, 2, 8, 0, "one chunk per rank, use v=1");
	refused("gpipe", 4, 2, 8, 0, "one chunk per rank, use v=1");
	refused("1f1b", 4, 0, 8, 0, "at least one rank");
	refused("1f1b", 1u << 20, 1, 1u << 20, 0, "too large");
}

/* Figures of a simulator of its own: step times with a hop of 0.1 F. */
static void hop_figures(void)
{
	static const struct {
		struct kit_shape shape;
		int64_t time; /* thousandths of F */
	} figures[] = {
		{ { "gpipe", 8, 1, 32, 0 }, 118400 },
		{ { "1f1b", 8, 1, 32, 0 }, 123800 },
		{ { "interleaved", 8, 4, 32, 8 }, 107500 },
		{ { "interleaved", 8, 4, 32, 12 }, 105100 },
		{ { "interleaved", 8, 4, 32, 16 }, 102700 },
		{ { "interleaved", 8, 4, 32, 24 }, 105100 },
		{ { "interleaved", 8, 4, 32, 32 }, 102700 },
		{ { "breadth-first", 8, 4, 32, 0 }, 102700 },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		struct pfw_schedule_plan *plan = kit_plan(&figures[i].shape, NULL);
		struct pfw_compile how = { .plan = plan };
		struct pfw_program *prog = NULL;

		CU_ASSERT_EQUAL(pfw_program_compile(&how, &prog, NULL), 0);
		/* They are rounded to a tenth. */
		if (prog && llabs(prog->ideal_time / 1000 - figures[i].time) > 51)
			printf("\n%s N=%d: %lld\n", figures[i].shape.name,
			       figures[i].shape.group,
			       (long long)prog->ideal_time);
		CU_ASSERT(prog && llabs(prog->ideal_time / 1000 -
					figures[i].time) <= 51);
		pfw_program_free(prog);
		pfw_schedule_plan_free(plan);
	}
}

static const struct unit_test tests[] = {
	{ "laws: complete, live, peak and step time", laws_hold },
	{ "interleaved: Megatron's rule, all groups", interleaved_groups },
	{ "interleaved: the group it takes by itself", interleaved_default },
	{ "refusals name the smallest change", refusals_name_the_fix },
	{ "step times with a hop", hop_figures },
};

UNIT_MAIN("schedule", tests)
