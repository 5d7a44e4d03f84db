/* Launchers of several hosts become one run, and end as one. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "launch/launcher.h"
#include "launch/meet.h"
#include "words.h"

#define RANKS 4u
#define LAUNCHERS 3u
#define PATIENCE (30 * PFW_S)

/* What a launcher is given, and what became of it. */
struct launcher {
	uint32_t first, n;
	const char *secret;   /* file; NULL: that of the test */
	const char *settings;
	double timeout;
	pid_t pid;
	/* Shared with the test. */
	int met, rc, code;
	uint32_t events;
	struct pfw_launch_result result;
	char err[1024], notes[4096];
};

static struct scene {
	struct launcher list[LAUNCHERS];
	_Atomic uint32_t ran[RANKS];
	_Atomic int pids[RANKS];
	_Atomic uint32_t in_wait;
} *scene;

static char dir[64], secret_file[96], port[8], address[64];
static int (*rank_main)(void *context, struct pfw_boot *boot);

static void pause_a_little(void)
{
	const struct timespec t = { .tv_nsec = 2000000 };

	nanosleep(&t, NULL);
}

/* A port that is free now. */
static void find_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_FATAL(fd >= 0 && !bind(fd, (struct sockaddr *)&a, len) &&
			!getsockname(fd, (struct sockaddr *)&a, &len));
	close(fd);
	snprintf(port, sizeof(port), "%u", ntohs(a.sin_port));
	snprintf(address, sizeof(address), "tcp://127.0.0.1:%s", port);
}

static void begin(int (*what)(void *, struct pfw_boot *))
{
	scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_NOT_EQUAL_FATAL(scene, MAP_FAILED);
	rank_main = what;
	find_port();
	for (uint32_t i = 0; i < LAUNCHERS; i++)
		scene->list[i] = (struct launcher){ .settings = "a = 1\nb = 2\n",
						    .timeout = 20 };
}

static void end(void)
{
	munmap(scene, sizeof(*scene));
}

static void add_note(void *context, const char *text)
{
	struct launcher *l = context;
	size_t used = strlen(l->notes);

	snprintf(l->notes + used, sizeof(l->notes) - used, "%s\n", text);
}

static void add_event(void *context, const struct pfw_event *event)
{
	struct launcher *l = context;

	l->events += event->type == PFW_EVENT_STEP;
}

static int run_ranks(void *context, struct pfw_boot *boot)
{
	scene->pids[boot->rank] = getpid();
	return rank_main(context, boot);
}

static void launch(struct launcher *l, struct pfw_meeting *m,
		   struct pfw_error *err)
{
	struct pfw_launch how = {
		.ranks = RANKS,
		.ranks_per_process = 1,
		.timeout = l->timeout,
		.meeting = m,
		.rank_main = run_ranks,
		.on_event = add_event,
		.on_note = add_note,
		.context = l,
	};

	l->met = 1;
	l->rc = pfw_launch(&how, &l->result, err);
}

static void live(struct launcher *l)
{
	struct pfw_endpoint at;
	struct pfw_secret secret;
	struct pfw_error err = { 0 };
	struct pfw_meeting *m = NULL;
	struct pfw_meet how = {
		.at = &at,
		.secret = &secret,
		.ranks = RANKS,
		.first = l->first,
		.n = l->n,
		.timeout = l->timeout,
		.file = "FILE",
		.settings = l->settings,
		.on_note = add_note,
		.context = l,
	};

	l->rc = pfw_endpoint_parse(address, &at, &err);
	if (!l->rc)
		l->rc = pfw_secret_load(l->secret ? l->secret : secret_file,
					&secret, &err);
	if (!l->rc)
		l->rc = pfw_meeting_open(&how, &m, &err);
	if (!l->rc)
		l->rc = pfw_meeting_start(m, dir, l->timeout, &err);
	if (!l->rc)
		launch(l, m, &err);
	pfw_meeting_close(m);
	l->code = err.code;
	memcpy(l->err, err.text, sizeof(l->err));
}

static struct launcher *start(uint32_t i, uint32_t first, uint32_t n)
{
	struct launcher *l = &scene->list[i];
	char host[16];
	pid_t pid;

