/* Which processors ranks get, on machines that are made up. */
#include "launch/binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MOST 4096u

/* packages * nodes * caches * cores * siblings. */
struct machine {
	uint32_t packages, nodes, caches, cores, siblings;
};

static struct pfw_topology make(const struct machine *m)
{
	uint32_t n = m->packages * m->nodes * m->caches * m->cores * m->siblings;
	struct pfw_topology t = { .n_cpus = n, .n_cores = n / m->siblings,
				  .usable = n };

	t.cpus = calloc(n, sizeof(*t.cpus));
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cpus);
	for (uint32_t i = 0; i < n; i++) {
		struct pfw_cpu *cpu = &t.cpus[i];

		/* The second ones of cores are numbered after all first ones. */
		cpu->sibling = i % m->siblings;
		cpu->number = cpu->sibling * t.n_cores + i / m->siblings;
		cpu->near[PFW_NEAR_CACHE] = i / m->siblings / m->cores;
		cpu->near[PFW_NEAR_NODE] = cpu->near[PFW_NEAR_CACHE] / m->caches;
		cpu->near[PFW_NEAR_PACKAGE] = cpu->near[PFW_NEAR_NODE] / m->nodes;
	}
	return t;
}

/* "0-1 2-3": of each rank; "" where they are not pinned. */
static void bound(const struct pfw_binding *b, const uint32_t *numbers,
		  char *buf, size_t len)
{
	*buf = 0;
	for (uint32_t r = 0; b->pinned && r < b->ranks; r++) {
		size_t used = strlen(buf);

		if (used)
			buf[used++] = ' ';
		pfw_binding_text(b, numbers, r, buf + used, len - used);
	}
}

