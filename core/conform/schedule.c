/* The suite of schedules, and what it asks beside the usual shapes. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/conform.h"
#include "conform/schedule_kit.h"
#include "schedule/csv.h"
#include "schedule/simulate.h"
#include "settings/config.h"

/* Asks plan() again, the last rank first, and compares. */
static void backwards(struct pfw_trial *t, const struct pfw_shape *shape,
		      const struct pfw_schedule_plan *plan)
{
	for (uint32_t r = plan->ranks; r-- > 0;) {
		const struct pfw_plan *want = &plan->lists[r];
		struct pfw_plan list = { 0 };

		if (t->plugin->ops.schedule.plan(shape, t->values, r, &list,
						 NULL) ||
		    list.n != want->n ||
		    (list.n && memcmp(list.items, want->items,
				      list.n * sizeof(*list.items))))
			pfw_trial_refuse(t, "p=%u v=%u m=%u: the list of rank "
					 "%u is another one when the ranks are "
					 "asked for from the last to the first",
					 shape->ranks, shape->chunks,
					 shape->microbatches, r);
		pfw_plan_clear(&list);
	}
}

/* Address of a page that a child of the check writes its hash into. */
static uint64_t hash_elsewhere(struct pfw_trial *t, const struct pfw_shape *shape)
{
	uint64_t *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0), hash;
	pid_t pid = page == MAP_FAILED ? -1 : fork();

	if (pid < 0)
		pfw_trial_skip(t, "no other process: %s", strerror(errno));
	if (pid == 0) {
		*page = pfw_schedule_plan_hash(pfw_kit_plan(t, shape));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	hash = *page;
	munmap(page, sizeof(*page));
	return hash;
}

static void pure_one(struct pfw_trial *t, const struct pfw_shape *shape)
{
	struct pfw_schedule_plan *one = pfw_kit_plan(t, shape);
	struct pfw_shape before = *shape;
	struct pfw_schedule_plan *two = pfw_kit_plan(t, shape);

	if (pfw_schedule_plan_hash(one) != pfw_schedule_plan_hash(two))
		pfw_trial_refuse(t, "p=%u v=%u m=%u: the second time the lists "
				 "are other ones", shape->ranks, shape->chunks,
				 shape->microbatches);
	backwards(t, shape, one);
	if (memcmp(&before, shape, sizeof(before)))
		pfw_trial_refuse(t, "p=%u v=%u m=%u: it writes into the shape",
				 before.ranks, before.chunks,
				 before.microbatches);
	pfw_schedule_plan_free(one);
	pfw_schedule_plan_free(two);
}

#define N_THREADS 4u

struct planner {
	struct pfw_trial *t;
	struct pfw_shape shape;
	uint64_t hash; /* 0: not taken, or refused */
};

static void *plan_in_thread(void *arg)
{
	struct planner *p = arg;
	struct pfw_schedule_plan *plan;

	p->hash = 0;
	if (pfw_kit_takes(p->t, &p->shape, NULL) ||
	    pfw_schedule_plan_make(p->t->plugin, p->t->values, &p->shape, &plan,
				   NULL))
		return NULL;
	p->hash = pfw_schedule_plan_hash(plan);
	pfw_schedule_plan_free(plan);
	return NULL;
}

/* Other shapes at the same time must not show. */
static void side_by_side(struct pfw_trial *t)
{
	struct planner alone[N_THREADS], together[N_THREADS];
	pthread_t thread[N_THREADS];

	pfw_trial_doing(t, "planning in %u threads", N_THREADS);
	for (uint32_t i = 0; i < N_THREADS; i++) {
		alone[i].t = t;
		alone[i].shape = pfw_kit_shape(4, 1 + i % 2, 8 + 4 * i);
		together[i] = alone[i];
		plan_in_thread(&alone[i]);
	}
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < N_THREADS; i++)
			if (pthread_create(&thread[i], NULL, plan_in_thread,
					   &together[i]))
				pfw_trial_skip(t, "no threads");
		for (uint32_t i = 0; i < N_THREADS; i++)
			pthread_join(thread[i], NULL);
		for (uint32_t i = 0; i < N_THREADS; i++)
			if (together[i].hash != alone[i].hash)
				pfw_trial_refuse(t, "p=4 v=%u m=%u: the lists "
					"are other ones when %u threads plan at "
					"once, which PFW_THREAD_PARALLEL allows",
					alone[i].shape.chunks,
					alone[i].shape.microbatches, N_THREADS);
	}
}