	l->first = first;
	l->n = n;
	pid = fork();
	if (pid) {
		l->pid = pid;
		return l;
	}
	snprintf(host, sizeof(host), "host-%u", i);
	setenv("PIPEFW_HOST_ID", host, 1);
	live(l);
	_exit(0);
}

static void join(struct launcher *l)
{
	uint64_t deadline = pfw_now() + PATIENCE;
	int status;

	while (waitpid(l->pid, &status, WNOHANG) == 0) {
		if (pfw_now() > deadline) {
			kill(l->pid, SIGKILL);
			waitpid(l->pid, &status, 0);
			CU_FAIL("a launcher does not end");
			break;
		}
		pause_a_little();
	}
	l->pid = 0;
}

static void until(int (*holds)(void))
{
	uint64_t deadline = pfw_now() + PATIENCE;

	while (!holds() && pfw_now() < deadline)
		pause_a_little();
	CU_ASSERT(holds());
}

static uint64_t soon(void)
{
	return pfw_now() + PATIENCE;
}

/* Each puts a value, reads all others', meets, and tells one event. */
static int meets(void *context, struct pfw_boot *boot)
{
	struct pfw_event event = { .type = PFW_EVENT_STEP, .step = 7 };
	char key[PFW_BOOT_KEY_MAX], host[64];
	uint32_t value = 100 + boot->rank;
	size_t len;
	int rc;

	(void)context;
	snprintf(key, sizeof(key), "value/%u", boot->rank);
	rc = boot->ops->put(boot, key, &value, sizeof(value), NULL);
	for (uint32_t r = 0; !rc && r < boot->ranks; r++) {
		snprintf(key, sizeof(key), "value/%u", r);
		rc = boot->ops->get(boot, key, &value, sizeof(value), &len,
				    soon(), NULL);
		if (!rc && (len != sizeof(value) || value != 100 + r))
			rc = -EBADMSG;
	}
	for (int i = 0; !rc && i < 3; i++)
		rc = boot->ops->fence(boot, soon(), NULL);
	snprintf(host, sizeof(host), "host-%u", boot->rank < 1 ? 0 :
		 boot->rank < 3 ? 1 : 2);
	if (!rc && strcmp(boot->place->host, host))
		rc = -EINVAL;
	if (!rc)
		rc = boot->ops->tell(boot, &event, NULL);
	scene->ran[boot->rank] = !rc;
	atomic_store(&boot->status->phase, PFW_PHASE_ENDED);
	return rc ? 1 : 0;
}

static void they_meet(void)
{
	begin(meets);
	start(2, 3, 1);
	start(1, 1, 2);
	start(0, 0, 1);
	for (uint32_t i = 0; i < LAUNCHERS; i++) {
		join(&scene->list[i]);
		CU_ASSERT_EQUAL(scene->list[i].rc, 0);
		CU_ASSERT_EQUAL(scene->list[i].result.status, 0);
		CU_ASSERT_STRING_EQUAL(scene->list[i].err, "");
	}
	for (uint32_t r = 0; r < RANKS; r++)
		CU_ASSERT_EQUAL(scene->ran[r], 1);
	CU_ASSERT_EQUAL(scene->list[0].events, RANKS);
	CU_ASSERT_EQUAL(scene->list[1].events, 0);
	end();
}

/* Every rank waits for the next one; nobody sends. */
static int waits(void *context, struct pfw_boot *boot)
{
	struct pfw_status *s = boot->status;

	(void)context;
	atomic_store(&s->phase, PFW_PHASE_RUNNING);
	atomic_store(&s->step, 3);
	atomic_store(&s->peer, (boot->rank + 1) % RANKS);
	atomic_store(&s->since, pfw_now());
	atomic_store(&s->wait, PFW_WAIT_MESSAGE);
	scene->in_wait++;
	while (!boot->ops->aborted(boot) && !boot->ops->stopping(boot))
		pause_a_little();
	return boot->ops->aborted(boot) ? 7 : 0;
}

static int all_wait(void)
{
	return scene->in_wait == RANKS;
}

static void start_two(void)
{
	begin(waits);
	start(0, 0, 2);
	start(1, 2, 2);
	until(all_wait);
}

static void ended_with(uint32_t i, int status, const char *part)
{
	CU_ASSERT_EQUAL(scene->list[i].rc, 0);
	CU_ASSERT_EQUAL(scene->list[i].result.status, status);
	CU_ASSERT(contains(scene->list[i].result.text, part));
}

