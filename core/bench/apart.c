#include "bench/apart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void child_main(struct pfw_bench *bench,
				 int (*run)(struct pfw_bench *bench,
					    struct pfw_error *err),
				 int fd)
{
	struct pfw_error err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(bench, &err);
	fflush(stdout);
	_exit(write(fd, &err, sizeof(err)) != sizeof(err));
}

int pfw_bench_apart(struct pfw_bench *bench,
		    int (*run)(struct pfw_bench *bench, struct pfw_error *err),
		    struct pfw_error *err)
{
	struct pfw_error theirs;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(ends))
		return pfw_error_set(err, errno, "no pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid)
		child_main(bench, run, ends[1]);
	close(ends[1]);
	/* Shorter than a pipe's least: it comes whole, or not at all. */
	n = pid < 0 ? 0 : read(ends[0], &theirs, sizeof(theirs));
	close(ends[0]);
	if (pid < 0)
		return pfw_error_set(err, errno, "no process: %s",
				     strerror(errno));
	waitpid(pid, &status, 0);
	if (n != sizeof(theirs))
		return pfw_error_set(err, EPIPE, "the process that measures on "
				     "%s died", bench->device);
	return theirs.code ? pfw_error_set(err, theirs.code, "%s", theirs.text) :
			     0;
}
