/* The launcher's books: making processes and ending them. */
#include "launch/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit.h"
#include "base/signals.h"
#include "launch/far_run.h"
#include "launch/meet.h"

static int open_page(struct pfw_crew *crew, struct pfw_error *err)
{
	void *page;

	crew->page_bytes = sizeof(*crew->page) +
			   crew->how->ranks * sizeof(crew->page->status[0]);
	page = mmap(NULL, crew->page_bytes, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return pfw_error_set(err, errno, "no shared page: %s",
				     strerror(errno));
	crew->page = page;
	return 0;
}

static int open_sockets(struct pfw_crew *crew, struct pfw_error *err)
{
	const struct pfw_place *place = crew->place;

	for (uint32_t r = place->first; r < place->first + place->n; r++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			return pfw_error_set(err, errno,
					     "no socket for rank %u: %s "
					     "(raise 'ulimit -n'?)",
					     r, strerror(errno));
		crew->fds[r] = pair[0];
		crew->rank_fds[r] = pair[1];
		crew->polls[r] = (struct pollfd){ .fd = pair[0],
						  .events = POLLIN };
	}
	return 0;
}

static int open_signals(struct pfw_crew *crew, struct pfw_error *err)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t set;

	/* Where it was ignored, the dead would be gone before they are counted. */
	sigaction(SIGCHLD, &by_default, NULL);
	pfw_signals_that_end(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, &crew->old_mask);
	crew->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (crew->signals < 0)
		return pfw_error_set(err, errno, "signalfd: %s",
				     strerror(errno));
	crew->polls[crew->how->ranks] =
		(struct pollfd){ .fd = crew->signals, .events = POLLIN };
	return 0;
}

int pfw_crew_leads(const struct pfw_crew *crew)
{
	return crew->how->meeting && crew->how->meeting->leads;
}

int pfw_crew_is_guest(const struct pfw_crew *crew)
{
	return crew->how->meeting && !crew->how->meeting->leads;
}

static uint32_t n_links(const struct pfw_crew *crew)
{
	return crew->how->meeting ? crew->how->meeting->n_guests : 0;
}

static void add_members(struct pfw_crew *crew, uint32_t first, uint32_t n,
			const char *host)
{
	uint32_t per = crew->how->ranks_per_process;

	for (uint32_t done = 0; done < n; done += per)
		crew->members[crew->n_members++] = (struct pfw_member){
			.first = first + done,
			.n = n - done < per ? n - done : per,
			.host = host,
		};
}

/* Those of other hosts are there: they started, or will be said to be gone. */
static void add_guests(struct pfw_crew *crew)
{
	const struct pfw_meeting *m = crew->how->meeting;
	uint32_t from = crew->n_members;

	for (uint32_t i = 0; i < m->n_guests; i++)
		add_members(crew, m->guests[i].first, m->guests[i].n,
			    m->guests[i].name);
	for (; from < crew->n_members; from++, crew->alive++)
		crew->members[from].pid = 1;
}

static int allocate(struct pfw_crew *crew, struct pfw_error *err)
{
	uint32_t n = crew->how->ranks;

	crew->fds = malloc(n * sizeof(*crew->fds));
	crew->rank_fds = malloc(n * sizeof(*crew->rank_fds));
	crew->polls = calloc(n + 1 + n_links(crew), sizeof(*crew->polls));
	crew->told = calloc(n, 1);
	crew->members = calloc(n, sizeof(*crew->members));
	if (!crew->fds || !crew->rank_fds || !crew->polls || !crew->told ||
	    !crew->members)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t r = 0; r < n; r++) {
		crew->fds[r] = crew->rank_fds[r] = -1;
		crew->polls[r].fd = -1;
	}
	add_members(crew, crew->place->first, crew->place->n, NULL);
	if (pfw_crew_leads(crew))
		add_guests(crew);
	return 0;
}

/* A run on this host alone: where it is. */
static void take_place(struct pfw_crew *crew)
{
	struct pfw_place *p = &crew->own;

	crew->place = crew->how->meeting ? &crew->how->meeting->place : p;
	p->ranks = p->n = crew->how->ranks;
	p->cores = pfw_cores();
	strcpy(p->address, "127.0.0.1");
	if (getrandom(&p->job, sizeof(p->job), 0) != sizeof(p->job) ||
	    getrandom(p->key, sizeof(p->key), 0) != sizeof(p->key))
		p->job = pfw_now() ^ (uint64_t)getpid() << 32;
	snprintf(p->host, sizeof(p->host), "fork-%016llx",
		 (unsigned long long)p->job);
}

