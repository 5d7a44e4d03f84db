#include "e2e/drive.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch/launcher.h"
#include "unit/tmpdir.h"

#define GIVE_UP_S 60.0 /* nothing here takes so long; a hang does */
#define MAX_ARGS 32u

static const char config[] =
	"run = { steps = 3; seed = 1; timeout = 1.0; };\n"
	"model = { stage = \"gpt2\"; layers = 6; heads = 2; hidden = 32;\n"
	"  context = 16; vocab = 256; };\n"
	"pipeline = { ranks = 2; microbatches = 6; microbatch_size = 2; };\n"
	"data = { train = \"text\"; eval_every = 0; eval_batches = 2; };\n";

double drive_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double drive_slack(void)
{
	double load = 0;

	if (getloadavg(&load, 1) != 1)
		return 1;
	load /= pfw_cores();
	return load > 1 ? load : 1;
}

int drive_can(void)
{
	const char *valgrind = getenv("PIPEFW_VALGRIND");
	const char *emulator = getenv("PIPEFW_EMULATOR");

	if ((!valgrind || !*valgrind) && (!emulator || !*emulator))
		return 1;
	puts("skipped: valgrind or the emulator would run the test alone");
	return 0;
}

void drive_open(void)
{
	static char text[20000];

	tmp_make();
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "once upon a time, "[(i * i / 7 + i) % 18];
	tmp_write("text", text, sizeof(text));
	tmp_write("tiny.cfg", config, strlen(config));
}

void drive_close(void)
{
	tmp_remove();
}

const char *drive_path(const char *name)
{
	return tmp_path(name);
}

static void become(const char *const *args, int out)
{
	const char *argv[MAX_ARGS] = { "pipefw", "run", tmp_path("tiny.cfg"),
				       "--json", "--out", tmp_path("out") };
	size_t n = 6;
	int err = open(tmp_path("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	while (*args && n + 1 < MAX_ARGS)
		argv[n++] = *args++;
	argv[n] = NULL;
	setpgid(0, 0);
	/* A shell has background jobs ignore the one, nohup the other, and so
	 * would the launcher. */
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

void drive_start(struct drive *d, const char *const *args)
{
	int ends[2];

	memset(d, 0, sizeof(*d));
	/* What outlives its parent becomes our child, and is found. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	d->launcher = fork();
	CU_ASSERT_FATAL(d->launcher >= 0);
	if (!d->launcher)
		become(args, ends[1]);
	setpgid(d->launcher, d->launcher);
	close(ends[1]);
	d->out = ends[0];
}

/* One line, cut from the front of what was read. */
static int take_line(struct drive *d)
{
	char *end = memchr(d->buf, '\n', d->len);
	size_t n;

	if (!end)
		return 0;
	n = (size_t)(end - d->buf);
	snprintf(d->last, sizeof(d->last), "%.*s", (int)n, d->buf);
	d->len -= n + 1;
	memmove(d->buf, end + 1, d->len);
	d->lines++;
	return 1;
}

/* 1: some bytes came; 0: none in so many ms; -1: no more will. */
static int read_more(struct drive *d, int ms)
{
	struct pollfd p = { .fd = d->out, .events = POLLIN };
	ssize_t n;

	if (d->len == sizeof(d->buf) || poll(&p, 1, ms) <= 0)
		return 0;
	n = read(d->out, d->buf + d->len, sizeof(d->buf) - d->len);
	if (n <= 0)
		return -1;
	d->len += (size_t)n;
	return 1;
}

int drive_event(struct drive *d, const char *event)
{
	char want[64];
	double until = drive_now() + GIVE_UP_S;

	snprintf(want, sizeof(want), "{\"event\":\"%s\"", event);
	while (drive_now() < until) {
		while (take_line(d))
			if (!strncmp(d->last, want, strlen(want)))
				return 1;
		if (read_more(d, 1000) < 0)
			return 0;
	}
	return 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], stat[512];
	const char *end;
	int ppid = 0;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(stat, 1, sizeof(stat) - 1, f);
	fclose(f);
	stat[n] = 0;
	end = strrchr(stat, ')');
	if (!end || sscanf(end + 1, " %*c %d", &ppid) != 1)
		return 0;
	return (pid_t)ppid;
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static void list_members(struct drive *d)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;

	d->n_members = 0;
	while (proc && (e = readdir(proc))) {
		pid_t pid = (pid_t)atoi(e->d_name);

		if (pid > 0 && parent_of(pid) == d->launcher &&
		    d->n_members < DRIVE_MAX_RANKS)
			d->members[d->n_members++] = pid;
	}
	if (proc)
		closedir(proc);
	qsort(d->members, d->n_members, sizeof(d->members[0]), by_number);
}

int drive_find_members(struct drive *d, size_t n)
{
	double until = drive_now() + GIVE_UP_S;

	while (drive_now() < until) {
		list_members(d);
		if (d->n_members == n)
			return 1;
	}
	return 0;
}

/* Takes leave of all that ended; 0: nobody is left. */
static int reap(struct drive *d)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == d->launcher)
			d->status = WIFSIGNALED(status) ?
					    128 + WTERMSIG(status) :
					    WEXITSTATUS(status);
	return pid == 0 || errno != ECHILD;
}

double drive_end(struct drive *d, double from)
{
	double until = drive_now() + GIVE_UP_S;

	while (reap(d)) {
		while (take_line(d))
			continue;
		if (read_more(d, 5) < 0)
			poll(NULL, 0, 5);
		if (drive_now() > until) {
			kill(-d->launcher, SIGKILL);
			close(d->out);
			return -1;
		}
	}
	from = drive_now() - from;
	while (read_more(d, 0) > 0 || take_line(d))
		continue;
	close(d->out);
	return from;
}

const char *drive_stderr(void)
{
	static char text[32768];
	FILE *f = fopen(tmp_path("stderr"), "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = 0;
	if (f)
		fclose(f);
	return text;
}

int drive_says(const char *text)
{
	double until = drive_now() + GIVE_UP_S;

	do
		if (strstr(drive_stderr(), text))
			return 1;
	while (!poll(NULL, 0, 5) && drive_now() < until);
	return 0;
}

int drive_run(const char *const *args)
{
	struct drive *d = malloc(sizeof(*d));
	int status;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	drive_start(d, args);
	status = drive_end(d, 0) < 0 ? -1 : d->status;
	free(d);
	return status;
}
