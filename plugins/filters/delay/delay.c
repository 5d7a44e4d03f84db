/*
 * delay: the transport below, behind a link of some latency and bandwidth.
 *
 * The sender works out when the message would have arrived and writes that
 * behind the payload; the receiver takes the message and keeps it until then.
 * Messages of a channel follow each other over its link; freed slots come back
 * at once.  The time is the host's monotonic clock: both ends on one host.
 */
#include "../common/dice.h"
#include "../common/trailer.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static const struct pfw_option options[] = {
	{ .name = "latency_us", .type = PFW_OPT_FLOAT, .def = "0", .max = 1e9,
	  .help = "time from end to end of the link, in microseconds" },
	{ .name = "bandwidth_gbps", .type = PFW_OPT_FLOAT, .def = "0", .max = 1e6,
	  .help = "bandwidth of the link in Gbit/s, 0 for no limit" },
	{ .name = "jitter_us", .type = PFW_OPT_FLOAT, .def = "0", .max = 1e9,
	  .help = "up to so many microseconds more, by chance" },
	{ .name = "seed", .type = PFW_OPT_INT, .def = "1",
	  .help = "what the chance depends on" },
};

struct link {
	double latency, jitter; /* ns */
	double ns_per_byte;
	uint64_t seed;
};

struct transport {
	struct pfw_below below;
	struct link link;
	uint64_t spin_ns;
};

struct channel {
	struct trailed below; /* a trailer's value: when it arrives */
	struct link link;
	uint64_t spin_ns;
	uint64_t dice;
	uint64_t link_free; /* sender: when the last message has left */
	/* receiver: a message that is on its way */
	int held;
	uint32_t slot;
	struct trailer trailer;
	struct pfw_message_id id;
};

static struct link read_link(const struct pfw_values *opt)
{
	double gbps = pfw_value_float(opt, "bandwidth_gbps");

	return (struct link){
		.latency = pfw_value_float(opt, "latency_us") * 1e3,
		.jitter = pfw_value_float(opt, "jitter_us") * 1e3,
		.ns_per_byte = gbps > 0 ? 8 / gbps : 0,
		.seed = (uint64_t)pfw_value_int(opt, "seed"),
	};
}

static void delay_props(const struct pfw_values *opt, struct pfw_transport_props *out)
{
	struct link link = read_link(opt);
	uint64_t bandwidth;

	if (out->size < sizeof(*out))
		return;
	trailer_props(out);
	out->latency += (uint64_t)(link.latency + link.jitter / 2);
	if (link.ns_per_byte <= 0)
		return;
	bandwidth = (uint64_t)(1e9 / link.ns_per_byte);
	if (!out->bandwidth || bandwidth < out->bandwidth)
		out->bandwidth = bandwidth;
}

static int delay_open(const struct pfw_values *opt,
		      const struct pfw_transport_info *info,
		      const struct pfw_below *below, void **transport,
		      struct pfw_address *self, struct pfw_error *err)
{
	struct transport *t = calloc(1, sizeof(*t));

	(void)self;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	t->below = *below;
	t->link = read_link(opt);
	t->spin_ns = info->spin_ns;
	*transport = t;
	return 0;
}

static void delay_close(void *transport)
{
	free(transport);
}

static int delay_open_channel(void *transport, const struct pfw_channel_info *info,
			      const struct pfw_address *peer, void **channel,
			      struct pfw_error *err)
{
	const struct transport *t = transport;
	struct channel *c = *channel;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return pfw_error_set(err, ENOMEM, "out of memory");
		c->link = t->link;
		c->spin_ns = t->spin_ns;
		c->dice = dice_row(t->link.seed, info);
		*channel = c;
	}
	return trailer_open_channel(&t->below, info, peer, &c->below, err);
}

static void delay_close_channel(void *channel)
{
	struct channel *c = channel;

	if (!c)
		return;
	forward_close_channel(&c->below.below);
	free(c);
}

static uint64_t arrival(struct channel *c, uint64_t bytes)
{
	uint64_t now = pfw_now();
	uint64_t start = now > c->link_free ? now : c->link_free;

	c->link_free = start + (uint64_t)((double)bytes * c->link.ns_per_byte);
	return c->link_free + (uint64_t)(c->link.latency + c->link.jitter *
					 dice_throw(c->dice, c->below.messages));
}

static int delay_send(void *channel, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	int rc = trailer_fits(&c->below, slot, bytes, err);

	return rc ? rc : trailer_send(&c->below, slot, bytes, arrival(c, bytes),
				      id, err);
}

/* The next message from below, whether or not its time has come. */
static int hold(struct channel *c, struct pfw_error *err)
{
	int rc = c->held ? 0 : trailer_recv(&c->below, &c->slot, &c->trailer,
					    &c->id, err);

	c->held = !rc;
	return rc;
}

static int delay_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		      struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	int rc = hold(c, err);

	if (rc)
		return rc;
	if (pfw_now() < c->trailer.value)
		return -EAGAIN;
	*slot = c->slot;
	*bytes = c->trailer.bytes;
	*id = c->id;
	c->held = 0;
	return 0;
}

/* Exactly: a thread's timers are late by 50 us unless it asks for better. */
static int sleep_until(uint64_t wake)
{
	struct timespec t = {
		.tv_sec = (time_t)(wake / PFW_S), .tv_nsec = (long)(wake % PFW_S),
	};
	int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), rc;

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	rc = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	if (slack > 0)
		prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0);
	return rc;
}

/* Sleeps but for the last bit, which is shorter than waking up takes. */
static int wait_for_arrival(const struct channel *c, uint64_t deadline)
{
	uint64_t until = c->trailer.value < deadline ? c->trailer.value : deadline;
	uint64_t wake = until > c->spin_ns ? until - c->spin_ns : 0;

	if (pfw_now() < wake && sleep_until(wake))
		return 0; /* a signal, which is the caller's to look at */
	while (pfw_now() < until)
		;
	return until == deadline ? -ETIMEDOUT : 0;
}

static int delay_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	const struct channel *c = channel;

	if (slot == PFW_NONE && c->held)
		return wait_for_arrival(c, deadline);
	return forward_wait(channel, slot, deadline);
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.props = delay_props,
	.open = delay_open,
	.close = delay_close,
	.open_channel = delay_open_channel,
	.close_channel = delay_close_channel,
	.slot = forward_slot,
	.acquire = forward_acquire,
	.send = delay_send,
	.recv = delay_recv,
	.release = forward_release,
	.wait = delay_wait,
	.check = forward_check,
	.stats = trailer_stats,
	.post = trailer_post,
};

PFW_PLUGIN(.kind = PFW_KIND_FILTER, .name = "delay",
	   .thread_model = PFW_THREAD_OBJECT,
	   .summary = "latency and bandwidth of a link that is not there",
	   PFW_OPTIONS(options), .ops = &ops);