/* A rank that takes no answers is stopped or dead: others will find out. */
static void answer(void *context, uint32_t rank,
		   const struct pfw_control_packet *packet)
{
	struct pfw_crew *crew = context;
	ssize_t n;

	if (crew->fds[rank] < 0) {
		if (pfw_crew_leads(crew))
			pfw_far_lead_answer(crew, rank, packet);
		return;
	}
	n = send(crew->fds[rank], packet, sizeof(*packet),
		 MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n;
}

int pfw_crew_open(struct pfw_crew *crew, const struct pfw_launch *how,
		  struct pfw_launch_result *result, struct pfw_error *err)
{
	struct pfw_binding_wish wish = { .threads = how->threads,
					 .sleeps = how->sleeps };
	int rc;

	memset(crew, 0, sizeof(*crew));
	crew->how = how;
	crew->result = result;
	crew->signals = -1;
	crew->last_sign = crew->last_look = pfw_now();
	pthread_sigmask(SIG_BLOCK, NULL, &crew->old_mask);
	take_place(crew);
	wish.ranks = crew->place->n;
	rc = allocate(crew, err);
	if (!rc)
		rc = pfw_binding_open(&wish, &crew->binding, err);
	if (!rc)
		rc = open_page(crew, err);
	if (!rc)
		rc = open_sockets(crew, err);
	if (!rc)
		rc = open_signals(crew, err);
	if (!rc && !pfw_crew_is_guest(crew))
		rc = pfw_hub_open(how->ranks, answer, crew, &crew->hub, err);
	if (rc)
		pfw_crew_close(crew);
	return rc;
}

/* Asked of a rank, answered by the launcher, which sees all of them. */
static void pass_on(int sig)
{
	kill(getppid(), sig);
}

static void rank_signals(const struct pfw_crew *crew)
{
	struct sigaction act = { .sa_handler = pass_on,
				 .sa_flags = SA_RESTART };

	sigaction(SIGUSR2, &act, NULL);
	/* What a terminal, or a batch system, sends to the whole group is the
	 * launcher's to act on. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_SETMASK, &crew->old_mask, NULL);
}

struct thread {
	pthread_t id;
	struct pfw_boot_fork boot;
	const struct pfw_launch *how;
	const struct pfw_binding *binding;
	int status;
};

static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	struct pfw_boot *boot = &thread->boot.boot;

	pfw_binding_apply(thread->binding, boot->rank - boot->place->first);
	thread->status = thread->how->rank_main(thread->how->context, boot);
	return NULL;
}

static int tell_no_thread(struct thread *thread, int code)
{
	struct pfw_boot *boot = &thread->boot.boot;
	struct pfw_event event = { .type = PFW_EVENT_FAIL,
				   .code = PFW_EXIT_RESOURCES };

	snprintf(event.text, sizeof(event.text),
		 "cannot start the thread of rank %u: %s (raise 'ulimit -u', or "
		 "lower ranks_per_process)",
		 boot->rank, strerror(code));
	boot->ops->tell(boot, &event, NULL);
	return event.code;
}

/* Where one cannot be started the launcher ends the others: they are waited
 * for, since they work in @p threads. */
static int run_threads(struct thread *threads, uint32_t n)
{
	uint32_t started = 1;
	int status = 0;

	for (; started < n; started++) {
		int code = pthread_create(&threads[started].id, NULL,
					  thread_main, &threads[started]);

		if (code) {
			status = tell_no_thread(&threads[started], code);
			break;
		}
	}
	if (!status)
		thread_main(&threads[0]);
	for (uint32_t i = 1; i < started; i++)
		pthread_join(threads[i].id, NULL);
	for (uint32_t i = 0; i < started && !status; i++)
		status = threads[i].status;
	return status;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_others(struct pfw_crew *crew, const struct pfw_member *me)
{
	for (uint32_t r = 0; r < crew->how->ranks; r++) {
		close_fd(&crew->fds[r]);
		if (r < me->first || r >= me->first + me->n)
			close_fd(&crew->rank_fds[r]);
	}
	close_fd(&crew->signals);
	/* Links are the launcher's, who alone hangs up by ending. */
	for (uint32_t i = 0; i < n_links(crew); i++)
		close(pfw_link_fd(crew->how->meeting->guests[i].link));
}

static int member_main(struct pfw_crew *crew, const struct pfw_member *me)
{
	struct thread *threads = calloc(me->n, sizeof(*threads));
	int status;

	if (!threads)
		return PFW_EXIT_RESOURCES;
	rank_signals(crew);
	close_others(crew, me);
	for (uint32_t i = 0; i < me->n; i++) {
		uint32_t rank = me->first + i;

		threads[i].how = crew->how;
		threads[i].binding = &crew->binding;
		pfw_boot_fork_init(&threads[i].boot, crew->page,
				   crew->rank_fds[rank], rank,
				   crew->binding.threads, crew->place);
	}
	status = run_threads(threads, me->n);
	free(threads);
	return status;
}

int pfw_crew_start(struct pfw_crew *crew, struct pfw_error *err)
{
	pid_t parent = getpid();

	fflush(NULL);
	for (uint32_t i = 0; i < crew->n_members; i++) {
		struct pfw_member *member = &crew->members[i];
		pid_t pid;

		if (member->host)
			continue;
		pid = fork();
		if (pid < 0)
			return pfw_error_set(err, errno,
					     "cannot start the process of rank "
					     "%u: %s",
					     member->first, strerror(errno));
		if (!pid) {
			int status;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			status = member_main(crew, member);
			/* exit() for what watches it: coverage, leak checks. */
			pfw_crew_close(crew);
			exit(status);
		}
		member->pid = member->was = pid;
		crew->alive++;
	}
	for (uint32_t r = 0; r < crew->how->ranks; r++)
		close_fd(&crew->rank_fds[r]);
	return 0;
}

void pfw_crew_kill(struct pfw_crew *crew)
{
	for (uint32_t i = 0; i < crew->n_members; i++) {
		struct pfw_member *member = &crew->members[i];

		if (!member->pid || member->host)
			continue;
		kill(member->pid, SIGKILL);
		waitpid(member->pid, NULL, 0);
		member->pid = 0;
	}
}

void pfw_crew_close(struct pfw_crew *crew)
{
	for (uint32_t r = 0; r < crew->how->ranks; r++) {
		if (crew->fds)
			close_fd(&crew->fds[r]);
		if (crew->rank_fds)
			close_fd(&crew->rank_fds[r]);
	}
	close_fd(&crew->signals);
	pfw_hub_close(crew->hub);
	pfw_binding_close(&crew->binding);
	if (crew->page)
		munmap(crew->page, crew->page_bytes);
	free(crew->fds);
	free(crew->rank_fds);
	free(crew->polls);
	free(crew->told);
	free(crew->members);
	pthread_sigmask(SIG_SETMASK, &crew->old_mask, NULL);
}
