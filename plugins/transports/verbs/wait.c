/*
 * Spins, then sleeps on the completion channels and on the connection.  Queues
 * are armed before the last look, so nothing that comes between is missed:
 * arm, look, sleep.
 */
#include "wait.h"

#include "base/clock.h"
#include "complete.h"
#include "fault.h"
#include "flow.h"

#include <errno.h>
#include <poll.h>

/* A sleep is no longer: what makes no event is found then. */
#define LOOK_NS (100 * PFW_MS)
/* A sender's first one: its question may have missed the credit. */
#define FIRST_LOOK_NS PFW_MS
/* Looks between two at the clock. */
#define LOOKS 16
/* Events are acknowledged in batches: it takes a lock. */
#define ACK_BATCH 32

static bool is_ready(struct verbs_channel *c, uint32_t slot)
{
	verbs_progress(c);
	return verbs_flow_ready(c, slot);
}

/* Its end is news once; afterwards time passes as it does without it. */
static bool is_news(struct verbs_channel *c)
{
	if (c->mourned || (!c->broken.code && !c->bye && verbs_alive(c->call.socket)))
		return false;
	c->mourned = true;
	return true;
}

static bool spin(struct verbs_channel *c, uint32_t slot, uint64_t deadline)
{
	uint64_t end = pfw_now() + c->transport->spin_ns;

	if (end > deadline)
		end = deadline;
	do
		for (int i = 0; i < LOOKS; i++)
			if (is_ready(c, slot))
				return true;
	while (pfw_now() < end);
	return false;
}

static void arm(struct verbs_channel *c, bool solicited_only)
{
	for (uint32_t p = 0; p < c->n_ports; p++)
		ibv_req_notify_cq(c->port[p].cq, solicited_only);
}

static void take_events(struct verbs_channel *c)
{
	for (uint32_t p = 0; p < c->n_ports; p++) {
		struct verbs_port *port = &c->port[p];
		struct ibv_cq *cq;
		void *context;

		while (!ibv_get_cq_event(port->events, &cq, &context))
			port->unacked++;
		if (port->unacked >= ACK_BATCH) {
			ibv_ack_cq_events(port->cq, port->unacked);
			port->unacked = 0;
		}
	}
}

/* Until something happens or @p until; true: it was the time, or a signal. */
static bool sleep_until(struct verbs_channel *c, uint64_t now, uint64_t until)
{
	struct pollfd fds[VERBS_RAILS + 1];
	struct timespec t = {
		.tv_sec = (time_t)((until - now) / PFW_S),
		.tv_nsec = (long)((until - now) % PFW_S),
	};
	nfds_t n = 0;
	int rc;

	for (uint32_t p = 0; p < c->n_ports; p++)
		fds[n++] = (struct pollfd){ .fd = c->port[p].events->fd,
					    .events = POLLIN };
	/* A dead one would wake us all the time. */
	if (!c->mourned)
		fds[n++] = (struct pollfd){ .fd = c->call.socket,
					    .events = POLLRDHUP };
	rc = ppoll(fds, n, &t, NULL);
	c->sleeps++;
	if (rc <= 0)
		return true;
	take_events(c);
	return false;
}

int verbs_wait(struct verbs_channel *c, uint32_t slot, uint64_t deadline)
{
	uint64_t now, until, nap = c->sending ? FIRST_LOOK_NS : LOOK_NS;

	if (c->sending && slot >= c->n_slots)
		return -EINVAL;
	if (spin(c, slot, deadline))
		return 0;
	for (;;) {
		if (c->sending)
			verbs_ask(c, slot);
		arm(c, !verbs_flow_needs_own(c, slot));
		if (is_ready(c, slot) || is_news(c))
			return 0;
		now = pfw_now();
		if (now >= deadline)
			return -ETIMEDOUT;
		until = now + nap < deadline ? now + nap : deadline;
		nap = nap * 2 < LOOK_NS ? nap * 2 : LOOK_NS;
		/* A signal is the caller's to look at. */
		if (sleep_until(c, now, until) && pfw_now() < until)
			return 0;
	}
}

int verbs_check(struct verbs_channel *c, struct pfw_error *err)
{
	int rc = 0;

	verbs_progress(c);
	verbs_flow_check(c);
	if (c->bye || !verbs_alive(c->call.socket))
		return verbs_gone(c, err);
	if (c->broken.code)
		return pfw_error_set(err, c->broken.code, "%s", c->broken.text);
	for (uint32_t r = 0; !rc && r < c->transport->rails.n; r++)
		rc = verbs_watch(c, r, err);
	return rc;
}
