/*
 * Losses, weights and moments are those of one rank, to the bit, however the
 * model is spread: every schedule, p, v and m.  PIPEFW_LONG=1 runs all of them,
 * else a share in which each schedule, p, v and m is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/jobs.h"
#include "unit/unit.h"

#define MAX_P 4u
#define MAX_V 3u
#define MAX_M 9u
#define MAX_NAMED_M 64u
#define MAX_SCHEDULES 32u

static struct jobs *jobs;
static char *schedules[MAX_SCHEDULES];
static size_t n_schedules;
/* p=1 under gpipe, by m; made when first wanted. */
static struct job_outcome references[MAX_NAMED_M];
static unsigned n_run, n_refused;
static unsigned n_spread; /* of these with p > 1 */

static int is_long(void)
{
	const char *word = getenv("PIPEFW_LONG");

	return word && *word;
}

static void find_schedules(void)
{
	struct pfw_listed *list;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(
		pfw_registry_list(jobs_registry(jobs), &list, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		if (list[i].kind == PFW_KIND_SCHEDULE && list[i].loaded &&
		    n_schedules < MAX_SCHEDULES)
			schedules[n_schedules++] = strdup(list[i].name);
	pfw_listed_free(list, n);
	CU_ASSERT_FATAL(n_schedules >= 5);
}

static void complain(const struct job_case *c, const char *what,
		     const char *more)
{
	char text[200];

	job_case_text(c, text, sizeof(text));
	fprintf(stderr, "%s: %s: %s\n", text, what, more);
	CU_FAIL("see above");
}

static const struct job_outcome *reference(uint32_t m)
{
	struct job_case c = { .file = "plain.cfg", .schedule = "gpipe",
			      .p = 1, .v = 1, .m = m };
	struct pfw_error err = { 0 };

	CU_ASSERT_FATAL(m < MAX_NAMED_M);
	if (!references[m].steps && jobs_run(jobs, &c, &references[m], &err))
		complain(&c, "failed", err.text);
	CU_ASSERT_EQUAL(references[m].steps, JOBS_STEPS);
	CU_ASSERT_EQUAL(references[m].skipped, 0);
	return &references[m];
}

/* -EINVAL: refused, with the sentence in @p err. */
static int check(const struct job_case *c, struct pfw_error *err)
{
	struct job_outcome got;
	const char *differs;
	int rc = jobs_run(jobs, c, &got, err);

	if (rc && rc != -EINVAL)
		complain(c, "failed", err->text);
	if (!rc) {
		n_run++;
		n_spread += c->p > 1;
		differs = job_outcome_differs(&got, reference(c->m));
		if (differs)
			complain(c, "differs from p=1", differs);
		if (got.copied_bytes || (c->p > 1) != (got.bytes > 0))
			complain(c, "bytes were copied, or none came", "");
	}
	job_outcome_free(&got);
	return rc;
}

/* The number after @p name in @p text, and where to look on; 0: none. */
static uint32_t named(const char **text, const char *name)
{
	const char *at = strstr(*text, name);

	if (!at)
		return 0;
	*text = at + strlen(name);
	return (uint32_t)strtoul(*text, NULL, 10);
}

static void try_case(const struct job_case *c, unsigned advised);

/* A refusal names values that work: all of them are tried. */
static void take_advice(const struct job_case *refused,
			const struct pfw_error *why, unsigned advised)
{
	static const char *const names[] = { "v=", "m=", "group = " };
	const char *advice = strstr(why->text, "use ");
	unsigned tried = 0;

	for (size_t i = 0; advice && i < 3; i++) {
		const char *at = advice;
		uint32_t value;

		while ((value = named(&at, names[i]))) {
			struct job_case c = *refused;

			*(i == 0 ? &c.v : i == 1 ? &c.m : &c.group) = value;
			try_case(&c, advised + 1);
			tried++;
		}
	}
	if (!tried)
		complain(refused, "names no value that works", why->text);
}

/* Where v and m are both wrong, the second is named once the first is right. */
static void try_case(const struct job_case *c, unsigned advised)
{
	struct pfw_error err = { 0 };

	if (check(c, &err) != -EINVAL)
		return;
	n_refused++;
	if (advised > 1)
		complain(c, "is no better than what it was named for",
			 err.text);
	else
		take_advice(c, &err, advised);
}

static void test_all(const char *schedule)
{
	struct job_case c = { .file = "plain.cfg", .schedule = schedule };

	for (c.p = 1; c.p <= MAX_P; c.p++)
		for (c.v = 1; c.v <= MAX_V; c.v++)
			for (c.m = 1; c.m <= MAX_M; c.m++)
				try_case(&c, 0);
}

/* Neighbours in k differ in all of them; 9 in a row have every v and m. */
static struct job_case stratum(size_t schedule, uint32_t p, uint32_t k)
{
	return (struct job_case){ .file = "plain.cfg",
				  .schedule = schedules[schedule],
				  .p = p,
				  .v = 1 + k % MAX_V,
				  .m = 1 + k * 5 % MAX_M };
}

static void test_schedules(void)
{
	for (size_t s = 0; s < n_schedules; s++) {
		n_spread = 0;
		for (uint32_t p = 1; p <= MAX_P && !is_long(); p++) {
			struct job_case c =
				stratum(s, p, (uint32_t)s * MAX_P + p);

			try_case(&c, 0);
		}
		if (is_long())
			test_all(schedules[s]);
		fprintf(stderr, "(%s %u) ", schedules[s], n_spread);
		CU_ASSERT(n_spread >= MAX_P - 1);
	}
	fprintf(stderr, "(%u runs, %u shapes refused) ", n_run, n_refused);
	CU_ASSERT(n_run > 4 * n_schedules - 1);
}

/* Interleaved refuses some m, and names a group and two m. */
static void test_refusals(void)
{
	struct job_case c = { .file = "plain.cfg", .schedule = "interleaved",
			      .p = 4, .v = 3, .m = 9 };
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(check(&c, &err), -EINVAL);
	take_advice(&c, &err, 0);
	c = (struct job_case){ .file = "plain.cfg", .schedule = "1f1b", .p = 2,
			       .v = 2, .m = 4 };
	CU_ASSERT_EQUAL(check(&c, &err), -EINVAL);
	take_advice(&c, &err, 0);
}

/* A share of the shapes, varied in one way. */
static void test_varied(const struct job_case *how)
{
	for (size_t s = 0; s < n_schedules; s++) {
		struct job_case c = stratum(s, how->p, (uint32_t)s);

		c.file = how->file ? how->file : c.file;
		c.per_process = how->per_process;
		c.cores = how->cores;
		c.threads = how->threads;
		try_case(&c, 0);
	}
}

static void test_threads(void)
{
	test_varied(&(struct job_case){ .p = 1, .threads = 2 });
	test_varied(&(struct job_case){ .p = 2, .threads = 3 });
	test_varied(&(struct job_case){ .p = 2, .per_process = 2,
					.threads = 2 });
}

static void test_ranks_as_threads(void)
{
	test_varied(&(struct job_case){ .p = 4, .per_process = 2 });
	test_varied(&(struct job_case){ .p = 3, .per_process = 3 });
	test_varied(&(struct job_case){ .p = 3, .per_process = 2 });
}

static void test_one_core(void)
{
	test_varied(&(struct job_case){ .p = 4, .cores = 1 });
}

static void test_filters(void)
{
	test_varied(&(struct job_case){ .p = 3, .file = "filters.cfg" });
}

static void test_open(void)
{
	jobs = jobs_open();
	CU_ASSERT_PTR_NOT_NULL_FATAL(jobs);
	find_schedules();
}

static void test_close(void)
{
	for (uint32_t m = 0; m < MAX_NAMED_M; m++)
		job_outcome_free(&references[m]);
	while (n_schedules)
		free(schedules[--n_schedules]);
	jobs_close(jobs);
}

static const struct unit_test tests[] = {
	{ "set up", test_open },
	{ "every schedule, p, v, m", test_schedules },
	{ "a refusal names what works", test_refusals },
	{ "several threads a rank", test_threads },
	{ "ranks as threads", test_ranks_as_threads },
	{ "four ranks on one core", test_one_core },
	{ "over a filter", test_filters },
	{ "clean up", test_close },
};

int main(void)
{
	const char *valgrind = getenv("PIPEFW_VALGRIND");

	if (valgrind && *valgrind) {
		puts("skipped: valgrind takes blocks of glibc's dlopen() for "
		     "leaks in ranks that were forked after it");
		return 77;
	}
	return unit_run("matrix", tests, sizeof(tests) / sizeof(tests[0]));
}