/* Whoever inherits it may leave it unburied. */
static int is_gone(pid_t pid)
{
	char path[32], stat[256] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 1;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = 0;
	fclose(f);
	state = strrchr(stat, ')');
	return !state || state[2] == 'Z' || state[2] == 'X';
}

/* All are gone within 10 s of what happened. */
static void ended_since(uint64_t then)
{
	CU_ASSERT(pfw_now() - then < 10 * PFW_S);
	for (uint32_t r = 0; r < RANKS; r++)
		CU_ASSERT(is_gone(scene->pids[r]));
}

/* Both say the same: who it was, on which host, and who waited for what. */
static void a_rank_dies(uint32_t rank)
{
	char who[128], name[64] = "", other[160];
	uint64_t then;

	start_two();
	gethostname(name, sizeof(name) - 1);
	if (rank < 2)
		snprintf(who, sizeof(who), "rank %u (process %d) was killed by "
			 "signal 9", rank, scene->pids[rank]);
	else
		snprintf(who, sizeof(who), "rank %u (process %d on %.32s) was "
			 "killed by signal 9", rank, scene->pids[rank], name);
	snprintf(other, sizeof(other), "rank %u (process %d%s%.32s): at", 3u,
		 scene->pids[3], " on ", name);
	then = pfw_now();
	kill(scene->pids[rank], SIGKILL);
	join(&scene->list[0]);
	join(&scene->list[1]);
	for (uint32_t i = 0; i < 2; i++) {
		ended_with(i, PFW_EXIT_DIED, who);
		if (rank != 3)
			CU_ASSERT(contains(scene->list[i].result.text, other));
	}
	ended_since(then);
	end();
}

static void a_rank_of_the_lead_dies(void)
{
	a_rank_dies(1);
}

static void a_rank_of_a_guest_dies(void)
{
	a_rank_dies(2);
}

static void a_rank_is_stopped(void)
{
	begin(waits);
	scene->list[0].timeout = scene->list[1].timeout = 1;
	start(0, 0, 2);
	start(1, 2, 2);
	until(all_wait);
	kill(scene->pids[3], SIGSTOP);
	join(&scene->list[0]);
	join(&scene->list[1]);
	ended_with(0, PFW_EXIT_HUNG, "rank 3 (process ");
	ended_with(1, PFW_EXIT_HUNG, "is stopped and made no progress");
	end();
}

static void a_guest_is_killed(void)
{
	uint64_t then;

	start_two();
	then = pfw_now();
	kill(scene->list[1].pid, SIGKILL);
	join(&scene->list[0]);
	join(&scene->list[1]);
	ended_with(0, PFW_EXIT_DIED, "the launcher of ranks 2-3 on host ");
	ended_since(then);
	end();
}

static void the_lead_is_killed(void)
{
	uint64_t then;

	start_two();
	then = pfw_now();
	kill(scene->list[0].pid, SIGKILL);
	join(&scene->list[0]);
	join(&scene->list[1]);
	ended_with(1, PFW_EXIT_DIED, "the launcher of rank 0 at 127.0.0.1:");
	ended_since(then);
	end();
}

/* An orderly end, asked of the guest. */
static void a_guest_is_asked_to_end(void)
{
	start_two();
	kill(scene->list[1].pid, SIGTERM);
	join(&scene->list[0]);
	join(&scene->list[1]);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(scene->list[i].result.status, 0);
		CU_ASSERT_EQUAL(scene->list[i].result.signal, SIGTERM);
	}
	end();
}

static int heard_of_a_refusal(void)
{
	return strstr(scene->list[0].notes, "refused") != NULL;
}

static void another_secret(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/other", dir);
	write_secret(path, "another secret, as long as it must be\n", 0600);
	begin(meets);
	scene->list[1].secret = path;
	start(0, 0, 1);
	join(start(1, 1, 2));
	CU_ASSERT_EQUAL(scene->list[1].rc, -EACCES);
	CU_ASSERT(contains(scene->list[1].err, "another secret than"));
	until(heard_of_a_refusal);
	CU_ASSERT(contains(scene->list[0].notes, "does not know the secret"));
	/* It does no harm. */
	scene->list[1].secret = NULL;
	start(1, 1, 2);
	start(2, 3, 1);
	for (uint32_t i = 0; i < LAUNCHERS; i++) {
		join(&scene->list[i]);
		CU_ASSERT_EQUAL(scene->list[i].result.status, 0);
		CU_ASSERT_EQUAL(scene->list[i].met, 1);
	}
	unlink(path);
	end();
}

