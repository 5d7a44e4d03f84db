/* The launcher: ranks meet, end together, and never stay behind. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "launch/event.h"
#include "launch/hub.h"
#include "launch/launcher.h"

#define RANKS 3u
#define TIMEOUT 1.0

/* Shared with the ranks, so that tests see what they did. */
struct scene {
	_Atomic uint32_t ran[RANKS];
	_Atomic int pids[RANKS];
	uint32_t events;
	_Atomic uint32_t seen; /* a rank saw that another is held up */
	char note[4096];
};

static struct scene *open_scene(void)
{
	void *p = mmap(NULL, sizeof(struct scene), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_NOT_EQUAL_FATAL(p, MAP_FAILED);
	return p;
}

static void on_event(void *context, const struct pfw_event *event)
{
	struct scene *s = context;

	s->events += event->type == PFW_EVENT_STEP && event->step == 7;
}

static void on_note(void *context, const char *text)
{
	struct scene *s = context;

	size_t used = strlen(s->note);

	snprintf(s->note + used, sizeof(s->note) - used, "%s\n", text);
}

static int launch(struct scene *s, uint32_t per,
		  int (*rank_main)(void *, struct pfw_boot *),
		  struct pfw_launch_result *result)
{
	struct pfw_launch how = {
		.ranks = RANKS,
		.ranks_per_process = per,
		.timeout = TIMEOUT,
		.rank_main = rank_main,
		.on_event = on_event,
		.on_note = on_note,
		.context = s,
	};
	struct pfw_error err = { 0 };
	int rc = pfw_launch(&how, result, &err);

	if (rc)
		fprintf(stderr, "%s\n", err.text);
	return rc;
}

static uint64_t soon(void)
{
	return pfw_now() + 20 * PFW_S;
}

/* Each puts a value, reads all others', meets, and tells one event. */
static int meets(void *context, struct pfw_boot *boot)
{
	struct scene *s = context;
	struct pfw_event event = { .type = PFW_EVENT_STEP, .step = 7 };
	char key[32];

	snprintf(key, sizeof(key), "x/%u", boot->rank);
	if (boot->ops->put(boot, key, &boot->rank, sizeof(boot->rank), NULL))
		return 1;
	for (uint32_t r = 0; r < boot->ranks; r++) {
		uint32_t value;
		size_t len;

		snprintf(key, sizeof(key), "x/%u", r);
		if (boot->ops->get(boot, key, &value, sizeof(value), &len,
				   soon(), NULL) || value != r)
			return 1;
	}
	atomic_store(&s->ran[boot->rank], 1);
	if (boot->ops->fence(boot, soon(), NULL))
		return 1;
	for (uint32_t r = 0; r < boot->ranks; r++)
		if (!atomic_load(&s->ran[r]))
			return 1;
	return boot->ops->tell(boot, &event, NULL) ? 1 : 0;
}

static void ranks_meet(void)
{
	for (uint32_t per = 1; per <= RANKS; per++) {
		struct scene *s = open_scene();
		struct pfw_launch_result result;

		CU_ASSERT_EQUAL(launch(s, per, meets, &result), 0);
		CU_ASSERT_EQUAL(result.status, 0);
		CU_ASSERT_EQUAL(s->events, RANKS);
		munmap(s, sizeof(*s));
	}
}

/* Waits as the runtime does: status set, ear for aborts, own deadline. */
static int wait_for(struct pfw_boot *boot, uint32_t peer, double timeout)
{
	struct pfw_event fail = { .type = PFW_EVENT_FAIL,
				  .code = PFW_EXIT_HUNG,
				  .cause = PFW_CAUSE_WAIT };
	uint64_t start = pfw_now();

	atomic_store(&boot->status->phase, PFW_PHASE_RUNNING);
	atomic_store(&boot->status->peer, peer);
	atomic_store(&boot->status->since, start);
	atomic_store(&boot->status->wait, PFW_WAIT_MESSAGE);
	while (!boot->ops->aborted(boot)) {
		usleep(1000);
		if ((double)(pfw_now() - start) < timeout * 1e9)
			continue;
		strcpy(fail.text, "gave up");
		boot->ops->tell(boot, &fail, NULL);
		return PFW_EXIT_HUNG;
	}
	return PFW_EXIT_DIED;
}

static int one_is_killed(void *context, struct pfw_boot *boot)
{
	(void)context;
	if (boot->rank == 1)
		raise(SIGKILL);
	return wait_for(boot, 1, 100);
}

static void a_killed_rank_is_named(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	CU_ASSERT_EQUAL(launch(s, 1, one_is_killed, &result), 0);
	CU_ASSERT_EQUAL(result.status, PFW_EXIT_DIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "rank 1 (process "));
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "signal 9"));
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "rank 2 (process "));
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "from rank 1"));
	munmap(s, sizeof(*s));
}

