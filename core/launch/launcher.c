/* The launcher: one loop over the ranks' sockets, their deaths and signals. */
#include "launch/launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit.h"
#include "launch/far_run.h"
#include "launch/meet.h"

#define SETTLE_NS (500 * PFW_MS) /* for the others to reach their waits */
#define LEAVE_NS (1000 * PFW_MS) /* for ranks to end by themselves */

static void note(struct pfw_crew *crew, const char *text)
{
	if (crew->how->on_note)
		crew->how->on_note(crew->how->context, text);
}

/* The first cause wins, but "it went away" yields to "I gave up a wait" (sockets
 * are read in no order of time), and both to somebody's death or fault. */
static void fail(struct pfw_crew *crew, uint32_t rank, int status,
		 uint32_t kind, const char *text)
{
	if (crew->failed && kind >= crew->cause_kind)
		return;
	if (!crew->failed)
		crew->failed_at = pfw_now();
	crew->failed = 1;
	crew->cause_kind = kind;
	crew->cause_rank = rank;
	crew->result->status = status;
	snprintf(crew->cause, sizeof(crew->cause), "%s", text);
}

static void take_event(struct pfw_crew *crew, uint32_t rank,
		       const struct pfw_event *event)
{
	crew->last_sign = pfw_now();
	if (event->type == PFW_EVENT_FAIL) {
		crew->told[rank] = 1;
		fail(crew, rank, event->code, event->cause, event->text);
	} else if (crew->how->on_event) {
		crew->how->on_event(crew->how->context, event);
	}
}

/* One that a rank of this host or another sent. */
static void take_packet(struct pfw_crew *crew, uint32_t rank,
			struct pfw_control_packet *packet)
{
	struct pfw_error err = { 0 };

	if (pfw_crew_is_guest(crew)) {
		pfw_far_guest_packet(crew, rank, packet);
	} else if (packet->type == PFW_CONTROL_TELL) {
		packet->event.text[sizeof(packet->event.text) - 1] = 0;
		take_event(crew, rank, &packet->event);
	} else if (pfw_hub_take(crew->hub, rank, packet, &err)) {
		fail(crew, rank, PFW_EXIT_INTERNAL, PFW_CAUSE_OWN, err.text);
	}
}

/* With @all whatever the lead may think of it. */
static void take_packets(struct pfw_crew *crew, uint32_t rank, int all)
{
	struct pfw_control_packet packet;
	ssize_t n;

	while (crew->fds[rank] >= 0) {
		if (!all && pfw_crew_is_guest(crew) &&
		    !pfw_far_guest_ready(crew))
			return;
		n = recv(crew->fds[rank], &packet, sizeof(packet), MSG_DONTWAIT);
		/* It died with an answer unread; its own words come after. */
		if (n < 0 && errno == ECONNRESET)
			continue;
		if (n < 0)
			return;
		if (n == 0) {
			crew->polls[rank].fd = -1;
			return;
		}
		if (n != (ssize_t)sizeof(packet)) {
			fail(crew, rank, PFW_EXIT_INTERNAL, PFW_CAUSE_OWN,
			     "a rank sent half a packet");
			return;
		}
		take_packet(crew, rank, &packet);
	}
}

static void drain(struct pfw_crew *crew)
{
	for (uint32_t r = 0; r < crew->how->ranks; r++)
		take_packets(crew, r, 0);
}