static int ranks_1_and_2_came(void)
{
	return strstr(scene->list[0].notes, "(ranks 1-2) has come") != NULL;
}

static void ranks_overlap(void)
{
	begin(meets);
	scene->list[0].timeout = scene->list[1].timeout = 4;
	start(0, 0, 1);
	start(1, 1, 2);
	until(ranks_1_and_2_came);
	join(start(2, 2, 2));
	CU_ASSERT(contains(scene->list[2].err, "rank 2 is already with"));
	join(&scene->list[0]);
	join(&scene->list[1]);
	CU_ASSERT_EQUAL(scene->list[0].rc, -ETIMEDOUT);
	CU_ASSERT(contains(scene->list[0].err, "rank 3 has not come in 4 s: "
			   "start `pipefw run FILE --boot tcp://127.0.0.1:"));
	CU_ASSERT(contains(scene->list[0].err, "--ranks 3` on its host"));
	CU_ASSERT(contains(scene->list[1].err, "rank 3 has not come"));
	end();
}

static void settings_differ(void)
{
	begin(meets);
	scene->list[1].settings = "a = 1\nb = 3\n";
	scene->list[0].timeout = 1;
	start(0, 0, 1);
	join(start(1, 1, 3));
	join(&scene->list[0]);
	CU_ASSERT(contains(scene->list[1].err, "it has \"b = 3\", rank 0 has "
			   "\"b = 2\""));
	CU_ASSERT(contains(scene->list[0].notes, "it has \"b = 3\""));
	CU_ASSERT(contains(scene->list[0].err, "ranks 1-3 have not come"));
	end();
}

static int call(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)atoi(port)) };
	uint64_t deadline = pfw_now() + PATIENCE;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) &&
	       pfw_now() < deadline)
		pause_a_little();
	return fd;
}

/* More than a table of them: silent ones, and some that talk nonsense. */
static void strangers(void)
{
	enum { N = 150 };
	static const char nonsense[100] = "GET / HTTP/1.1\r\nHost: pipefw\r\n";
	int fds[N];

	begin(meets);
	start(0, 0, 1);
	for (int i = 0; i < N; i++) {
		fds[i] = call();
		if (i % 3 && send(fds[i], i % 3 == 1 ? nonsense :
				  "pipefw-boot-0001", i % 3 == 1 ? 100 : 16,
				  MSG_NOSIGNAL) < 0)
			break;
	}
	start(1, 1, 2);
	start(2, 3, 1);
	for (uint32_t i = 0; i < LAUNCHERS; i++) {
		join(&scene->list[i]);
		CU_ASSERT_EQUAL(scene->list[i].rc, 0);
		CU_ASSERT_EQUAL(scene->list[i].result.status, 0);
	}
	CU_ASSERT(contains(scene->list[0].notes, "is no pipefw launcher"));
	for (int i = 0; i < N; i++)
		close(fds[i]);
	end();
}

static const struct unit_test tests[] = {
	{ "three launchers, four ranks", they_meet },
	{ "a rank of the lead dies", a_rank_of_the_lead_dies },
	{ "a rank of a guest dies", a_rank_of_a_guest_dies },
	{ "a rank of a guest is stopped", a_rank_is_stopped },
	{ "a guest's launcher is killed", a_guest_is_killed },
	{ "the lead's launcher is killed", the_lead_is_killed },
	{ "a guest is asked to end", a_guest_is_asked_to_end },
	{ "another secret", another_secret },
	{ "ranks overlap, and one is missing", ranks_overlap },
	{ "settings differ", settings_differ },
	{ "strangers", strangers },
};

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	int failed;

	snprintf(dir, sizeof(dir), "%.40s/pipefw-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 99;
	snprintf(secret_file, sizeof(secret_file), "%s/secret", dir);
	write_secret(secret_file, "what the hosts of this test know, no one else"
		     "\n", 0600);
	failed = unit_run("hosts", tests, sizeof(tests) / sizeof(tests[0]));
	unlink(secret_file);
	rmdir(dir);
	return failed;
}
