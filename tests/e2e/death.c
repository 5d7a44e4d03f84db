/*
 * A rank, or the launcher, is killed or stopped at a random moment: the others
 * end, in time, and the launcher says who it was, at what, and who waited.
 * PIPEFW_LONG=1: every schedule, rank and phase; PIPEFW_SEED=N: as then.
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "e2e/drive.h"
#include "schedule/compile.h"
#include "settings/config.h"
#include "unit/unit.h"

#define RANKS 3u
#define MICROBATCHES 6u
#define TIMEOUT_S 1.0 /* run.timeout of tiny.cfg */
#define LIMIT_S 2.0   /* after a death, or after the timeout */
#define MAX_SCHEDULES 32u

/* What the run mostly does when it is hit. */
enum phase { START, TRAIN, EVAL, SAVE, PHASES };
static const char *const phase_names[PHASES] = { "start", "train", "eval",
						 "save" };

struct schedule {
	char *name;
	unsigned chunks;
};

struct death {
	const struct schedule *schedule;
	enum phase phase;
	int signal;
	int member; /* -1: the launcher */
	unsigned per_process;
};

static struct schedule schedules[MAX_SCHEDULES];
static size_t n_schedules;
static unsigned seed;
static double slowest;

static int is_long(void)
{
	const char *word = getenv("PIPEFW_LONG");

	return word && *word;
}

static int takes(const struct pfw_loaded *plugin, unsigned chunks)
{
	struct pfw_shape shape = { .size = sizeof(shape), .ranks = RANKS,
				   .chunks = chunks,
				   .microbatches = MICROBATCHES };
	struct pfw_schedule_plan *plan = NULL;
	struct pfw_values *values = NULL;
	int rc = pfw_values_from_texts(plugin->info.options,
				       plugin->info.n_options, "", NULL, 0,
				       &values, NULL);

	if (!rc)
		rc = pfw_schedule_plan_make(plugin, values, &shape, &plan, NULL);
	pfw_schedule_plan_free(plan);
	pfw_values_free(values);
	return !rc;
}

