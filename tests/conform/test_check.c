/*
 * What becomes of a check: it holds, is refused, is skipped, dies, hangs; and of
 * the processes that it started.
 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/check.h"

static struct pfw_verdict *verdict;

static uint32_t outcome(void (*run)(struct pfw_trial *))
{
	const struct pfw_check check = { "a check", "", "", 1, run };
	struct pfw_trial t = { .verdict = verdict };

	CU_ASSERT_EQUAL_FATAL(pfw_check_run(&check, &t, NULL), 0);
	return verdict->result;
}

static int said(const char *words)
{
	int there = strstr(verdict->found.text, words) != NULL;

	if (!there)
		printf("\n  said: %s\n", verdict->found.text);
	return there;
}

static void good(struct pfw_trial *t)
{
	pfw_trial_doing(t, "nothing");
}

static void refuse(struct pfw_trial *t)
{
	pfw_trial_refuse(t, "found %d of %s", 3, "these");
}

static void skip(struct pfw_trial *t)
{
	pfw_trial_skip(t, "not here");
}

static void test_words(void)
{
	CU_ASSERT_EQUAL(outcome(good), PFW_CHECK_HOLDS);
	CU_ASSERT_EQUAL(verdict->found.text[0], '\0');
	CU_ASSERT_EQUAL(outcome(refuse), PFW_CHECK_REFUSED);
	CU_ASSERT(said("found 3 of these"));
	CU_ASSERT_EQUAL(outcome(skip), PFW_CHECK_SKIPPED);
	CU_ASSERT(said("not here"));
	CU_ASSERT_EQUAL(outcome(good), PFW_CHECK_HOLDS);
}

static void abort_in(struct pfw_trial *t)
{
	pfw_trial_doing(t, "planning p=%d", 4);
	abort();
}

static void exit_in(struct pfw_trial *t)
{
	(void)t;
	exit(3);
}

static void exit_well(struct pfw_trial *t)
{
	(void)t;
	exit(0);
}

static void test_deaths(void)
{
	CU_ASSERT_EQUAL(outcome(abort_in), PFW_CHECK_DIED);
	CU_ASSERT(said("died of signal 6"));
	CU_ASSERT(said(", planning p=4"));
	CU_ASSERT_EQUAL(outcome(exit_in), PFW_CHECK_DIED);
	CU_ASSERT(said("exit status 3"));
	CU_ASSERT_EQUAL(outcome(exit_well), PFW_CHECK_DIED);
	CU_ASSERT(said("exit status 0"));
}

static void hang(struct pfw_trial *t)
{
	pfw_trial_doing(t, "waiting for nobody");
	for (;;)
		pause();
}

static void test_hang(void)
{
	CU_ASSERT_EQUAL(outcome(hang), PFW_CHECK_HUNG);
	CU_ASSERT(said("after 1 s, waiting for nobody"));
	CU_ASSERT(verdict->seconds >= 1);
}

/* The pipe's other end closes when the last process that has it is gone. */
static int held[2];

static void leave_one(struct pfw_trial *t)
{
	(void)t;
	if (fork() == 0)
		for (;;)
			pause();
}

static void test_nothing_left(void)
{
	char c;

	CU_ASSERT_EQUAL_FATAL(pipe(held), 0);
	CU_ASSERT_EQUAL(outcome(leave_one), PFW_CHECK_HOLDS);
	close(held[1]);
	CU_ASSERT_EQUAL(read(held[0], &c, 1), 0);
	close(held[0]);
}

static void make(void)
{
	verdict = pfw_verdict_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(verdict);
}

static void unmake(void)
{
	pfw_verdict_free(verdict);
}

static const struct unit_test tests[] = {
	{ "open", make },
	{ "holds, is refused, is skipped", test_words },
	{ "dies by a signal or by exit()", test_deaths },
	{ "hangs", test_hang },
	{ "leaves no process behind", test_nothing_left },
	{ "close", unmake },
};

UNIT_MAIN("checks", tests)