static int one_is_stopped(void *context, struct pfw_boot *boot)
{
	(void)context;
	if (boot->rank == 2)
		raise(SIGSTOP);
	return wait_for(boot, 2, TIMEOUT);
}

static void a_stopped_rank_is_named(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	CU_ASSERT_EQUAL(launch(s, 1, one_is_stopped, &result), 0);
	CU_ASSERT_EQUAL(result.status, PFW_EXIT_HUNG);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, ", stopped)"));
	munmap(s, sizeof(*s));
}

/* Nobody waits for a single rank but the launcher. */
static int all_are_stopped(void *context, struct pfw_boot *boot)
{
	(void)context;
	(void)boot;
	raise(SIGSTOP);
	return 0;
}

static void all_stopped_ranks_are_ended(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	CU_ASSERT_EQUAL(launch(s, RANKS, all_are_stopped, &result), 0);
	CU_ASSERT_EQUAL(result.status, PFW_EXIT_HUNG);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "made no progress"));
	munmap(s, sizeof(*s));
}

static int one_fails(void *context, struct pfw_boot *boot)
{
	struct pfw_event fail = { .type = PFW_EVENT_FAIL, .code = 11 };

	(void)context;
	if (boot->rank)
		return wait_for(boot, 0, 100);
	strcpy(fail.text, "disk full");
	boot->ops->tell(boot, &fail, NULL);
	return 11;
}

static void a_failure_is_told(void)
{
	for (uint32_t per = 1; per <= RANKS; per += 2) {
		struct scene *s = open_scene();
		struct pfw_launch_result result;

		CU_ASSERT_EQUAL(launch(s, per, one_fails, &result), 0);
		CU_ASSERT_EQUAL(result.status, 11);
		CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "disk full"));
		munmap(s, sizeof(*s));
	}
}

/* Rank 1 gives up its wait and rank 0 sees it go, while the launcher sleeps:
 * it then reads rank 0's word first. */
static int one_follows(void *context, struct pfw_boot *boot)
{
	struct pfw_event left = { .type = PFW_EVENT_FAIL,
				  .code = PFW_EXIT_DIED,
				  .cause = PFW_CAUSE_LEFT };
	struct scene *s = context;
	uint64_t deadline = soon();
	int status = PFW_EXIT_DIED;

	if (boot->rank == 2)
		return wait_for(boot, 0, 100);
	if (boot->rank == 1) {
		kill(getppid(), SIGSTOP);
		status = wait_for(boot, 2, 0);
		atomic_store(&s->ran[1], 1);
		return status;
	}
	while (!atomic_load(&s->ran[1]) && pfw_now() < deadline)
		usleep(1000);
	strcpy(left.text, "it went away");
	boot->ops->tell(boot, &left, NULL);
	kill(getppid(), SIGCONT);
	return status;
}

static void who_gave_up_comes_before_who_saw_it(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;
	int status = 0;
	pid_t launcher = fork();

	if (!launcher) {
		launch(s, 1, one_follows, &result);
		_exit(strncmp(result.text, "gave up", 7) ? 1 : result.status);
	}
	waitpid(launcher, &status, 0);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), PFW_EXIT_HUNG);
	munmap(s, sizeof(*s));
}

/* Else the first to find a dead rank's name closed would hide its death. */
static void a_refused_call_is_no_cause(void)
{
	CU_ASSERT_EQUAL(pfw_event_cause(-EPIPE), PFW_CAUSE_LEFT);
	CU_ASSERT_EQUAL(pfw_event_cause(-ECONNREFUSED), PFW_CAUSE_LEFT);
	CU_ASSERT_EQUAL(pfw_event_cause(-ETIMEDOUT), PFW_CAUSE_WAIT);
	CU_ASSERT_EQUAL(pfw_event_cause(-ENOSPC), PFW_CAUSE_OWN);
}

static int says_who_it_is(void *context, struct pfw_boot *boot)
{
	struct scene *s = context;

	atomic_store(&s->pids[boot->rank], getpid());
	return wait_for(boot, 0, 100);
}

static int gone(pid_t pid)
{
	return kill(pid, 0) && errno == ESRCH;
}

