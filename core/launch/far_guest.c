/* A guest's side of a run on several hosts. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/exit.h"
#include "launch/far.h"
#include "launch/far_run.h"
#include "launch/meet.h"

#define BEAT_NS (200 * PFW_MS)
#define DEAF_NS (300 * PFW_MS) /* unanswered: the lead is held up */
/* What may be on its way to a lead that does not read: less than the sockets'
 * buffers hold, or its host would seem to be gone. */
#define WINDOW 65536u

static struct pfw_guest *lead_of(const struct pfw_crew *crew)
{
	return &crew->how->meeting->guests[0];
}

static void send_frame(struct pfw_crew *crew, uint32_t type, uint32_t rank,
		       const void *body, size_t len)
{
	struct pfw_guest *lead = lead_of(crew);

	/* That it is gone is seen where it is listened to. */
	if (lead->link)
		pfw_link_send(lead->link, type, rank, body, len, NULL);
}

static uint64_t unanswered(const struct pfw_crew *crew)
{
	return pfw_link_queued(lead_of(crew)->link) - crew->far.answered;
}

int pfw_far_guest_ready(const struct pfw_crew *crew)
{
	return lead_of(crew)->link && unanswered(crew) < WINDOW;
}

void pfw_far_guest_packet(struct pfw_crew *crew, uint32_t rank,
			  const struct pfw_control_packet *packet)
{
	send_frame(crew, PFW_FAR_PACKET, rank, packet,
		   pfw_far_packet_bytes(packet));
}

static void send_member(struct pfw_crew *crew, const struct pfw_member *member)
{
	struct pfw_far_member body = {
		.n = member->n,
		.pid = (int32_t)member->was,
		.stopped = (uint32_t)pfw_member_stopped(member),
	};

	send_frame(crew, PFW_FAR_MEMBER, member->first, &body, sizeof(body));
}

static void send_status(struct pfw_crew *crew, const struct pfw_member *member)
{
	struct pfw_far_status status;

	for (uint32_t r = member->first; r < member->first + member->n; r++) {
		pfw_far_status_take(&crew->page->status[r], &status);
		send_frame(crew, PFW_FAR_STATUS, r, &status, sizeof(status));
	}
}

void pfw_far_guest_left(struct pfw_crew *crew, const struct pfw_member *member,
			int status)
{
	int32_t body = status;

	send_member(crew, member);
	send_status(crew, member);
	send_frame(crew, PFW_FAR_LEFT, member->first, &body, sizeof(body));
}

/* What it means depends on how far all are. */
void pfw_far_guest_signal(struct pfw_crew *crew, int sig)
{
	int32_t body = sig;

	for (uint32_t i = 0; i < crew->n_members; i++)
		send_status(crew, &crew->members[i]);
	send_frame(crew, PFW_FAR_SIGNAL, 0, &body, sizeof(body));
}

/* One at a time: what a deaf lead has not read does not grow. */
static void beat(struct pfw_crew *crew)
{
	uint64_t now = pfw_now();

	if (crew->far.beat_at) {
		if (!crew->far.deaf && now - crew->far.beat_at > DEAF_NS) {
			crew->far.deaf = 1;
			atomic_fetch_add(&crew->page->held, 1);
		}
		return;
	}
	if (now - crew->far.last_beat < BEAT_NS &&
	    unanswered(crew) < WINDOW / 2)
		return;
	for (uint32_t i = 0; i < crew->n_members; i++) {
		if (!crew->members[i].pid)
			continue;
		send_member(crew, &crew->members[i]);
		send_status(crew, &crew->members[i]);
	}
	send_frame(crew, PFW_FAR_BEAT, 0, NULL, 0);
	crew->far.beat_at = crew->far.last_beat = now;
	crew->far.beat_bytes = pfw_link_queued(lead_of(crew)->link);
}

/* The best guess is that of the quickest way there and back. */
static void compare_clocks(struct pfw_crew *crew, uint64_t theirs)
{
	uint64_t now = pfw_now(), took = now - crew->far.beat_at;

	if (crew->far.quickest && took >= crew->far.quickest)
		return;
	crew->far.quickest = took ? took : 1;
	atomic_store_explicit(&crew->page->clock_ahead,
			      (int64_t)(theirs - (now - took / 2)),
			      memory_order_relaxed);
}