static void pure(struct pfw_trial *t)
{
	static const uint32_t shapes[][3] = {
		{ 2, 1, 4 }, { 4, 1, 8 }, { 4, 2, 8 }, { 8, 2, 16 },
	};
	uint64_t first[4];

	for (size_t i = 0; i < 4; i++) {
		struct pfw_shape s = pfw_kit_shape(shapes[i][0], shapes[i][1],
						   shapes[i][2]);

		first[i] = pfw_kit_takes(t, &s, NULL) ? 0 : hash_elsewhere(t, &s);
	}
	pfw_kit_each(t, "planning again", pure_one);
	for (size_t i = 0; i < 4; i++) {
		struct pfw_shape s = pfw_kit_shape(shapes[i][0], shapes[i][1],
						   shapes[i][2]);

		if (first[i] &&
		    first[i] != pfw_schedule_plan_hash(pfw_kit_plan(t, &s)))
			pfw_trial_refuse(t, "p=%u v=%u m=%u: in another process "
					 "the lists were other ones", s.ranks,
					 s.chunks, s.microbatches);
	}
	if (t->plugin->info.thread_model == PFW_THREAD_PARALLEL)
		side_by_side(t);
}

static const struct pfw_check check_pure = {
	"a pure function",
	"pipefw/schedule.h: no state, no allocation that somebody must free, the "
	"same list for the same arguments on every host",
	"keep nothing between calls: no static variable, no clock, no random "
	"number, no address in what is decided",
	60, pure,
};

/* A plan for what was asked, or a refusal. */
static void plan_or_refuse(struct pfw_trial *t, const struct pfw_shape *shape)
{
	struct pfw_compile how = { .order_any = 1 };
	struct pfw_schedule_plan *plan;
	struct pfw_error err = { 0 };
	struct pfw_program *prog;

	if (pfw_kit_takes(t, shape, NULL))
		return;
	how.plan = plan = pfw_kit_plan(t, shape);
	if (pfw_program_compile(&how, &prog, &err))
		pfw_trial_refuse(t, "p=%u v=%u m=%u%s, memory cap %llu: %s",
				 shape->ranks, shape->chunks,
				 shape->microbatches,
				 shape->costs ? " with costs" : "",
				 (unsigned long long)shape->memory_cap, err.text);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

#define COST_STAGES 16u

/* One set of costs with several shapes and caps. */
static void with_costs(struct pfw_trial *t, const char *what,
		       const struct pfw_costs *costs)
{
	static const uint32_t shapes[][3] = {
		{ 1, 1, 3 }, { 4, 1, 8 }, { 4, 2, 8 }, { 3, 4, 12 }, { 8, 2, 16 },
	};
	static const uint64_t caps[] = { 0, 1, 4, 9, UINT64_MAX };

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (size_t k = 0; k < sizeof(caps) / sizeof(caps[0]); k++) {
			struct pfw_shape s = pfw_kit_shape(shapes[i][0],
				shapes[i][1], shapes[i][2]);

			s.costs = costs;
			s.memory_cap = caps[k];
			pfw_trial_doing(t, "planning p=%u v=%u m=%u, memory cap "
					"%llu, %s", s.ranks, s.chunks,
					s.microbatches,
					(unsigned long long)caps[k], what);
			plan_or_refuse(t, &s);
		}
}

static void costs(struct pfw_trial *t)
{
	int64_t even[COST_STAGES], heavy[COST_STAGES], zero[COST_STAGES] = { 0 };
	int64_t vast[COST_STAGES];
	struct pfw_costs c = { .size = sizeof(c) };

	for (uint32_t i = 0; i < COST_STAGES; i++) {
		even[i] = 1000;
		heavy[i] = i == COST_STAGES - 1 ? 90000 : 1000 + i;
		vast[i] = (int64_t)1 << 40;
	}
	with_costs(t, "costs not known", NULL);
	with_costs(t, "costs all NULL", &c);
	c.forward = even;
	with_costs(t, "costs of F alone", &c);
	c.input = heavy;
	c.weight = even;
	c.hop = 200;
	with_costs(t, "a heavy head and a hop", &c);
	c.message = 500;
	c.forward = c.input = c.weight = zero;
	with_costs(t, "costs all 0", &c);
	c.forward = c.input = c.weight = vast;
	c.hop = vast[0];
	with_costs(t, "costs of 18 minutes", &c);
}

static const struct pfw_check check_costs = {
	"any costs, any cap",
	"pipefw/schedule.h, struct pfw_costs and pfw_shape: every array may be "
	"NULL, costs may be 0, a memory cap may be any number",
	"look at each array before it is read; refuse a cap that cannot be kept "
	"in check()",
	120, costs,
};

static void extreme(struct pfw_trial *t)
{
	static const uint32_t shapes[][3] = {
		{ 1, 1, 1 }, { 1, 1, 5000 }, { 1, 8, 3 }, { 2, 1, 1 },
		{ 64, 1, 1 }, { 64, 1, 63 }, { 61, 1, 130 }, { 17, 3, 2 },
		{ 16, 32, 16 }, { 300, 1, 300 }, { 32, 2, 64 },
	};
	static const uint32_t ends[] = { 1, 2, 1u << 16, 1u << 31, UINT32_MAX };

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct pfw_shape s = pfw_kit_shape(shapes[i][0], shapes[i][1],
						   shapes[i][2]);

		pfw_trial_doing(t, "planning p=%u v=%u m=%u", s.ranks, s.chunks,
				s.microbatches);
		plan_or_refuse(t, &s);
	}
	for (uint32_t i = 0; i < 5 * 5 * 5; i++) {
		struct pfw_shape s = pfw_kit_shape(ends[i / 25], ends[i / 5 % 5],
						   ends[i % 5]);
		struct pfw_error err = { 0 };

		pfw_trial_doing(t, "checking p=%u v=%u m=%u", s.ranks, s.chunks,
				s.microbatches);
		pfw_kit_takes(t, &s, &err);
	}
}