/* The test is the ranks' reaper once their launcher is gone. */
static void no_rank_outlives_the_launcher(void)
{
	struct scene *s = open_scene();
	uint64_t deadline = soon();
	struct pfw_launch_result result;
	uint32_t left = RANKS;
	pid_t launcher = fork();

	if (!launcher) {
		launch(s, 1, says_who_it_is, &result);
		_exit(0);
	}
	for (uint32_t r = 0; r < RANKS; r++)
		while (!atomic_load(&s->pids[r]) && pfw_now() < deadline)
			usleep(1000);
	kill(launcher, SIGKILL);
	waitpid(launcher, NULL, 0);
	while (left && pfw_now() < deadline) {
		left = 0;
		for (uint32_t r = 0; r < RANKS; r++)
			left += !gone(atomic_load(&s->pids[r]));
		usleep(1000);
	}
	CU_ASSERT_EQUAL(left, 0);
	munmap(s, sizeof(*s));
}

/* The signal goes to the launcher, asked by a rank's process or directly. */
static int asks_for_a_picture(void *context, struct pfw_boot *boot)
{
	(void)context;
	atomic_store(&boot->status->phase, PFW_PHASE_RUNNING);
	if (boot->ops->fence(boot, soon(), NULL))
		return PFW_EXIT_HUNG;
	if (boot->rank == 1) {
		kill(getpid(), SIGUSR2);
		kill(getppid(), SIGINT);
	}
	for (uint64_t end = soon(); pfw_now() < end; usleep(1000))
		if (boot->ops->stopping(boot))
			return 0;
	return PFW_EXIT_HUNG;
}

static void signals_are_answered(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	/* A shell has background jobs ignore it, and so would the launcher. */
	signal(SIGINT, SIG_DFL);
	CU_ASSERT_EQUAL(launch(s, 1, asks_for_a_picture, &result), 0);
	CU_ASSERT_EQUAL(result.status, 0);
	CU_ASSERT_EQUAL(result.signal, SIGINT);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->note, "stopping"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->note, "rank 2 (process "));
	munmap(s, sizeof(*s));
}

static void put(struct pfw_hub *hub, uint32_t key, uint32_t value)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_PUT,
					     .len = sizeof(value) };

	snprintf(packet.key, sizeof(packet.key), "key/%u", key);
	memcpy(packet.value, &value, sizeof(value));
	CU_ASSERT_EQUAL(pfw_hub_take(hub, 0, &packet, NULL), 0);
}

static void ask(struct pfw_hub *hub, uint32_t rank, uint32_t key)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_GET };

	snprintf(packet.key, sizeof(packet.key), "key/%u", key);
	CU_ASSERT_EQUAL(pfw_hub_take(hub, rank, &packet, NULL), 0);
}

/* What each of two ranks was answered last; UINT32_MAX: nothing. */
static void take_answer(void *context, uint32_t rank,
			const struct pfw_control_packet *packet)
{
	memcpy((uint32_t *)context + rank, packet->value, sizeof(uint32_t));
}

/* More than the hub has room for at first; put again, the new value counts. */
static void many_values(void)
{
	enum { KEYS = 60, ASKED_EARLY = 50 };
	uint32_t answers[2] = { UINT32_MAX, UINT32_MAX };
	struct pfw_hub *hub;

	CU_ASSERT_EQUAL_FATAL(pfw_hub_open(2, take_answer, answers, &hub, NULL),
			      0);
	ask(hub, 1, ASKED_EARLY);
	for (uint32_t i = 0; i < KEYS; i++) {
		put(hub, i, 7 * i);
		CU_ASSERT_EQUAL(answers[1], i < ASKED_EARLY ? UINT32_MAX :
							      7 * ASKED_EARLY);
	}
	put(hub, 3, 5);
	for (uint32_t i = 0; i < KEYS; i++) {
		ask(hub, 0, i);
		CU_ASSERT_EQUAL(answers[0], i == 3 ? 5 : 7 * i);
	}
	pfw_hub_close(hub);
}

/* One rank still opens its channels, so no step can be done. */
static int asks_early(void *context, struct pfw_boot *boot)
{
	(void)context;
	if (boot->rank)
		atomic_store(&boot->status->phase, PFW_PHASE_RUNNING);
	if (boot->ops->fence(boot, soon(), NULL))
		return PFW_EXIT_HUNG;
	if (boot->rank == 1)
		kill(getppid(), SIGINT);
	for (uint64_t end = soon(); pfw_now() < end; usleep(1000))
		if (boot->ops->aborted(boot))
			return PFW_EXIT_DIED;
	return PFW_EXIT_HUNG;
}

