/* Saving that is killed, or fails, at each of its calls. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "saved.h"

int __real_open(const char *path, int flags, ...);
ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t at);

/* The n-th of these calls strikes: the process is killed, or the call fails. */
static int countdown, fault;
/** It was one of those without which data is not on the disk. */
static int data_lost;

static int strikes(void)
{
	if (!countdown || --countdown)
		return 0;
	if (!fault)
		kill(getpid(), SIGKILL);
	errno = fault;
	return 1;
}

static int strikes_data(void)
{
	int struck = strikes();

	data_lost |= struck;
	return struck;
}

int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
	return strikes() ? -1 : __real_open(path, flags, mode);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	return strikes_data() ? -1 : __real_pwrite(fd, buf, n, at);
}

/** What was brought to the disk and renamed, a word each, in order. */
static char story[4096];
static int is_told;

/** A path in the test's folder, as much as there is of it. */
static void tell(const char *what, const char *path)
{
	size_t n = strlen(story), m = strlen(tmp_dir);

	if (is_told)
		snprintf(story + n, sizeof(story) - n, "%s%s ", what,
			 strlen(path) > m ? path + m : "/");
}

/* Not done: the disk's own speed is not under test. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	char link[64], path[PATH_MAX] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (is_told && readlink(link, path, sizeof(path) - 1) > 0)
		tell("", path);
	return strikes_data() ? -1 : 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int struck = strikes();
	int rc = __real_close(fd);

	return struck ? -1 : rc;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	tell("->", to);
	return strikes() ? -1 : __real_rename(from, to);
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
	return strikes() ? -1 : __real_mkdir(path, mode);
}

int __real_symlink(const char *target, const char *path);
int __wrap_symlink(const char *target, const char *path);
int __wrap_symlink(const char *target, const char *path)
{
	return strikes() ? -1 : __real_symlink(target, path);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
	return strikes() ? -1 : __real_unlink(path);
}

int __real_remove(const char *path);
int __wrap_remove(const char *path);
int __wrap_remove(const char *path)
{
	return strikes() ? -1 : __real_remove(path);
}

int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
	return strikes_data() ? -1 : __real_fallocate(fd, mode, at, n);
}

/** In a child that is killed at call @p n of saving @p step; 1: it ended first. */
static int killed_save(int n, uint64_t step)
{
	pid_t pid = fork();
	int status;

	CU_ASSERT_FATAL(pid >= 0);
	if (!pid) {
		countdown = n;
		fault = 0;
		_exit(tiny_save(tmp_dir, step, NULL) ? 1 : 0);
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	return WIFEXITED(status);
}

/** Killed at every call: the old state or the new one, and saving goes on. */
static void kill_at_every_call(uint64_t step)
{
	uint64_t got, last = 0;
	int n = 1, ended;

	do {
		tmp_make();
		save(1);
		save(2);
		ended = killed_save(n++, step);
		got = step_in(tmp_dir);
		CU_ASSERT(got == 2 || got == step);
		CU_ASSERT(got >= last); /* new once, then new for good */
		CU_ASSERT_STRING_EQUAL(note, "");
		last = got;
		pfw_checkpoint_sweep(tmp_dir);
		CU_ASSERT_EQUAL(step_in(tmp_dir), got);
		save(step);
		CU_ASSERT_EQUAL(step_in(tmp_dir), step);
		tmp_remove();
	} while (!ended && n < 500);
	CU_ASSERT(n > 40 && n < 500);
	CU_ASSERT_EQUAL(got, step);
}

static void killed(void)
{
	kill_at_every_call(3);
}

static void killed_at_the_same_step(void)
{
	kill_at_every_call(2);
}

static void every_call_fails(int code)
{
	int n = 1, left, rc, failures = 0;
	uint64_t got;

	do {
		tmp_make();
		save(1);
		err.text[0] = '\0';
		countdown = n++;
		fault = code;
		data_lost = 0;
		rc = tiny_save(tmp_dir, 2, &err);
		left = countdown;
		countdown = 0;
		failures += rc != 0;
		CU_ASSERT(rc || !data_lost);
		CU_ASSERT(!rc == !*err.text);
		CU_ASSERT(!rc || strstr(err.text, strerror(code)));
		got = step_in(tmp_dir);
		CU_ASSERT(rc ? got == 1 || got == 2 : got == 2);
		pfw_checkpoint_sweep(tmp_dir);
		save(2);
		CU_ASSERT_EQUAL(step_in(tmp_dir), 2);
		tmp_remove();
	} while (!left && n < 500);
	CU_ASSERT(failures > 25 && n < 500);
}

static void errors(void)
{
	every_call_fails(ENOSPC);
	every_call_fails(EIO);
}

/** Nothing gets its name before all that it names is on the disk. */
static void order_of_things(void)
{
	tmp_make();
	save(1);
	story[0] = '\0';
	is_told = 1;
	save(2);
	is_told = 0;
	CU_ASSERT_STRING_EQUAL(story,
		"/checkpoints/step-2.tmp/model/model.safetensors "
		"/checkpoints/step-2.tmp/state/optimizer.safetensors "
		"/checkpoints/step-2.tmp/model/config.json "
		"/checkpoints/step-2.tmp/state/state.json "
		"/checkpoints/step-2.tmp/state/checksums "
		"/checkpoints/step-2.tmp/model/model.safetensors "
		"/checkpoints/step-2.tmp/state/optimizer.safetensors "
		"/checkpoints/step-2.tmp/state/checksums "
		"/checkpoints/step-2.tmp/model "
		"/checkpoints/step-2.tmp/state "
		"/checkpoints/step-2.tmp "
		"->/checkpoints/step-2 "
		"/checkpoints "
		"->/latest "
		"/ ");
	tmp_remove();
}

/** A limit of the system itself, as a quota or a full disk. */
static void no_room(void)
{
	struct rlimit limit = { 100, 100 };
	int status;
	pid_t pid;

	tmp_make();
	save(1);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (!pid) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(tiny_save(tmp_dir, 2, &err) == -EFBIG &&
		      strstr(err.text, "File too large") ? 0 : 1);
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-2.tmp"), F_OK), -1);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 1);
	tmp_remove();
}

/** Root is not held by the mode of a folder: then as nobody. */
static void read_only(void)
{
	int status;
	pid_t pid;

	tmp_make();
	save(1);
	CU_ASSERT_FATAL(!chmod(tmp_dir, 0755));
	CU_ASSERT_FATAL(!chmod(tmp_path("checkpoints"), 0555));
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (!pid) {
		if (!geteuid() && setuid(65534))
			_exit(0);
		_exit(tiny_save(tmp_dir, 2, &err) == -EACCES &&
		      !strcmp(sentence(), "checkpoints/step-2.tmp: cannot make the folder: Permission denied") &&
		      step_in(tmp_dir) == 1 ? 0 : 1);
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 1);
	tmp_remove();
}

static const struct unit_test tests[] = {
	{ "killed at every call", killed },
	{ "killed at every call, same step", killed_at_the_same_step },
	{ "every call fails", errors },
	{ "order of things", order_of_things },
	{ "no room", no_room },
	{ "read-only folder", read_only },
};

UNIT_MAIN("checkpoint faults", tests)
