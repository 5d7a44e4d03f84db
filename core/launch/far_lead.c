/* The lead's side of a run on several hosts. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/exit.h"
#include "launch/far.h"
#include "launch/far_run.h"
#include "launch/meet.h"

#define FAREWELL_NS (2 * PFW_S)

static int has(const struct pfw_guest *g, uint32_t rank)
{
	return rank >= g->first && rank - g->first < g->n;
}

static int is_of(const struct pfw_member *member, const struct pfw_guest *g)
{
	return member->host && has(g, member->first);
}

static struct pfw_member *member_at(struct pfw_crew *crew,
				    const struct pfw_guest *g, uint32_t first)
{
	for (uint32_t i = 0; i < crew->n_members; i++)
		if (is_of(&crew->members[i], g) &&
		    crew->members[i].first == first)
			return &crew->members[i];
	return NULL;
}

/* Its ranks are lost to us, whatever they do now. */
static void lose(struct pfw_crew *crew, struct pfw_guest *g)
{
	for (uint32_t i = 0; i < crew->n_members; i++) {
		struct pfw_member *member = &crew->members[i];

		if (!is_of(member, g) || !member->pid)
			continue;
		member->pid = 0;
		crew->alive--;
	}
	pfw_link_close(g->link);
	g->link = NULL;
}

static void is_gone(struct pfw_crew *crew, struct pfw_guest *g,
		    const struct pfw_far_calls *calls, int rc, const char *why)
{
	char text[512], ranks[48];
	int living = 0;

	for (uint32_t i = 0; i < crew->n_members; i++)
		living |= is_of(&crew->members[i], g) && crew->members[i].pid;
	lose(crew, g);
	if (!living || crew->explained)
		return;
	pfw_ranks_text(g->first, g->n, ranks, sizeof(ranks));
	snprintf(text, sizeof(text), "the launcher of %s on host %s %s: %.200s",
		 ranks, g->name,
		 rc == -EPIPE ? "is gone, or its host cannot be reached" :
				"is no longer believed", why);
	calls->fail(crew, g->first, PFW_EXIT_DIED, PFW_CAUSE_OWN, text);
}

static void send_state(struct pfw_crew *crew, struct pfw_guest *g,
		       uint32_t answers)
{
	struct pfw_far_state state = {
		.now = pfw_now(),
		.abort = atomic_load(&crew->page->abort),
		.stop = atomic_load(&crew->page->stop),
		.answers = answers,
	};

	for (uint32_t r = 0; r < crew->how->ranks; r++)
		if (!has(g, r))
			state.elsewhere += atomic_load_explicit(
				&crew->page->status[r].turns,
				memory_order_relaxed);
	pfw_link_send(g->link, PFW_FAR_STATE, 0, &state, sizeof(state), NULL);
}

static int take_member(struct pfw_crew *crew, struct pfw_guest *g,
		       const struct pfw_frame *f)
{
	struct pfw_member *member = member_at(crew, g, f->rank);
	struct pfw_far_member in;

	if (f->len != sizeof(in))
		return -EPROTO;
	memcpy(&in, f->body, sizeof(in));
	/* Which ranks share a process follows from the settings, and is known. */
	if (!member || in.pid <= 0 || in.n != member->n)
		return -EPROTO;
	member->was = in.pid;
	if (member->pid)
		member->pid = in.pid;
	member->stopped = in.stopped != 0;
	return 0;
}

static int take_left(struct pfw_crew *crew, struct pfw_guest *g,
		     const struct pfw_frame *f,
		     const struct pfw_far_calls *calls)
{
	struct pfw_member *member = member_at(crew, g, f->rank);
	int32_t status;

	if (!member || !member->pid || f->len != sizeof(status))
		return -EPROTO;
	memcpy(&status, f->body, sizeof(status));
	member->stopped = 0;
	calls->left(crew, member, status);
	return 0;
}

static int take_packet(struct pfw_crew *crew, const struct pfw_frame *f,
		       const struct pfw_far_calls *calls)
{
	struct pfw_control_packet packet;

	if (pfw_far_packet_read(f->body, f->len, &packet))
		return -EPROTO;
	if (packet.type == PFW_CONTROL_TELL)
		packet.event.rank = f->rank;
	calls->packet(crew, f->rank, &packet);
	return 0;
}