static const struct pfw_check check_extreme = {
	"extreme shapes",
	"pipefw/schedule.h, struct pfw_shape: p, v and m are >= 1 and have no upper "
	"bound",
	"count in 64 bits; refuse in check() what the algorithm cannot run",
	60, extreme,
};

/* What the tool does with a plan: every way of it must work. */
static void through_the_tool(struct pfw_trial *t, const struct pfw_shape *shape)
{
	struct pfw_schedule_plan *plan = pfw_kit_plan(t, shape), *back, *forward;
	const struct pfw_compile how = { .plan = plan, .order_any = 1 };
	struct pfw_simulation *sim;
	struct pfw_error err = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	int rc;

	if (!to)
		pfw_trial_skip(t, "no memory");
	rc = pfw_simulate(&how, NULL, &sim, &err);
	if (!rc)
		pfw_simulation_free(sim);
	if (!rc)
		rc = pfw_schedule_plan_forward(plan, shape->microbatches,
					       &forward, &err);
	if (!rc)
		pfw_schedule_plan_free(forward);
	if (!rc)
		rc = pfw_csv_write(plan, 1, to, &err);
	fclose(to);
	if (!rc)
		rc = pfw_csv_parse("csv", text, len, &back, &err);
	if (!rc && pfw_schedule_plan_hash(back) != pfw_schedule_plan_hash(plan))
		rc = pfw_error_set(&err, EPROTO, "as CSV and back it is another "
				   "schedule");
	if (rc)
		pfw_trial_refuse(t, "p=%u v=%u m=%u: %s", shape->ranks,
				 shape->chunks, shape->microbatches, err.text);
	pfw_schedule_plan_free(back);
	pfw_schedule_plan_free(plan);
	free(text);
}

static void tool(struct pfw_trial *t)
{
	pfw_kit_each(t, "simulating", through_the_tool);
}

static const struct pfw_check check_tool = {
	"simulated, written, read back",
	"pipefw(1), schedule: what can be planned can be simulated, written as CSV "
	"and read back, and gives a forward order for evaluation",
	"see what `pipefw schedule PLUGIN ... --format csv` writes",
	120, tool,
};