/* Every one that there is, in two chunks a rank where it takes them. */
static void find_schedules(void)
{
	struct pfw_registry *registry;
	struct pfw_listed *list;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(NULL, &registry, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_list(registry, &list, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		for (unsigned v = 2; v && list[i].kind == PFW_KIND_SCHEDULE &&
				     list[i].loaded; v--)
			if (n_schedules < MAX_SCHEDULES &&
			    takes(list[i].loaded, v)) {
				schedules[n_schedules++] = (struct schedule){
					strdup(list[i].name), v };
				break;
			}
	pfw_listed_free(list, n);
	pfw_registry_close(registry);
	CU_ASSERT_FATAL(n_schedules >= 5);
}

static void start(struct drive *d, const struct death *death)
{
	char schedule[64], chunks[64], ranks[64], threads[64];
	const char *args[24] = { "--overwrite", "--quiet", "--steps",
				 "1000000" };
	size_t n = 4;

	snprintf(schedule, sizeof(schedule), "pipeline.schedule=%s",
		 death->schedule->name);
	snprintf(chunks, sizeof(chunks), "pipeline.chunks=%u",
		 death->schedule->chunks);
	snprintf(ranks, sizeof(ranks), "pipeline.ranks=%u", RANKS);
	snprintf(threads, sizeof(threads), "pipeline.ranks_per_process=%u",
		 death->per_process);
	const char *const sets[] = { schedule, chunks, ranks, threads };

	for (size_t i = 0; i < 4; i++) {
		args[n++] = "--set";
		args[n++] = sets[i];
	}
	if (death->phase == EVAL) {
		args[n++] = "--set";
		args[n++] = "data.eval_every=1";
		args[n++] = "--set";
		args[n++] = "data.eval_batches=300";
	} else if (death->phase == SAVE) {
		args[n++] = "--set";
		args[n++] = "run.save_every=1";
	}
	args[n] = NULL;
	drive_start(d, args);
}

/* 1: at a random moment of that phase. */
static int reach(struct drive *d, const struct death *death)
{
	unsigned n = (RANKS + death->per_process - 1) / death->per_process;
	struct timespec moment = { 0, rand() % 30000000 };

	if (!drive_event(d, "start") || !drive_find_members(d, n))
		return 0;
	if (death->phase != START &&
	    !drive_event(d, death->phase == EVAL ? "eval" :
			    death->phase == SAVE ? "save" : "step"))
		return 0;
	nanosleep(&moment, NULL);
	return 1;
}

static unsigned count_tmp(const char *dir)
{
	DIR *open = opendir(dir);
	const struct dirent *e;
	unsigned n = 0;

	while (open && (e = readdir(open)))
		n += strstr(e->d_name, ".tmp") || strstr(e->d_name, "pipefw") ||
		     strstr(e->d_name, "pfw");
	if (open)
		closedir(open);
	return n;
}

static void complain(const struct death *death, double took, const char *what)
{
	fprintf(stderr,
		"\n%s: %s, %s of %s %d at %s, %u rank(s) a process, seed %u, "
		"%.2f s; it said:\n%s\n",
		what, death->schedule->name,
		death->signal == SIGKILL ? "kill" : "stop",
		death->member < 0 ? "launcher" : "process", death->member,
		phase_names[death->phase], death->per_process, seed, took,
		drive_stderr());
	CU_FAIL("see above");
}

/* Who, at what, and who waited for what. */
static void check_words(const struct drive *d, const struct death *death,
			double took)
{
	int want = death->signal == SIGKILL ? PFW_EXIT_DIED : PFW_EXIT_HUNG;
	const char *said = drive_stderr();
	char rank[64], blame[64], status[64];

	snprintf(status, sizeof(status), "{\"event\":\"error\",\"status\":%d,",
		 want);
	if (d->status != want)
		complain(death, took, "wrong exit status");
	if (strncmp(d->last, status, strlen(status)))
		complain(death, took, "no error object at the end");
	snprintf(blame, sizeof(blame),
		 death->signal == SIGKILL ? "(process %d) was killed by" :
					    "(process %d, stopped): ",
		 (int)d->members[death->member]);
	if (!strstr(said, "FAILED") || !strstr(said, blame))
		complain(death, took, "does not say which rank");
	if (death->phase != START && !strstr(said, " at ") &&
	    !strstr(said, "saving after step"))
		complain(death, took, "does not say at what");
	for (unsigned r = 0; r < RANKS; r++) {
		snprintf(rank, sizeof(rank), "\nrank %u (process", r);
		if (!strstr(said, rank))
			complain(death, took, "leaves a rank out");
	}
	if (death->phase == TRAIN && !strstr(said, "waits for"))
		complain(death, took, "does not say who waited for what");
}

/* What was saved before is whole. */
static void check_saved(const struct death *death)
{
	char resume[PATH_MAX + 32];
	const char *args[] = { "--dry-run", "--set", resume, NULL };

	if (death->phase != SAVE)
		return;
	snprintf(resume, sizeof(resume), "run.resume=%s", drive_path("out"));
	if (drive_run(args))
		complain(death, 0, "the checkpoint cannot be read");
}

static void die(const struct death *death)
{
	struct drive *d = malloc(sizeof(*d));
	double took, limit = LIMIT_S * drive_slack();

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	if (death->signal == SIGSTOP)
		limit += TIMEOUT_S;
	start(d, death);
	if (!reach(d, death))
		complain(death, 0, "never got there");
	took = drive_now();
	kill(death->member < 0 ? d->launcher : d->members[death->member],
	     death->signal);
	took = drive_end(d, took);
	if (took < 0 || took > limit)
		complain(death, took, "the others live too long");
	if (took > slowest)
		slowest = took;
	if (death->member >= 0) {
		check_words(d, death, took);
		if (count_tmp(drive_path("out/checkpoints")))
			complain(death, took, "leaves half a checkpoint");
	} else if (d->status != 128 + SIGKILL) {
		complain(death, took, "the launcher was not killed");
	}
	if (count_tmp("/dev/shm"))
		complain(death, took, "leaves something in /dev/shm");
	check_saved(death);
	free(d);
}

/* Every schedule, process and phase; or n schedules, the rest in turn. */
static void die_often(int signal, unsigned per_process, unsigned first,
		      unsigned n)
{
	unsigned members = (RANKS + per_process - 1) / per_process;
	unsigned each = is_long() ? members * PHASES : 1;
	struct death death = { .signal = signal, .per_process = per_process };

	slowest = 0;
	if (is_long())
		n = (unsigned)n_schedules;
	for (unsigned i = 0; i < n * each; i++) {
		unsigned turn = each > 1 ? i % each : first + i;

		death.schedule = &schedules[(first + i / each) % n_schedules];
		death.member = (int)(turn / (each > 1 ? PHASES : 1) % members);
		death.phase = turn % PHASES;
		die(&death);
	}
	fprintf(stderr, "(slowest %.2f s) ", slowest);
}

static void test_killed(void)
{
	die_often(SIGKILL, 1, seed % 12, (unsigned)n_schedules);
}

static void test_stopped(void)
{
	die_often(SIGSTOP, 1, seed % 12, 4);
}

static void test_threads(void)
{
	die_often(SIGKILL, 2, seed % 8, 2);
	die_often(SIGSTOP, 2, seed % 8 + 1, 1);
}

static void test_launcher(void)
{
	struct death death = { .signal = SIGKILL, .member = -1,
			       .per_process = 1 };

	slowest = 0;
	for (unsigned i = 0; i < PHASES * (is_long() ? 10 : 1); i++) {
		death.phase = i % PHASES;
		death.schedule = &schedules[(seed + i) % n_schedules];
		death.per_process = 1 + i % 2;
		die(&death);
	}
	fprintf(stderr, "(slowest %.2f s) ", slowest);
}

static void test_open(void)
{
	const char *word = getenv("PIPEFW_SEED");

	seed = word ? (unsigned)strtoul(word, NULL, 10) :
		      (unsigned)time(NULL) % 100000;
	srand(seed);
	fprintf(stderr, "(PIPEFW_SEED=%u, limits times %.1f for the load) ",
		seed, drive_slack());
	drive_open();
	find_schedules();
}

static void test_close(void)
{
	while (n_schedules)
		free(schedules[--n_schedules].name);
	drive_close();
}

static const struct unit_test tests[] = {
	{ "set up", test_open },
	{ "killed", test_killed },
	{ "stopped", test_stopped },
	{ "two ranks a process", test_threads },
	{ "the launcher killed", test_launcher },
	{ "clean up", test_close },
};

int main(void)
{
	return drive_can() ? unit_run("death", tests,
				      sizeof(tests) / sizeof(tests[0])) : 77;
}