static void expect(const struct machine *m, struct pfw_binding_wish wish,
		   uint32_t threads, const char *cpus, const char *nodes)
{
	struct pfw_topology t = make(m);
	struct pfw_binding b;
	char got[512];

	CU_ASSERT_EQUAL_FATAL(pfw_binding_make(&t, &wish, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.threads, threads);
	bound(&b, b.cpu, got, sizeof(got));
	if (strcmp(got, cpus))
		printf("\n    got \"%s\", not \"%s\"", got, cpus);
	CU_ASSERT_STRING_EQUAL(got, cpus);
	bound(&b, b.node, got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, nodes);
	pfw_binding_close(&b);
	pfw_topology_free(&t);
}

static void test_cores(void)
{
	const struct machine four = { 1, 1, 1, 4, 1 };

	expect(&four, (struct pfw_binding_wish){ 2, 1, 0 }, 1, "0 1", "0 0");
	expect(&four, (struct pfw_binding_wish){ 1, 0, 0 }, 4, "0-3", "0");
	expect(&four, (struct pfw_binding_wish){ 2, 0, 0 }, 2, "0-1 2-3",
	       "0 0");
	expect(&four, (struct pfw_binding_wish){ 3, 0, 0 }, 1, "0 1 2",
	       "0 0 0");
	expect(&four, (struct pfw_binding_wish){ 4, 1, 0 }, 1, "0 1 2 3",
	       "0 0 0 0");
}

static void test_too_few(void)
{
	const struct machine two = { 1, 1, 1, 2, 1 };

	expect(&two, (struct pfw_binding_wish){ 3, 0, 0 }, 1, "", "");
	expect(&two, (struct pfw_binding_wish){ 1, 3, 0 }, 3, "", "");
	expect(&two, (struct pfw_binding_wish){ 4, 0, 1 }, 1, "0 0 1 1",
	       "0 0 0 0");
	expect(&two, (struct pfw_binding_wish){ 1, 0, 1 }, 1, "0", "0");
}

static void test_siblings(void)
{
	const struct machine smt = { 1, 1, 1, 4, 2 };

	expect(&smt, (struct pfw_binding_wish){ 2, 0, 0 }, 2, "0-1 2-3", "0 0");
	expect(&smt, (struct pfw_binding_wish){ 4, 1, 0 }, 1, "0 1 2 3",
	       "0 0 0 0");
	expect(&smt, (struct pfw_binding_wish){ 5, 1, 0 }, 1, "0 1 2 3 4",
	       "0 0 0 0 0");
	expect(&smt, (struct pfw_binding_wish){ 1, 8, 0 }, 8, "0-7", "0");
}

static void test_near(void)
{
	const struct machine odd = { 2, 1, 1, 3, 1 };
	const struct machine caches = { 2, 2, 2, 3, 2 };

	/* The third core of a package is left over: no rank straddles. */
	expect(&odd, (struct pfw_binding_wish){ 2, 2, 0 }, 2, "0-1 3-4", "0 1");
	/* All are needed: one does. */
	expect(&odd, (struct pfw_binding_wish){ 3, 2, 0 }, 2, "0-1 2-3 4-5",
	       "0 0-1 1");
	expect(&caches, (struct pfw_binding_wish){ 3, 3, 0 }, 3, "0-2 3-5 6-8",
	       "0 0 1");
	/* Larger than a cache: a node. */
	expect(&caches, (struct pfw_binding_wish){ 2, 5, 0 }, 5, "0-4 6-10",
	       "0 1");
	expect(&caches, (struct pfw_binding_wish){ 2, 0, 0 }, 12, "0-11 12-23",
	       "0-1 2-3");
	expect(&caches, (struct pfw_binding_wish){ 1, 0, 0 }, 24, "0-23",
	       "0-3");
}

static void test_quota(void)
{
	const struct machine m = { 1, 1, 1, 8, 1 };
	struct pfw_topology t = make(&m);
	struct pfw_binding b;

	t.usable = 3;
	CU_ASSERT_EQUAL_FATAL(pfw_binding_make(
		&t, &(struct pfw_binding_wish){ 1, 0, 0 }, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.threads, 3);
	CU_ASSERT_TRUE(pfw_binding_enough(&b));
	pfw_binding_close(&b);
	CU_ASSERT_EQUAL_FATAL(pfw_binding_make(
		&t, &(struct pfw_binding_wish){ 4, 0, 0 }, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.threads, 1);
	CU_ASSERT_FALSE(pfw_binding_enough(&b));
	pfw_binding_close(&b);
	pfw_topology_free(&t);
}

/* A rank on processors beyond 1024, twice over. */
static void test_many(void)
{
	const struct machine m = { 2, 8, 8, MOST / 128, 1 };
	struct pfw_topology t = make(&m);
	struct pfw_binding b;

	CU_ASSERT_EQUAL_FATAL(pfw_binding_make(
		&t, &(struct pfw_binding_wish){ 2, MOST / 2, 0 }, &b, NULL), 0);
	CU_ASSERT_EQUAL(b.cpu[MOST - 1], MOST - 1);
	/* No such processors here: nothing happens, and nothing breaks. */
	pfw_binding_apply(&b, 1);
	pfw_binding_close(&b);
	pfw_topology_free(&t);
}

static void test_here(void)
{
	const struct pfw_binding_wish wish = { 1, 0, 0 };
	struct pfw_binding b;
	struct pfw_error err = { 0 };
	cpu_set_t now;

	CU_ASSERT_EQUAL_FATAL(pfw_binding_open(&wish, &b, &err), 0);
	CU_ASSERT_TRUE_FATAL(b.pinned);
	CU_ASSERT_TRUE(pfw_cores() >= b.threads);
	pfw_binding_apply(&b, 0);
	CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof(now), &now), 0);
	CU_ASSERT_EQUAL((uint32_t)CPU_COUNT(&now), b.threads);
	for (uint32_t i = 0; i < b.threads; i++)
		CU_ASSERT_TRUE(CPU_ISSET(b.cpu[i], &now));
	pfw_binding_close(&b);
}

/* What hwloc says of a machine in its own words. */
static void described(const char *words, struct pfw_binding_wish wish,
		      const char *cpus, const char *nodes)
{
	struct pfw_binding b;
	char got[512];

	setenv("HWLOC_SYNTHETIC", words, 1);
	CU_ASSERT_EQUAL_FATAL(pfw_binding_open(&wish, &b, NULL), 0);
	unsetenv("HWLOC_SYNTHETIC");
	bound(&b, b.cpu, got, sizeof(got));
	if (strcmp(got, cpus))
		printf("\n    %s: got \"%s\", not \"%s\"", words, got, cpus);
	CU_ASSERT_STRING_EQUAL(got, cpus);
	bound(&b, b.node, got, sizeof(got));
	if (strcmp(got, nodes))
		printf("\n    %s: got \"%s\", not \"%s\"", words, got, nodes);
	CU_ASSERT_STRING_EQUAL(got, nodes);
	pfw_binding_close(&b);
}

static void test_hwloc(void)
{
#ifdef HAVE_HWLOC
	const char *sockets = "Package:2 [NUMANode] L3:1 Core:4 PU:1";
	const char *smt = "Package:1 [NUMANode] L3:1 Core:4 PU:2";
	const char *mesh = "Package:2 [NUMANode] L3:4 Core:8 PU:2";

	described(sockets, (struct pfw_binding_wish){ 2, 0, 0 }, "0-3 4-7",
		  "0 1");
	described(sockets, (struct pfw_binding_wish){ 2, 3, 0 }, "0-2 4-6",
		  "0 1");
	described(sockets, (struct pfw_binding_wish){ 4, 1, 0 }, "0 1 2 3",
		  "0 0 0 0");
	/* hwloc numbers the two of a core one after the other here. */
	described(smt, (struct pfw_binding_wish){ 4, 0, 0 }, "0 2 4 6",
		  "0 0 0 0");
	described(smt, (struct pfw_binding_wish){ 2, 4, 0 },
		  "0,2,4,6 1,3,5,7", "0 0");
	described(mesh, (struct pfw_binding_wish){ 3, 8, 0 },
		  "0,2,4,6,8,10,12,14 16,18,20,22,24,26,28,30 "
		  "32,34,36,38,40,42,44,46", "0 0 0");
	described("NUMANode:64 Core:32 PU:1",
		  (struct pfw_binding_wish){ 2, 1024, 0 },
		  "0-1023 1024-2047", "0-31 32-63");
#else
	(void)described;
	printf("(built without hwloc) ");
#endif
}

static const struct unit_test tests[] = {
	{ "a core each", test_cores },
	{ "too few cores", test_too_few },
	{ "second hardware threads come last", test_siblings },
	{ "threads of a rank are near each other", test_near },
	{ "a container's share", test_quota },
	{ "thousands of processors", test_many },
	{ "machines as hwloc describes them", test_hwloc },
	{ "this machine", test_here },
};

int main(void)
{
	return unit_run("binding", tests, sizeof(tests) / sizeof(tests[0]));
}