static int take_status(struct pfw_crew *crew, const struct pfw_frame *f)
{
	struct pfw_far_status status;

	if (f->len != sizeof(status))
		return -EPROTO;
	memcpy(&status, f->body, sizeof(status));
	pfw_far_status_show(&status, &crew->page->status[f->rank]);
	return 0;
}

static int take_frame(struct pfw_crew *crew, struct pfw_guest *g,
		      const struct pfw_frame *f,
		      const struct pfw_far_calls *calls)
{
	int32_t sig;

	switch (f->type) {
	case PFW_FAR_BEAT:
		send_state(crew, g, 1);
		return 0;
	case PFW_FAR_SIGNAL:
		if (f->len != sizeof(sig))
			return -EPROTO;
		memcpy(&sig, f->body, sizeof(sig));
		if (sig < 1 || sig > 64)
			return -EPROTO;
		calls->signal(crew, sig);
		return 0;
	}
	if (!has(g, f->rank))
		return -EPROTO;
	switch (f->type) {
	case PFW_FAR_PACKET:
		return take_packet(crew, f, calls);
	case PFW_FAR_STATUS:
		return take_status(crew, f);
	case PFW_FAR_MEMBER:
		return take_member(crew, g, f);
	case PFW_FAR_LEFT:
		return take_left(crew, g, f, calls);
	}
	return -EPROTO;
}

static void serve_guest(struct pfw_crew *crew, struct pfw_guest *g,
			const struct pfw_far_calls *calls)
{
	struct pfw_error err = { 0 };
	struct pfw_frame frame;
	int rc = 0;

	while (!rc && g->link) {
		rc = pfw_link_receive(g->link, &frame, &err);
		if (!rc && take_frame(crew, g, &frame, calls))
			rc = pfw_error_set(&err, EPROTO,
					   "it sent a message out of form");
	}
	if (rc == -EAGAIN) {
		rc = pfw_link_flush(g->link, &err);
		rc = rc == -EAGAIN ? 0 : rc;
	}
	if (rc)
		is_gone(crew, g, calls, rc, err.text);
}

void pfw_far_lead_serve(struct pfw_crew *crew,
			const struct pfw_far_calls *calls)
{
	struct pfw_meeting *m = crew->how->meeting;
	uint32_t said = atomic_load(&crew->page->abort) * 2 +
			atomic_load(&crew->page->stop);

	for (uint32_t i = 0; i < m->n_guests; i++)
		if (m->guests[i].link)
			serve_guest(crew, &m->guests[i], calls);
	if (said == crew->far.said)
		return;
	crew->far.said = said;
	for (uint32_t i = 0; i < m->n_guests; i++)
		if (m->guests[i].link)
			send_state(crew, &m->guests[i], 0);
}

void pfw_far_lead_answer(struct pfw_crew *crew, uint32_t rank,
			 const struct pfw_control_packet *packet)
{
	struct pfw_meeting *m = crew->how->meeting;

	for (uint32_t i = 0; i < m->n_guests; i++)
		if (m->guests[i].link && has(&m->guests[i], rank))
			pfw_link_send(m->guests[i].link, PFW_FAR_PACKET, rank,
				      packet, pfw_far_packet_bytes(packet),
				      NULL);
}

void pfw_far_lead_abandon(struct pfw_crew *crew)
{
	struct pfw_meeting *m = crew->how->meeting;

	for (uint32_t i = 0; i < m->n_guests; i++)
		if (m->guests[i].link)
			lose(crew, &m->guests[i]);
}

/* What is queued goes out, or they will see that we have left. */
static void flush(struct pfw_guest *g, uint64_t deadline)
{
	struct pollfd p = { .fd = pfw_link_fd(g->link), .events = POLLOUT };

	while (pfw_link_flush(g->link, NULL) == -EAGAIN && pfw_now() < deadline)
		poll(&p, 1, 50);
}

void pfw_far_lead_end(struct pfw_crew *crew)
{
	struct pfw_meeting *m = crew->how->meeting;
	uint64_t deadline = pfw_now() + FAREWELL_NS;
	struct pfw_far_end end = {
		.status = crew->result->status,
		.signal = crew->result->signal,
	};

	memcpy(end.text, crew->result->text, sizeof(end.text));
	for (uint32_t i = 0; i < m->n_guests; i++) {
		struct pfw_guest *g = &m->guests[i];

		if (g->link && !pfw_link_send(g->link, PFW_FAR_END, 0, &end,
					      sizeof(end), NULL))
			flush(g, deadline);
	}
}
