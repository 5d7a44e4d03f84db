/*
 * How fast a large plan is verified, lowered, simulated and compiled: half a
 * million actions, in processor time, best of a few.  Four times the micro-batches
 * may cost 9 times as much: caches end in between, and a square would be 16.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "schedule/compile.h"
#include "schedule/simulate.h"
#include "unit/schedule_kit.h"

#define ROUNDS 5
#define ROUNDS_MOST 25 /* where others take the memory's bandwidth */
#define MOST 9

enum { VERIFY, LOWER, SIMULATE, ALL_THREE, COMPILE, N_PHASES };
static const char *const phases[] = {
	"verified", "lowered", "simulated", "all three", "compiled with slots",
};

/* Of the processor, ms: others may use it meanwhile. */
static double spent(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void keep_least(double *best, double ms)
{
	if (!*best || ms < *best)
		*best = ms;
}

/* The pass alone, which gives every action its time. */
static int play(const struct pfw_schedule_plan *plan, double *best,
		struct pfw_error *err)
{
	struct pfw_costs costs = kit_costs(0);
	struct pfw_lowered low = { 0 };
	struct pfw_durations cost = { 0 };
	struct pfw_pass pass = { 0 };
	double start = spent();
	int rc = pfw_plan_verify(plan, 0, 0, err);

	keep_least(&best[VERIFY], spent() - start);
	if (!rc)
		rc = pfw_durations_make(plan, &costs, &cost, err);
	start = spent();
	if (!rc)
		rc = pfw_lower(plan, 0, &low, err);
	keep_least(&best[LOWER], spent() - start);
	start = spent();
	if (!rc)
		rc = pfw_pass_init(&pass, &low, &cost, NULL, err);
	if (!rc)
		rc = pfw_pass_run(&pass, NULL);
	keep_least(&best[SIMULATE], spent() - start);
	pfw_pass_clear(&pass);
	pfw_lowered_clear(&low);
	pfw_durations_clear(&cost);
	return rc;
}

static int round_of(const struct pfw_schedule_plan *plan, double *best,
		    struct pfw_error *err)
{
	struct pfw_costs costs = kit_costs(0);
	const struct pfw_compile how = { .plan = plan, .costs = &costs };
	struct pfw_simulation *sim;
	struct pfw_program *prog;
	double start;
	int rc = play(plan, best, err);

	start = spent();
	if (!rc)
		rc = pfw_simulate(&how, NULL, &sim, err);
	if (rc)
		return rc;
	keep_least(&best[ALL_THREE], spent() - start);
	pfw_simulation_free(sim);
	start = spent();
	rc = pfw_program_compile(&how, &prog, err);
	keep_least(&best[COMPILE], spent() - start);
	if (!rc)
		pfw_program_free(prog);
	return rc;
}

enum { SMALL, HALF, LARGE, N_SIZES };
static const uint32_t microbatches[] = { 256, 512, 1024 };

/* A millisecond is lost to anything. */
static int is_linear(const double best[][N_PHASES], int phase)
{
	return best[LARGE][phase] <= MOST * (best[SMALL][phase] + 1);
}

static int all_linear(const double best[][N_PHASES])
{
	for (int i = 0; i < N_PHASES; i++)
		if (!is_linear(best, i))
			return 0;
	return 1;
}

static void test_scale(void)
{
	struct pfw_schedule_plan *plans[N_SIZES];
	double best[N_SIZES][N_PHASES] = { 0 };
	struct pfw_error err = { 0 };
	int rc = 0;

	for (int s = 0; s < N_SIZES; s++) {
		const struct kit_shape k = { "interleaved", 64, 8,
					     microbatches[s], 0 };

		plans[s] = kit_plan(&k, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(plans[s]);
	}
	for (int n = 0; n < ROUNDS || (n < ROUNDS_MOST && !all_linear(best)); n++)
		for (int s = 0; s < N_SIZES && !rc; s++)
			rc = round_of(plans[s], best[s], &err);
	if (rc)
		puts(err.text);
	CU_ASSERT_FATAL(!rc);
	puts("\ninterleaved p=64 v=8 m=512, 524288 actions (m=256, m=1024):");
	for (int i = 0; i < N_PHASES; i++) {
		printf("%-20s %7.1f ms (%.1f, %.1f)\n", phases[i],
		       best[HALF][i], best[SMALL][i], best[LARGE][i]);
		CU_ASSERT(is_linear(best, i));
	}
	for (int s = 0; s < N_SIZES; s++)
		pfw_schedule_plan_free(plans[s]);
}

static const struct unit_test tests[] = {
	{ "half a million actions", test_scale },
};

UNIT_MAIN("scale", tests)
