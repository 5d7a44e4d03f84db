/*
 * Signals: an orderly end, an end at once, who waits for what, and a run that
 * was stopped as a whole and goes on.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "e2e/drive.h"
#include "unit/unit.h"

static struct drive drive;

static void complain(const char *what)
{
	fprintf(stderr, "\n%s: status %d, last \"%.300s\"; it said:\n%s\n", what,
		drive.status, drive.last, drive_stderr());
	CU_FAIL("see above");
}

/* Nobody hangs here, and a busy machine shall not look like it. */
static void start(const char *set, size_t processes)
{
	const char *args[] = { "--overwrite", "--steps", "1000000", "--set",
			       "run.timeout=60", "--set", set, NULL };

	drive_start(&drive, args);
	CU_ASSERT(drive_event(&drive, "start"));
	CU_ASSERT(drive_find_members(&drive, processes));
}

/* The model is there, and can be gone on from. */
static void check_saved(void)
{
	char resume[PATH_MAX + 32];
	const char *args[] = { "--dry-run", "--set", resume, NULL };

	CU_ASSERT_EQUAL(access(drive_path("out/model/model.safetensors"), R_OK),
			0);
	snprintf(resume, sizeof(resume), "run.resume=%s", drive_path("out"));
	CU_ASSERT_EQUAL(drive_run(args), 0);
}

/* @p whom: the launcher's pid, or the group's as a negative number. */
static void end_orderly(const char *set, size_t processes, int sig, int group)
{
	start(set, processes);
	CU_ASSERT(drive_event(&drive, "step"));
	kill(group ? -drive.launcher : drive.launcher, sig);
	if (drive_end(&drive, 0) < 0 || drive.status != 128 + sig)
		complain("not ended by the signal");
	if (!strstr(drive.last, "{\"event\":\"end\"") ||
	    !strstr(drive.last, "\"reason\":\"stopped\""))
		complain("no end that was asked for");
	if (!strstr(drive_stderr(), "stopping after this step"))
		complain("does not say that it stops");
	check_saved();
}

static void test_orderly(void)
{
	end_orderly("pipeline.ranks=2", 2, SIGINT, 0);
	end_orderly("pipeline.ranks=3", 3, SIGINT, 1);
	end_orderly("pipeline.ranks=1", 1, SIGTERM, 0);
	end_orderly("pipeline.ranks=2", 2, SIGTERM, 1);
	end_orderly("pipeline.ranks_per_process=2", 1, SIGINT, 1);
	end_orderly("run.save_every=1", 2, SIGHUP, 1);
}

/* Before the first step, or during it: then there is something to save. */
static void test_early(void)
{
	start("pipeline.ranks=2", 2);
	kill(-drive.launcher, SIGINT);
	if (drive_end(&drive, 0) < 0 || drive.status != 128 + SIGINT)
		complain("not ended by an early signal");
	if (!strstr(drive_stderr(), "interrupted before the first step"))
		check_saved();
	else if (!access(drive_path("out/model"), F_OK))
		complain("says that it saves nothing, and does");
}

/* After the first evaluation: the first step would take minutes. */
static void test_twice(void)
{
	double from;

	start("pipeline.microbatches=60000", 2);
	CU_ASSERT(drive_event(&drive, "eval"));
	kill(-drive.launcher, SIGINT);
	CU_ASSERT(drive_says("once more to end at once"));
	from = drive_now();
	kill(-drive.launcher, SIGINT);
	from = drive_end(&drive, from);
	if (from < 0 || from > 2 * drive_slack() ||
	    drive.status != 128 + SIGINT)
		complain("does not end at once");
	if (!strstr(drive_stderr(), "interrupted twice"))
		complain("does not say why it ended");
}

static void test_who_waits(void)
{
	start("pipeline.ranks=3", 3);
	CU_ASSERT(drive_event(&drive, "step"));
	kill(drive.launcher, SIGUSR2);
	for (size_t i = 0; i < 3; i++) {
		char text[64];

		snprintf(text, sizeof(text), "rank %zu (process %d): ", i,
			 (int)drive.members[i]);
		CU_ASSERT(drive_says(text));
	}
	CU_ASSERT(drive_event(&drive, "step"));
	kill(drive.launcher, SIGINT);
	CU_ASSERT(drive_end(&drive, 0) >= 0);
	CU_ASSERT_EQUAL(drive.status, 128 + SIGINT);
}

/* Asked of a rank, all answer. */
static void test_rank_asked(void)
{
	start("pipeline.ranks_per_process=1", 2);
	CU_ASSERT(drive_event(&drive, "step"));
	kill(drive.members[1], SIGUSR2);
	CU_ASSERT(drive_says("rank 0 (process "));
	CU_ASSERT(drive_says("rank 1 (process "));
	kill(drive.launcher, SIGINT);
	CU_ASSERT(drive_end(&drive, 0) >= 0);
	CU_ASSERT_EQUAL(drive.status, 128 + SIGINT);
}

/* Ctrl-Z and fg: longer than run.timeout, and nobody is to blame. */
static void test_suspended(void)
{
	struct timespec rest = { 3, 0 };

	start("run.timeout=2", 2);
	CU_ASSERT(drive_event(&drive, "step"));
	kill(-drive.launcher, SIGSTOP);
	nanosleep(&rest, NULL);
	kill(-drive.launcher, SIGCONT);
	for (int i = 0; i < 50; i++)
		if (!drive_event(&drive, "step")) {
			complain("does not go on");
			break;
		}
	kill(drive.launcher, SIGINT);
	if (drive_end(&drive, 0) < 0 || drive.status != 128 + SIGINT)
		complain("does not end well");
}

static void test_open(void)
{
	drive_open();
}

static void test_close(void)
{
	drive_close();
}

static const struct unit_test tests[] = {
	{ "set up", test_open },
	{ "an orderly end", test_orderly },
	{ "before the first step", test_early },
	{ "twice: at once", test_twice },
	{ "who waits", test_who_waits },
	{ "who waits, asked of a rank", test_rank_asked },
	{ "suspended and continued", test_suspended },
	{ "clean up", test_close },
};

int main(void)
{
	return drive_can() ? unit_run("signals", tests,
				      sizeof(tests) / sizeof(tests[0])) : 77;
}
