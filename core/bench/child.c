#include "bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signals.h"

#define LEAVE_NS (2 * PFW_S)

int pfw_bench_signals_take(int *stop, sigset_t *was, struct pfw_error *err)
{
	sigset_t set;

	pfw_signals_that_end(&set);
	sigprocmask(SIG_BLOCK, &set, was);
	signal(SIGPIPE, SIG_IGN);
	*stop = signalfd(-1, &set, SFD_CLOEXEC);
	return *stop < 0 ? pfw_error_set(err, errno, "signalfd: %s",
					 strerror(errno)) : 0;
}

void pfw_bench_signals_give_back(int stop, const sigset_t *was)
{
	if (stop >= 0)
		close(stop);
	sigprocmask(SIG_SETMASK, was, NULL);
}

static void become(const char *const *argv, int in, int out, pid_t parent)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); /* it is ended with those that it starts */
	if (getppid() != parent)
		_exit(1);
	dup2(in, 0);
	dup2(out, 1);
	if (!getenv("PIPEFW_BENCH_VERBOSE") && nowhere >= 0)
		dup2(nowhere, 2);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

int pfw_bench_child_start(struct pfw_bench_child *child,
			  const char *const *argv, int stop,
			  struct pfw_error *err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	pid_t parent = getpid();

	memset(child, 0, sizeof(*child));
	child->in = child->out = -1;
	child->stop = stop;
	fflush(NULL);
	if (!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC))
		child->pid = fork();
	else
		child->pid = -1;
	if (!child->pid)
		become(argv, in[0], out[1], parent);
	if (child->pid > 0) /* whichever comes first */
		setpgid(child->pid, child->pid);
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = out[0];
	if (child->pid < 0)
		return pfw_error_set(err, errno, "cannot start %s: %s", argv[0],
				     strerror(errno));
	return 0;
}

static int take_line(struct pfw_bench_child *child, char *line, size_t len)
{
	char *end = memchr(child->text, '\n', child->n);
	size_t n;

	/* What is longer than a line may be is cut. */
	if (!end && child->n == sizeof(child->text))
		end = child->text + child->n - 1;
	if (!end)
		return 0;
	n = (size_t)(end - child->text);
	snprintf(line, len, "%.*s", (int)n, child->text);
	child->n -= n + 1;
	memmove(child->text, end + 1, child->n);
	return 1;
}

int pfw_bench_child_line(struct pfw_bench_child *child, double seconds,
			 char *line, size_t len)
{
	uint64_t deadline = pfw_now() + (uint64_t)(seconds * 1e9);

	while (!take_line(child, line, len)) {
		struct pollfd fds[] = {
			{ .fd = child->out, .events = POLLIN },
			{ .fd = child->stop, .events = POLLIN },
		};
		uint64_t now = pfw_now();
		ssize_t n;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(fds, 2, (int)((deadline - now) / PFW_MS) + 1) < 1)
			continue;
		if (fds[1].revents)
			return -EINTR;
		n = read(child->out, child->text + child->n,
			 sizeof(child->text) - child->n);
		if (n == 0 || (n < 0 && errno != EINTR))
			return -ENODATA;
		child->n += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int pfw_bench_child_say(struct pfw_bench_child *child, const char *line)
{
	size_t n = strlen(line);

	return write(child->in, line, n) == (ssize_t)n ? 0 : -EIO;
}

/* It stays a zombie, whose number nobody else can have. */
static int has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid;
}

int pfw_bench_child_end(struct pfw_bench_child *child)
{
	uint64_t deadline = pfw_now() + LEAVE_NS;
	const struct timespec nap = { 0, 5 * (long)PFW_MS };
	int status = 0, killed = 0;

	if (child->pid <= 0)
		return -ECHILD;
	close(child->in);
	close(child->out);
	while (!has_ended(child->pid)) {
		if (!killed && pfw_now() > deadline) {
			kill(-child->pid, SIGKILL);
			killed = 1;
		}
		nanosleep(&nap, NULL);
	}
	kill(-child->pid, SIGKILL); /* whom it has left behind */
	waitpid(child->pid, &status, 0);
	child->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}
