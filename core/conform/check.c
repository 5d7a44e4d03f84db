#include "conform/check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

struct pfw_verdict *pfw_verdict_new(void)
{
	struct pfw_verdict *v = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return v == MAP_FAILED ? NULL : v;
}

void pfw_verdict_free(struct pfw_verdict *verdict)
{
	if (verdict)
		munmap(verdict, sizeof(*verdict));
}

static void conclude(struct pfw_trial *t, uint32_t result,
		     const char *words, va_list args)
{
	t->verdict->result = result;
	vsnprintf(t->verdict->found.text, sizeof(t->verdict->found.text), words,
		  args);
}

void pfw_trial_refuse(struct pfw_trial *t, const char *found, ...)
{
	va_list args;

	va_start(args, found);
	conclude(t, PFW_CHECK_REFUSED, found, args);
	va_end(args);
	_exit(0);
}

void pfw_trial_skip(struct pfw_trial *t, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	conclude(t, PFW_CHECK_SKIPPED, why, args);
	va_end(args);
	_exit(0);
}

void *pfw_trial_alloc(struct pfw_trial *t, size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	if (!p)
		pfw_trial_skip(t, "no memory");
	return p;
}

void pfw_trial_doing(struct pfw_trial *t, const char *what, ...)
{
	va_list args;

	va_start(args, what);
	vsnprintf(t->verdict->doing, sizeof(t->verdict->doing), what, args);
	va_end(args);
}

void pfw_trial_apart(struct pfw_trial *t,
		     void (*run)(struct pfw_trial *t, const void *arg),
		     const void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(t, arg);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		pfw_trial_skip(t, "no process");
	if (WIFSIGNALED(status))
		raise(WTERMSIG(status));
	if (WEXITSTATUS(status) || t->verdict->result != PFW_CHECK_DIED)
		_exit(WEXITSTATUS(status));
}

const char *pfw_trial_code(int rc)
{
	static const struct {
		int code;
		const char *name;
	} codes[] = {
		{ 0, "0" },
		{ -EAGAIN, "-EAGAIN" },
		{ -EINVAL, "-EINVAL" },
		{ -EPIPE, "-EPIPE" },
		{ -EMSGSIZE, "-EMSGSIZE" },
		{ -ETIMEDOUT, "-ETIMEDOUT" },
		{ -ENOMEM, "-ENOMEM" },
		{ -EIO, "-EIO" },
		{ -EBADMSG, "-EBADMSG" },
		{ -EPROTO, "-EPROTO" },
		{ -EEXIST, "-EEXIST" },
		{ -ENODEV, "-ENODEV" },
		{ -ENOENT, "-ENOENT" },
		{ -E2BIG, "-E2BIG" },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == rc)
			return codes[i].name;
	return rc < 0 ? strerror(-rc) : "a positive number";
}

/* The life of the process that a check has for itself. */
static void check_main(const struct pfw_check *check, struct pfw_trial *t,
		       const sigset_t *mask) PFW_NORETURN;

static void check_main(const struct pfw_check *check, struct pfw_trial *t,
		       const sigset_t *mask)
{
	const struct rlimit no_core = { 0, 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	sigprocmask(SIG_SETMASK, mask, NULL);
	/* What a plugin prints must not stand between the results. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	check->run(t);
	t->verdict->result = PFW_CHECK_HOLDS;
	_exit(0);
}

/* 1 and *status: it has ended; 0: it did not in time. */
static int wait_until(pid_t pid, const sigset_t *child, uint64_t deadline,
		      int *status)
{
	struct timespec left;
	uint64_t now;

	while (waitpid(pid, status, WNOHANG) != pid) {
		now = pfw_now();
		if (now >= deadline)
			return 0;
		left.tv_sec = (time_t)((deadline - now) / PFW_S);
		left.tv_nsec = (long)((deadline - now) % PFW_S);
		sigtimedwait(child, NULL, &left);
	}
	return 1;
}

/* "while planning p=4", or nothing. */
static const char *at_what(const struct pfw_verdict *v)
{
	return v->doing[0] ? ", " : "";
}

static void judge(const struct pfw_check *check, struct pfw_verdict *v, int ended,
		  int status)
{
	const char *comma = at_what(v);

	v->found.text[sizeof(v->found.text) - 1] = '\0';
	v->doing[sizeof(v->doing) - 1] = '\0';
	if (ended && WIFEXITED(status) && !WEXITSTATUS(status) &&
	    v->result != PFW_CHECK_DIED)
		return;
	v->result = ended ? PFW_CHECK_DIED : PFW_CHECK_HUNG;
	if (!ended)
		pfw_error_set(&v->found, ETIMEDOUT, "it had not come back after "
			      "%u s%s%s", check->seconds, comma, v->doing);
	else if (WIFSIGNALED(status))
		pfw_error_set(&v->found, EFAULT, "it died of signal %d (%s)%s%s",
			      WTERMSIG(status), strsignal(WTERMSIG(status)),
			      comma, v->doing);
	else
		pfw_error_set(&v->found, EFAULT, "it ended the process, exit "
			      "status %d%s%s", WEXITSTATUS(status), comma,
			      v->doing);
}

int pfw_check_run(const struct pfw_check *check, struct pfw_trial *t,
		  struct pfw_error *err)
{
	uint64_t start = pfw_now();
	sigset_t child, before;
	int status = 0, ended;
	pid_t pid;

	/* A process that ends without a word has died. */
	*t->verdict = (struct pfw_verdict){ .result = PFW_CHECK_DIED };
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	pid = fork();
	if (pid == 0)
		check_main(check, t, &before);
	if (pid < 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		return pfw_error_set(err, EAGAIN, "no process for a check: %s",
				     strerror(errno));
	}
	setpgid(pid, pid);
	ended = wait_until(pid, &child, start + check->seconds * PFW_S, &status);
	kill(-pid, SIGKILL);
	if (!ended)
		waitpid(pid, &status, 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	judge(check, t->verdict, ended, status);
	t->verdict->seconds = (double)(pfw_now() - start) / (double)PFW_S;
	return 0;
}
