/* A plan made in a process of its own: a plugin that crashes there, or ends the
 * process, is refused by name, and the user's own process goes on to say so. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schedule/compile.h"

/* What comes through the pipe first; the plan follows where rc is 0. */
struct answer {
	int rc;
	struct pfw_error err;
};

static int put(int to, const void *data, size_t n)
{
	const char *at = data;
	ssize_t done;

	for (; n; n -= (size_t)done, at += done) {
		done = write(to, at, n);
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done < 0)
			return -errno;
	}
	return 0;
}

/* -EPIPE: it ends before. */
static int get(int from, void *data, size_t n)
{
	char *at = data;
	ssize_t done;

	for (; n; n -= (size_t)done, at += done) {
		done = read(from, at, n);
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done <= 0)
			return done ? -errno : -EPIPE;
	}
	return 0;
}

static int put_plan(int to, const struct pfw_schedule_plan *plan)
{
	int rc = put(to, plan->rank_of, plan->stages * sizeof(*plan->rank_of));

	for (uint32_t r = 0; !rc && r < plan->ranks; r++) {
		const struct pfw_plan *list = &plan->lists[r];

		rc = put(to, &list->n, sizeof(list->n));
		if (!rc)
			rc = put(to, &list->n_groups, sizeof(list->n_groups));
		if (!rc)
			rc = put(to, list->items, list->n * sizeof(*list->items));
	}
	return rc;
}

/* Its memory may be in ruins: no count of it is believed unseen. */
static int get_list(int from, size_t limit, struct pfw_plan *list)
{
	int rc = get(from, &list->n, sizeof(list->n));

	if (!rc)
		rc = get(from, &list->n_groups, sizeof(list->n_groups));
	if (!rc && list->n > limit)
		rc = -EPIPE;
	if (rc)
		return rc;
	list->items = calloc(list->n + 1, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	list->capacity = list->n + 1;
	list->limit = limit;
	return get(from, list->items, list->n * sizeof(*list->items));
}

static int get_plan(int from, const struct pfw_shape *shape,
		    struct pfw_schedule_plan **out, struct pfw_error *err)
{
	struct pfw_schedule_plan *plan;
	int rc = pfw_schedule_plan_new(shape->ranks, shape->chunks,
				       shape->microbatches, &plan, err);

	if (rc)
		return rc;
	rc = get(from, plan->rank_of, plan->stages * sizeof(*plan->rank_of));
	for (uint32_t r = 0; !rc && r < plan->ranks; r++)
		rc = get_list(from, (size_t)PFW_PLAN_TYPES * plan->chunks *
			      plan->microbatches, &plan->lists[r]);
	if (rc)
		rc = pfw_error_set(err, -rc, "a plan of %u stages could not be "
				   "taken over: %s", plan->stages, strerror(-rc));
	else
		rc = pfw_schedule_plan_number(plan, err);
	if (rc)
		pfw_schedule_plan_free(plan);
	else
		*out = plan;
	return rc;
}

/* The life of that process. */
static void plan_apart(const struct pfw_loaded *schedule,
		       const struct pfw_values *opt,
		       const struct pfw_shape *shape, int to)
{
	struct pfw_schedule_plan *plan = NULL;
	struct answer answer = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* What a plugin prints must not stand between results. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	answer.rc = pfw_schedule_plan_make(schedule, opt, shape, &plan,
					   &answer.err);
	if (!put(to, &answer, sizeof(answer)) && !answer.rc)
		put_plan(to, plan);
}

/* How the process ended that gave no whole answer. */
static int blame(const struct pfw_loaded *schedule,
		 const struct pfw_shape *shape, int status,
		 struct pfw_error *err)
{
	char how[128];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "crashed (signal %d, %s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended the process (exit status %d)",
			 WEXITSTATUS(status));
	return pfw_error_set(err, ELIBACC, "%s: it %s while it planned p=%u v=%u "
			     "m=%u; pipefw conform says more of a plugin",
			     schedule->path, how, shape->ranks, shape->chunks,
			     shape->microbatches);
}

int pfw_schedule_plan_apart(const struct pfw_loaded *schedule,
			    const struct pfw_values *opt,
			    const struct pfw_shape *shape,
			    struct pfw_schedule_plan **out,
			    struct pfw_error *err)
{
	struct answer answer;
	int ends[2], rc, status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return pfw_error_set(err, errno, "no pipe to plan through: %s",
				     strerror(errno));
	pid = fork();
	if (pid == 0) {
		plan_apart(schedule, opt, shape, ends[1]);
		_exit(0);
	}
	rc = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return pfw_error_set(err, rc, "no process to plan in: %s",
				     strerror(rc));
	}
	rc = get(ends[0], &answer, sizeof(answer));
	if (!rc && !answer.rc)
		rc = get_plan(ends[0], shape, out, err);
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == -EPIPE)
		return blame(schedule, shape, status, err);
	if (rc || !answer.rc)
		return rc;
	if (err)
		*err = answer.err;
	return answer.rc;
}
