/*
 * fault: makes a sent message go wrong, to see what the rest makes of it.
 *
 * Which one: the `at`-th that this rank sends, a share of them by chance, all
 * of them while a trigger file is there; or any of these.
 */
#include "../common/dice.h"
#include "../common/forward.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct pfw_option options[] = {
	{ .name = "fault", .type = PFW_OPT_CHOICE, .def = "error",
	  .choices = "drop|corrupt|error|stall|kill",
	  .help = "what happens to the message, or to the process that sends it" },
	{ .name = "at", .type = PFW_OPT_INT, .def = "0", .max = 1e15,
	  .help = "number of the message that is hit, as the rank sends them, "
		  "counted from 1; 0 for none" },
	{ .name = "rate", .type = PFW_OPT_FLOAT, .def = "0", .max = 1,
	  .help = "share of the messages that are hit by chance" },
	{ .name = "seed", .type = PFW_OPT_INT, .def = "1",
	  .help = "what the chance depends on" },
	{ .name = "trigger", .type = PFW_OPT_STRING, .flags = PFW_OPTION_PATH,
	  .help = "file: while it is there every message is hit" },
	{ .name = "rank", .type = PFW_OPT_INT, .max = 1e9,
	  .help = "the one rank whose messages are hit; all, unless given" },
	{ .name = "stall_ms", .type = PFW_OPT_INT, .def = "1000", .max = 1e9,
	  .help = "how long a stalled rank does nothing at all" },
};

struct channel;

struct plan {
	int (*hit)(struct channel *c, uint32_t slot, uint64_t bytes,
		   struct pfw_error *err);
	uint64_t at, seed;
	double rate;
	struct timespec stall;
	uint32_t rank;
	bool here; /* this rank is meant */
	char *trigger;
};

struct transport {
	struct pfw_below below;
	struct plan plan;
	_Atomic uint64_t sent; /* over all channels, which may have threads */
};

struct channel {
	struct forward below;
	struct transport *transport;
	uint64_t dice, messages;
	uint32_t n_slots;
	bool *lost; /* [n_slots] its message was dropped: it never comes back */
};

/* What a hit does before the message is sent; 1: it is not sent at all. */

static int drop(struct channel *c, uint32_t slot, uint64_t bytes,
		struct pfw_error *err)
{
	(void)bytes;
	(void)err;
	c->lost[slot] = true;
	return 1;
}

/* A bit of every eight bytes, so that who looks at any of them sees it. */
static int corrupt(struct channel *c, uint32_t slot, uint64_t bytes,
		   struct pfw_error *err)
{
	unsigned char *at = c->below.ops->slot(c->below.channel, slot);