static void took_leave(struct pfw_crew *crew, struct pfw_member *member,
		       int status)
{
	char text[256];

	member->pid = 0;
	crew->alive--;
	/* What it said before it went counts more than how it went. */
	for (uint32_t r = member->first; r < member->first + member->n; r++)
		take_packets(crew, r, 1);
	if (pfw_crew_is_guest(crew)) {
		pfw_far_guest_left(crew, member, status);
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	for (uint32_t r = member->first; r < member->first + member->n; r++)
		if (crew->told[r])
			return;
	/* Once all have been told to end, ends are no causes. */
	if (crew->explained)
		return;
	pfw_crew_death_text(crew, member, status, text, sizeof(text));
	fail(crew, member->first,
	     WIFSIGNALED(status) ? PFW_EXIT_DIED : WEXITSTATUS(status),
	     PFW_CAUSE_OWN, text);
}

static void reap(struct pfw_crew *crew)
{
	for (uint32_t i = 0; i < crew->n_members; i++) {
		struct pfw_member *member = &crew->members[i];
		int status;

		if (member->pid && !member->host &&
		    waitpid(member->pid, &status, WNOHANG) == member->pid)
			took_leave(crew, member, status);
	}
}

/* A step needs all ranks: until the last of them has begun, none is done. */
static int all_began(const struct pfw_crew *crew)
{
	for (uint32_t r = 0; r < crew->how->ranks; r++)
		if (atomic_load(&crew->page->status[r].phase) <
		    PFW_PHASE_RUNNING)
			return 0;
	return 1;
}

static void asked_to_end(struct pfw_crew *crew, int sig)
{
	int twice = crew->result->signal != 0;
	int guest = pfw_crew_is_guest(crew);

	crew->result->signal = sig;
	/* The lead knows how far all are, and ends them. */
	if (guest)
		pfw_far_guest_signal(crew, sig);
	if (twice || (!guest && !all_began(crew))) {
		fail(crew, 0, 128 + sig, PFW_CAUSE_OWN,
		     twice ? "interrupted twice: ended at once" :
			     "interrupted before the first step: there is "
			     "nothing to save");
		crew->failed_at = 0;
		return;
	}
	if (!guest)
		atomic_store(&crew->page->stop, 1);
	note(crew, "stopping after this step (once more to end at once)");
}

static void take_signals(struct pfw_crew *crew)
{
	struct signalfd_siginfo info;
	char text[8192];

	while (read(crew->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch ((int)info.ssi_signo) {
		case SIGUSR2:
			pfw_crew_picture(crew, text, sizeof(text));
			note(crew, text);
			break;
		case SIGCHLD:
			break;
		default:
			asked_to_end(crew, (int)info.ssi_signo);
		}
	}
}

/* Nobody moves, and one of us is stopped: nobody may be waiting to say so. */
static void look_for_stopped(struct pfw_crew *crew)
{
	uint64_t turns = 0, now = pfw_now();
	char text[256];

	for (uint32_t r = 0; r < crew->how->ranks; r++)
		turns += atomic_load_explicit(&crew->page->status[r].turns,
					      memory_order_relaxed);
	/* A loop takes 0.2 s: after a longer one we were stopped ourselves, and
	 * the ranks with us. */
	if (turns != crew->last_turns || now - crew->last_look > 2 * PFW_S) {
		crew->last_turns = turns;
		crew->last_sign = now;
	}
	crew->last_look = now;
	if (crew->failed || pfw_crew_is_guest(crew) ||
	    (double)(now - crew->last_sign) < crew->how->timeout * 1e9)
		return;
	for (uint32_t i = 0; i < crew->n_members; i++) {
		const struct pfw_member *member = &crew->members[i];
		char process[128];

		if (!pfw_member_stopped(member))
			continue;
		pfw_member_process(member, process, sizeof(process));
		snprintf(text, sizeof(text),
			 "rank %u (%s) is stopped and made no progress for "
			 "%.0f s", member->first, process, crew->how->timeout);
		fail(crew, member->first, PFW_EXIT_HUNG, PFW_CAUSE_OWN, text);
	}
}

/* Who found another gone may do so before that one's process has ended: its end is
 * the cause, and what it waited for when it was killed is none. */
static int has_settled(const struct pfw_crew *crew)
{
	return crew->cause_kind != PFW_CAUSE_LEFT && pfw_crew_all_wait(crew);
}

/* After a failure: let the others reach their waits, look, then end them. */
static void see_to_end(struct pfw_crew *crew)
{
	uint64_t now = pfw_now();

	if (!crew->failed)
		return;
	if (!crew->explained &&
	    (has_settled(crew) || now - crew->failed_at > SETTLE_NS)) {
		pfw_crew_explain(crew);
		crew->explained = 1;
		crew->ending_at = now;
		atomic_store(&crew->page->abort, 1);
	}
	if (crew->explained && !crew->killing &&
	    now - crew->ending_at > LEAVE_NS) {
		crew->killing = 1;
		for (uint32_t i = 0; i < crew->n_members; i++)
			if (crew->members[i].pid && !crew->members[i].host)
				kill(crew->members[i].pid, SIGKILL);
	}
	/* Their launchers have done the same, or are not there. */
	if (crew->killing && pfw_crew_leads(crew) &&
	    now - crew->ending_at > 2 * LEAVE_NS)
		pfw_far_lead_abandon(crew);
}

static void far_serve(struct pfw_crew *crew)
{
	static const struct pfw_far_calls calls = {
		.packet = take_packet,
		.left = took_leave,
		.signal = asked_to_end,
		.fail = fail,
	};

	if (pfw_crew_leads(crew))
		pfw_far_lead_serve(crew, &calls);
	if (pfw_crew_is_guest(crew))
		pfw_far_guest_serve(crew, &calls);
}

/* Sockets of ranks, signals, links; not of ranks that would not be heard. */
static void wait_for_all(struct pfw_crew *crew)
{
	const struct pfw_meeting *m = crew->how->meeting;
	uint32_t n = crew->how->ranks + 1;
	int deaf = pfw_crew_is_guest(crew) && !pfw_far_guest_ready(crew);

	for (uint32_t r = 0; r < crew->how->ranks; r++)
		crew->polls[r].events = deaf ? 0 : POLLIN;
	for (uint32_t i = 0; m && i < m->n_guests; i++, n++) {
		const struct pfw_link *link = m->guests[i].link;

		crew->polls[n].fd = link ? pfw_link_fd(link) : -1;
		crew->polls[n].events = link ? pfw_link_events(link) : 0;
	}
	poll(crew->polls, n, crew->failed ? 10 : 200);
}

/* There is something to wait for: a rank, or what the lead has to say. */
static int goes_on(const struct pfw_crew *crew)
{
	return crew->alive ||
	       (pfw_crew_is_guest(crew) && pfw_far_guest_waits(crew));
}

static void serve(struct pfw_crew *crew)
{
	while (goes_on(crew)) {
		wait_for_all(crew);
		drain(crew);
		take_signals(crew);
		reap(crew);
		far_serve(crew);
		look_for_stopped(crew);
		see_to_end(crew);
	}
	drain(crew);
	if (crew->failed && !crew->explained)
		pfw_crew_explain(crew);
	if (pfw_crew_leads(crew))
		pfw_far_lead_end(crew);
}

int pfw_launch(const struct pfw_launch *how, struct pfw_launch_result *result,
	       struct pfw_error *err)
{
	struct pfw_crew crew;
	int rc;

	memset(result, 0, sizeof(*result));
	rc = pfw_crew_open(&crew, how, result, err);
	if (rc)
		return rc;
	rc = pfw_crew_start(&crew, err);
	if (rc) {
		atomic_store(&crew.page->abort, 1);
		pfw_crew_kill(&crew);
	} else {
		serve(&crew);
	}
	pfw_crew_close(&crew);
	return rc;
}
