/*
 * Every allocation of the schedule's passes fails once: each time a sentence,
 * nothing lost, nothing crashes.  The linker puts our malloc in front
 * (--wrap, see schedule.am).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/csv.h"
#include "schedule/draw.h"
#include "unit.h"

static long left = -1; /* allocations until one fails; < 0: none does */
static long live;      /* allocations not freed */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
/* musl's symbols have no versions, so the linker takes a library's malloc for
 * ours as well, and wants to see it. */
#pragma GCC visibility push(default)
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
#pragma GCC visibility pop

static int fails(void)
{
	return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
	void *p = fails() ? NULL : __real_malloc(n);

	live += p != NULL;
	return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *p = fails() ? NULL : __real_calloc(n, size);

	live += p != NULL;
	return p;
}

void *__wrap_realloc(void *old, size_t n)
{
	void *p = fails() ? NULL : __real_realloc(old, n);

	live += p && !old;
	return p;
}

void __wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

static const char text[] = "0F0,0F1,(0F2;0B0)OVERLAP_F_B,0B1,0B2\n"
			   "1F0,1B0,1F1,1I1,1W1,1F2,1B2\n";

static int draw(const struct pfw_simulation *sim, struct pfw_error *err)
{
	const struct pfw_draw_style style = { .width = 80, .unit = 1e6 };
	FILE *to = fopen("/dev/null", "w");
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	rc = pfw_draw_text(sim, &style, to, err);
	fclose(to);
	return rc;
}

/* Reads, proves with wide queues, simulates, draws, makes a forward plan. */
static int everything(struct pfw_error *err)
{
	struct pfw_transport_props props = {
		.size = sizeof(props),
		.order = PFW_ORDER_RANK,
		.receive = PFW_RECEIVE_EARLY,
	};
	struct pfw_schedule_plan *plan = NULL, *forward = NULL;
	struct pfw_compile how = { .props = &props };
	struct pfw_simulation *sim = NULL;
	struct pfw_program *prog = NULL;
	int rc = pfw_csv_parse("t", text, strlen(text), &plan, err);

	how.plan = plan;
	if (!rc)
		rc = pfw_program_compile(&how, &prog, err);
	if (!rc)
		rc = pfw_simulate(&how, prog, &sim, err);
	if (!rc)
		rc = draw(sim, err);
	if (!rc)
		rc = pfw_schedule_plan_forward(plan, 4, &forward, err);
	pfw_schedule_plan_free(forward);
	pfw_simulation_free(sim);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
	return rc;
}

static void each_fails_once(void)
{
	long before = live, n = 0;
	int rc;

	do {
		struct pfw_error err = { 0 };

		left = n;
		rc = everything(&err);
		left = -1;
		CU_ASSERT_EQUAL(live, before);
		CU_ASSERT(rc == 0 || rc == -ENOMEM);
		CU_ASSERT(rc == 0 || strstr(err.text, "no memory"));
		if (rc && !strstr(err.text, "no memory"))
			printf("\nallocation %ld: %d, %s\n", n, rc, err.text);
		n++;
	} while (rc && n < 1000);
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT(n > 60);
}

static const struct unit_test tests[] = {
	{ "every allocation fails once", each_fails_once },
};

UNIT_MAIN("schedule memory", tests)