static int take_state(struct pfw_crew *crew, const struct pfw_frame *f)
{
	struct pfw_far_state state;

	if (f->len != sizeof(state))
		return -EPROTO;
	memcpy(&state, f->body, sizeof(state));
	atomic_store(&crew->page->elsewhere, state.elsewhere);
	if (state.stop)
		atomic_store(&crew->page->stop, 1);
	/* Why is the lead's to say. */
	if (state.abort && !crew->explained) {
		crew->failed = crew->explained = 1;
		crew->ending_at = pfw_now();
		crew->result->status = PFW_EXIT_DIED;
		atomic_store(&crew->page->abort, 1);
	}
	if (!state.answers || !crew->far.beat_at)
		return 0;
	compare_clocks(crew, state.now);
	crew->far.answered = crew->far.beat_bytes;
	crew->far.beat_at = 0;
	if (crew->far.deaf)
		atomic_fetch_sub(&crew->page->held, 1);
	crew->far.deaf = 0;
	return 0;
}

static int take_packet(struct pfw_crew *crew, const struct pfw_frame *f)
{
	const struct pfw_place *place = &crew->how->meeting->place;
	struct pfw_control_packet packet;
	ssize_t n;

	if (f->rank < place->first || f->rank - place->first >= place->n ||
	    pfw_far_packet_read(f->body, f->len, &packet))
		return -EPROTO;
	n = send(crew->fds[f->rank], &packet, sizeof(packet),
		 MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)n; /* as the hub's own answers */
	return 0;
}

static int take_end(struct pfw_crew *crew, const struct pfw_frame *f)
{
	struct pfw_launch_result *result = crew->result;
	struct pfw_far_end end;

	if (f->len != sizeof(end))
		return -EPROTO;
	memcpy(&end, f->body, sizeof(end));
	end.text[sizeof(end.text) - 1] = 0;
	result->status = end.status;
	result->signal = end.signal;
	memcpy(result->text, end.text, sizeof(result->text));
	crew->far.ended = 1;
	return 0;
}

static int take_frame(struct pfw_crew *crew, const struct pfw_frame *f)
{
	switch (f->type) {
	case PFW_FAR_PACKET:
		return take_packet(crew, f);
	case PFW_FAR_STATE:
		return take_state(crew, f);
	case PFW_FAR_END:
		return take_end(crew, f);
	}
	return -EPROTO;
}

static void lose_lead(struct pfw_crew *crew, const struct pfw_far_calls *calls,
		      int rc, const char *why)
{
	struct pfw_guest *lead = lead_of(crew);
	char text[512];

	pfw_link_close(lead->link);
	lead->link = NULL;
	if (crew->far.ended)
		return;
	snprintf(text, sizeof(text), "the launcher of rank 0 at %s %s: %.200s",
		 lead->name,
		 rc == -EPIPE ? "is gone, or its host cannot be reached" :
				"is no longer believed", why);
	if (crew->explained)
		snprintf(crew->result->text, sizeof(crew->result->text), "%s",
			 text);
	calls->fail(crew, crew->how->meeting->place.first, PFW_EXIT_DIED,
		    PFW_CAUSE_OWN, text);
}

void pfw_far_guest_serve(struct pfw_crew *crew,
			 const struct pfw_far_calls *calls)
{
	struct pfw_guest *lead = lead_of(crew);
	struct pfw_error err = { 0 };
	struct pfw_frame frame;
	int rc = 0;

	if (!lead->link)
		return;
	while (!rc) {
		rc = pfw_link_receive(lead->link, &frame, &err);
		if (!rc && take_frame(crew, &frame))
			rc = pfw_error_set(&err, EPROTO,
					   "it sent a message out of form");
	}
	if (rc == -EAGAIN) {
		beat(crew);
		rc = pfw_link_flush(lead->link, &err);
		rc = rc == -EAGAIN ? 0 : rc;
	}
	if (rc)
		lose_lead(crew, calls, rc, err.text);
}

int pfw_far_guest_waits(const struct pfw_crew *crew)
{
	return lead_of(crew)->link && !crew->far.ended;
}