/* One option at one of its bounds. */
static void option_at(struct pfw_trial *t, const struct pfw_option *o, double x)
{
	const struct pfw_values *usual = t->values;
	const char *pairs[PFW_TRIAL_MAX_SETS + 1];
	struct pfw_values *values;
	char pair[128];

	snprintf(pair, sizeof(pair), "%.80s=%.15g", o->name, x);
	memcpy(pairs, t->sets, t->n_sets * sizeof(pairs[0]));
	pairs[t->n_sets] = pair;
	if (pfw_values_from_texts(t->plugin->info.options,
				  t->plugin->info.n_options, "", pairs,
				  t->n_sets + 1, &values, NULL))
		return;
	t->values = values;
	for (uint32_t p = 1; p <= 5; p += 2)
		for (uint32_t m = 1; m <= 13; m += 3) {
			struct pfw_shape s = pfw_kit_shape(p, 1 + m % 2, m);

			pfw_trial_doing(t, "planning p=%u v=%u m=%u with %s", p,
					s.chunks, m, pair);
			plan_or_refuse(t, &s);
		}
	t->values = usual;
	pfw_values_free(values);
}

static void options(struct pfw_trial *t)
{
	for (uint32_t i = 0; i < t->plugin->info.n_options; i++) {
		const struct pfw_option *o = &t->plugin->info.options[i];

		if (o->type != PFW_OPT_INT && o->type != PFW_OPT_FLOAT)
			continue;
		if (o->min == 0 && o->max == 0)
			continue;
		option_at(t, o, o->min);
		option_at(t, o, o->max);
	}
}

static const struct pfw_check check_options = {
	"options at their bounds",
	"pipefw/plugin.h, struct pfw_option: min and max are inclusive, so every "
	"value between them is a plan or a refusal by check()",
	"narrow the bounds, or refuse in check()",
	60, options,
};

static void describe(struct pfw_trial *t)
{
	const struct pfw_shape shape = pfw_kit_shape(4, 1, 8);
	char room[64];

	if (!t->plugin->ops.schedule.describe)
		pfw_trial_skip(t, "it has no describe()");
	if (pfw_kit_takes(t, &shape, NULL))
		pfw_trial_skip(t, "p=4 v=1 m=8 is not taken");
	for (size_t len = 1; len <= 32; len++) {
		memset(room, 'x', sizeof(room));
		pfw_trial_doing(t, "describing in %zu bytes", len);
		t->plugin->ops.schedule.describe(&shape, t->values, room, len);
		for (size_t i = len; i < sizeof(room); i++)
			if (room[i] != 'x')
				pfw_trial_refuse(t, "given %zu bytes it writes "
						 "byte %zu", len, i);
		/* Nothing at all is an answer too: the caller's NUL is there. */
		if (room[0] != 'x' && !memchr(room, '\0', len))
			pfw_trial_refuse(t, "given %zu bytes it writes no NUL",
					 len);
	}
}

static const struct pfw_check check_describe = {
	"describe() keeps its room",
	"pipefw/schedule.h, describe(): writes at most len bytes with the final NUL",
	"write by snprintf(buf, len, ...)",
	10, describe,
};

/* As large as runs on thousands of cards are; 262,144 cells. */
static void large(struct pfw_trial *t)
{
	static const uint32_t shapes[][3] = { { 64, 8, 512 }, { 64, 2, 512 },
					      { 64, 1, 512 } };
	uint32_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		struct pfw_shape s = pfw_kit_shape(shapes[i][0], shapes[i][1],
						   shapes[i][2]);

		if (pfw_kit_takes(t, &s, NULL))
			continue;
		pfw_trial_doing(t, "planning p=%u v=%u m=%u", s.ranks, s.chunks,
				s.microbatches);
		plan_or_refuse(t, &s);
		n++;
	}
	if (!n)
		pfw_trial_skip(t, "it takes none of p=64 v=8 m=512, v=2 and v=1");
}

static const struct pfw_check check_large = {
	"in time at p=64 m=512",
	"pipefw/schedule.h, plan(): lists; time grows with the length of the list, "
	"and a launcher waits for it",
	"make plan() linear in the actions it lists, or refuse in check() what "
	"takes too long",
	30, large,
};

static const struct pfw_check *const checks[] = {
	&pfw_check_takes,    &pfw_check_complete, &pfw_check_ascending,
	&pfw_check_refusals, &check_pure,	  &check_costs,
	&check_options,	     &check_extreme,	  &check_tool,
	&check_describe,     &check_large,
};

const struct pfw_suite pfw_suite_schedule = {
	PFW_KIND_SCHEDULE, checks, sizeof(checks) / sizeof(checks[0]), 2,
};