static void an_early_signal_ends_at_once(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	signal(SIGINT, SIG_DFL);
	CU_ASSERT_EQUAL(launch(s, 1, asks_early, &result), 0);
	CU_ASSERT_EQUAL(result.status, 128 + SIGINT);
	CU_ASSERT_EQUAL(result.signal, SIGINT);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "before the first step"));
	munmap(s, sizeof(*s));
}

#define MANY 1000u

/* Does not listen until the ranks have noticed, and then for a while. */
static void slow_on_event(void *context, const struct pfw_event *event)
{
	struct scene *s = context;
	uint64_t deadline = soon();

	if (!s->events++)
		while (!atomic_load(&s->seen) && pfw_now() < deadline)
			usleep(1000);
	if (event->step == 1)
		usleep(1500000);
}

/* Rank 0 tells more than a socket holds; the others' deadlines wait for it. */
static int tells_a_lot(void *context, struct pfw_boot *boot)
{
	struct scene *s = context;
	struct pfw_event event = { .type = PFW_EVENT_STEP };

	for (uint32_t i = 1; !boot->rank && i <= MANY; i++) {
		event.step = i;
		if (boot->ops->tell(boot, &event, NULL))
			return 1;
	}
	while (boot->rank && !boot->ops->held(boot) && !atomic_load(&s->seen))
		usleep(1000);
	atomic_store(&s->seen, 1);
	return boot->ops->fence(boot, pfw_now() + PFW_S, NULL) ? 2 : 0;
}

static void a_launcher_may_be_held_up(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;
	struct pfw_launch how = {
		.ranks = RANKS,
		.ranks_per_process = 1,
		.timeout = TIMEOUT,
		.rank_main = tells_a_lot,
		.on_event = slow_on_event,
		.context = s,
	};

	CU_ASSERT_EQUAL(pfw_launch(&how, &result, NULL), 0);
	CU_ASSERT_EQUAL(result.status, 0);
	CU_ASSERT_EQUAL(s->events, MANY);
	munmap(s, sizeof(*s));
}

/* Longer than the others' deadline, but never still for so long. */
static int one_is_slow(void *context, struct pfw_boot *boot)
{
	uint64_t until = pfw_now() + 1500 * PFW_MS;

	(void)context;
	while (!boot->rank && pfw_now() < until) {
		atomic_fetch_add(&boot->status->turns, 1);
		usleep(1000);
	}
	return boot->ops->fence(boot, pfw_now() + PFW_S, NULL) ? 2 : 0;
}

static void who_gets_on_is_waited_for(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	CU_ASSERT_EQUAL(launch(s, 1, one_is_slow, &result), 0);
	CU_ASSERT_EQUAL(result.status, 0);
	munmap(s, sizeof(*s));
}

static int hangs_up(void *context, struct pfw_boot *boot)
{
	(void)context;
	if (boot->rank == 1)
		kill(getppid(), SIGHUP);
	return boot->ops->fence(boot, soon(), NULL) ? 1 : 0;
}

/* As under nohup, and below a parent that does not want to hear of children. */
static void ignored_signals_stay_ignored(void)
{
	struct scene *s = open_scene();
	struct pfw_launch_result result;

	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	CU_ASSERT_EQUAL(launch(s, 1, hangs_up, &result), 0);
	CU_ASSERT_EQUAL(result.status, 0);
	CU_ASSERT_EQUAL(result.signal, 0);
	signal(SIGHUP, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	munmap(s, sizeof(*s));
}

static const struct unit_test tests[] = {
	{ "ranks meet, as processes and as threads", ranks_meet },
	{ "a killed rank is named, and who waited for it", a_killed_rank_is_named },
	{ "a stopped rank is named", a_stopped_rank_is_named },
	{ "all stopped: the launcher sees it", all_stopped_ranks_are_ended },
	{ "a failure is told in its own words", a_failure_is_told },
	{ "a refused call is no cause", a_refused_call_is_no_cause },
	{ "who gave up comes before who saw it go",
	  who_gave_up_comes_before_who_saw_it },
	{ "no rank outlives the launcher", no_rank_outlives_the_launcher },
	{ "signals: a picture, an orderly end", signals_are_answered },
	{ "many values are found again", many_values },
	{ "a signal before the first step", an_early_signal_ends_at_once },
	{ "a launcher may be held up", a_launcher_may_be_held_up },
	{ "who gets on is waited for", who_gets_on_is_waited_for },
	{ "signals that were ignored", ignored_signals_stay_ignored },
};

UNIT_MAIN("launch", tests)