	(void)err;
	for (uint64_t i = 0; i < bytes; i += 8) {
		uint64_t bit = dice_mix(c->dice ^ c->messages ^ i << 32) % 64;

		if (i + bit / 8 < bytes)
			at[i + bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	return 0;
}

static int error(struct channel *c, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err)
{
	(void)slot;
	(void)bytes;
	return pfw_error_set(err, EIO, "message %llu of rank %u fails, as the fault "
			     "filter was told",
			     (unsigned long long)atomic_load(&c->transport->sent),
			     c->transport->plan.rank);
}

static int stall(struct channel *c, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err)
{
	struct timespec left = c->transport->plan.stall;

	(void)slot;
	(void)bytes;
	(void)err;
	while (nanosleep(&left, &left) && errno == EINTR)
		;
	return 0;
}

static int kill_self(struct channel *c, uint32_t slot, uint64_t bytes,
		     struct pfw_error *err)
{
	(void)c;
	(void)slot;
	(void)bytes;
	(void)err;
	kill(getpid(), SIGKILL);
	return 0;
}

static const struct {
	const char *name;
	int (*hit)(struct channel *c, uint32_t slot, uint64_t bytes,
		   struct pfw_error *err);
} faults[] = {
	{ "drop", drop },
	{ "corrupt", corrupt },
	{ "error", error },
	{ "stall", stall },
	{ "kill", kill_self },
};

static int read_plan(const struct pfw_values *opt,
		     const struct pfw_transport_info *info, struct plan *p,
		     struct pfw_error *err)
{
	const char *trigger = pfw_value_string(opt, "trigger");
	const char *fault = pfw_value_string(opt, "fault");
	int64_t ms = pfw_value_int(opt, "stall_ms");
	bool one = pfw_value_set(opt, "rank");

	if (one && pfw_value_int(opt, "rank") >= info->ranks)
		return pfw_error_set(err, EINVAL, "fault: rank is %lld, but ranks go "
				     "from 0 to %u",
				     (long long)pfw_value_int(opt, "rank"),
				     info->ranks - 1);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (fault && !strcmp(fault, faults[i].name))
			p->hit = faults[i].hit;
	p->at = (uint64_t)pfw_value_int(opt, "at");
	p->rate = pfw_value_float(opt, "rate");
	p->seed = (uint64_t)pfw_value_int(opt, "seed");
	p->stall = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	p->rank = info->rank;
	p->here = !one || pfw_value_int(opt, "rank") == info->rank;
	p->trigger = trigger ? strdup(trigger) : NULL;
	if (trigger && !p->trigger)
		return pfw_error_set(err, ENOMEM, "out of memory");
	return 0;
}

/* Of a message that it corrupts it looks at the bytes. */
static void fault_props(const struct pfw_values *opt,
			struct pfw_transport_props *out)
{
	const char *fault = pfw_value_string(opt, "fault");

	if (out->size >= sizeof(*out) && fault && !strcmp(fault, "corrupt"))
		out->memory &= PFW_MEM_HOST;
}

static int fault_open(const struct pfw_values *opt,
		      const struct pfw_transport_info *info,
		      const struct pfw_below *below, void **transport,
		      struct pfw_address *self, struct pfw_error *err)
{
	struct transport *t = calloc(1, sizeof(*t));
	int rc;

	(void)self;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	t->below = *below;
	rc = read_plan(opt, info, &t->plan, err);
	if (rc) {
		free(t);
		return rc;
	}
	*transport = t;
	return 0;
}

static void fault_close(void *transport)
{
	struct transport *t = transport;

	if (!t)
		return;
	free(t->plan.trigger);
	free(t);
}

static void fault_close_channel(void *channel)
{
	struct channel *c = channel;

	if (!c)
		return;
	forward_close_channel(&c->below);
	free(c->lost);
	free(c);
}

static int fault_open_channel(void *transport, const struct pfw_channel_info *info,
			      const struct pfw_address *peer, void **channel,
			      struct pfw_error *err)
{
	struct transport *t = transport;
	struct channel *c = *channel;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return pfw_error_set(err, ENOMEM, "out of memory");
		*channel = c;
		c->transport = t;
		c->dice = dice_row(t->plan.seed, info);
		c->n_slots = info->n_slots;
		c->lost = calloc(info->n_slots, sizeof(*c->lost));
		if (!c->lost)
			return pfw_error_set(err, ENOMEM, "out of memory");
	}
	return forward_open_channel(&t->below, info, peer, &c->below, err);
}

static bool is_hit(const struct plan *p, const struct channel *c, uint64_t number)
{
	return p->here && (number == p->at ||
			   (p->rate > 0 && dice_throw(c->dice, c->messages) < p->rate) ||
			   (p->trigger && !access(p->trigger, F_OK)));
}

static int fault_send(void *channel, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	const struct plan *p = &c->transport->plan;
	uint64_t number = atomic_fetch_add(&c->transport->sent, 1) + 1;
	int rc;

	if (slot < c->n_slots && is_hit(p, c, number)) {
		rc = p->hit(c, slot, bytes, err);
		c->messages++;
		if (rc)
			return rc < 0 ? rc : 0;
	} else {
		c->messages++;
	}
	return forward_send(c, slot, bytes, id, err);
}

static int fault_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	const struct channel *c = channel;

	if (slot < c->n_slots && c->lost[slot])
		return -EAGAIN;
	return forward_acquire(channel, slot, err);
}

/* For the slot of a dropped message there is nothing to wait for but the end. */
static int fault_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	const struct channel *c = channel;
	struct timespec t = {
		.tv_sec = (time_t)(deadline / 1000000000u),
		.tv_nsec = (long)(deadline % 1000000000u),
	};

	if (slot >= c->n_slots || !c->lost[slot])
		return forward_wait(channel, slot, deadline);
	if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		return 0;
	return -ETIMEDOUT;
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.props = fault_props,
	.open = fault_open,
	.close = fault_close,
	.open_channel = fault_open_channel,
	.close_channel = fault_close_channel,
	.slot = forward_slot,
	.acquire = fault_acquire,
	.send = fault_send,
	.recv = forward_recv,
	.release = forward_release,
	.wait = fault_wait,
	.check = forward_check,
	.stats = forward_stats,
	.post = forward_post,
	.bind_queue = forward_bind_queue,
};

PFW_PLUGIN(.kind = PFW_KIND_FILTER, .name = "fault",
	   .thread_model = PFW_THREAD_OBJECT,
	   .summary = "messages that are lost, damaged or late, ranks that die",
	   PFW_OPTIONS(options), .ops = &ops);
