/*
 * trace: writes down what passes, one line of CSV for each call that did
 * something, in a file for each rank.
 *
 * The calls themselves only fill a ring in memory, one for each channel's end;
 * it keeps the last `events` and is written when the channel is closed.
 */
#include "../common/forward.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pfw_option options[] = {
	{ .name = "file", .type = PFW_OPT_STRING, .flags = PFW_OPTION_PATH,
	  .def = "transport-trace", .help = "where to: FILE.RANK.csv" },
	{ .name = "events", .type = PFW_OPT_INT, .def = "65536", .min = 1, .max = 1e9,
	  .help = "how many of the last events of each channel's end are kept" },
};

enum event_type { ACQUIRE, SEND, RECV, RELEASE, WAIT };

static const char *const event_names[] = {
	"acquire", "send", "recv", "release", "wait",
};

struct event {
	uint64_t time;     /* at its end */
	uint64_t duration; /* of a wait */
	uint64_t bytes;
	struct pfw_message_id id; /* of a send and a recv */
	uint32_t type, slot;
};

struct transport {
	struct pfw_below below;
	uint32_t rank;
	uint64_t events;
	FILE *file; /* stdio locks it: channels may have threads */
};

struct channel {
	struct forward below;
	struct transport *transport;
	uint32_t from, to, kind;
	uint64_t n, size; /* events so far, and of the ring */
	struct event *events;
};

static int trace_open(const struct pfw_values *opt,
		      const struct pfw_transport_info *info,
		      const struct pfw_below *below, void **transport,
		      struct pfw_address *self, struct pfw_error *err)
{
	struct transport *t = calloc(1, sizeof(*t));
	char path[4096];
	int rc;

	(void)self;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	t->below = *below;
	t->rank = info->rank;
	t->events = (uint64_t)pfw_value_int(opt, "events");
	snprintf(path, sizeof(path), "%s.%u.csv", pfw_value_string(opt, "file"),
		 info->rank);
	t->file = fopen(path, "we");
	if (!t->file) {
		rc = pfw_error_set(err, errno, "cannot write the trace %s: %s", path,
				   strerror(errno));
		free(t);
		return rc;
	}
	fprintf(t->file, "time_ns,rank,event,from,to,kind,slot,bytes,duration_ns,"
		"sequence,step,stage,microbatch,program\n");
	*transport = t;
	return 0;
}

static void trace_close(void *transport)
{
	struct transport *t = transport;

	if (!t)
		return;
	fclose(t->file);
	free(t);
}

static int trace_open_channel(void *transport, const struct pfw_channel_info *info,
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
		c->from = info->from;
		c->to = info->to;
		c->kind = info->kind;
		c->size = t->events;
		c->events = calloc(c->size, sizeof(*c->events));
		if (!c->events)
			return pfw_error_set(err, ENOMEM, "no memory for a trace of "
					     "%llu events: set a smaller number of "
					     "events", (unsigned long long)c->size);
	}
	return forward_open_channel(&t->below, info, peer, &c->below, err);
}

static void print_event(const struct channel *c, const struct event *e)
{
	fprintf(c->transport->file,
		"%llu,%u,%s,%u,%u,%s,%d,%llu,%llu,%llu,%llu,%u,%u,%u\n",
		(unsigned long long)e->time, c->transport->rank,
		event_names[e->type], c->from, c->to,
		pfw_channel_kind_name(c->kind), (int)e->slot,
		(unsigned long long)e->bytes, (unsigned long long)e->duration,
		(unsigned long long)e->id.sequence, (unsigned long long)e->id.step,
		e->id.stage, e->id.microbatch, e->id.program);
}

static void trace_close_channel(void *channel)
{
	struct channel *c = channel;

	if (!c)
		return;
	for (uint64_t i = c->n > c->size ? c->n - c->size : 0; i < c->n; i++)
		print_event(c, &c->events[i % c->size]);
	forward_close_channel(&c->below);
	free(c->events);
	free(c);
}

static struct event *note(struct channel *c, enum event_type type, uint32_t slot)
{
	struct event *e = &c->events[c->n++ % c->size];

	*e = (struct event){ .time = pfw_now(), .type = type, .slot = slot };
	return e;
}

static int trace_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	int rc = forward_acquire(channel, slot, err);

	if (!rc)
		note(channel, ACQUIRE, slot);
	return rc;
}

static int trace_send(void *channel, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	struct event *e;
	int rc = forward_send(channel, slot, bytes, id, err);

	if (rc)
		return rc;
	e = note(channel, SEND, slot);
	e->bytes = bytes;
	e->id = *id;
	return 0;
}

static int trace_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		      struct pfw_message_id *id, struct pfw_error *err)
{
	struct event *e;
	int rc = forward_recv(channel, slot, bytes, id, err);

	if (rc)
		return rc;
	e = note(channel, RECV, *slot);
	e->bytes = *bytes;
	e->id = *id;
	return 0;
}

static int trace_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	int rc = forward_release(channel, slot, err);

	if (!rc)
		note(channel, RELEASE, slot);
	return rc;
}

static int trace_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	uint64_t start = pfw_now();
	int rc = forward_wait(channel, slot, deadline);
	struct event *e = note(channel, WAIT, slot);

	e->duration = e->time - start;
	return rc;
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.props = forward_props,
	.open = trace_open,
	.close = trace_close,
	.open_channel = trace_open_channel,
	.close_channel = trace_close_channel,
	.slot = forward_slot,
	.acquire = trace_acquire,
	.send = trace_send,
	.recv = trace_recv,
	.release = trace_release,
	.wait = trace_wait,
	.check = forward_check,
	.stats = forward_stats,
	.post = forward_post,
	.bind_queue = forward_bind_queue,
};

PFW_PLUGIN(.kind = PFW_KIND_FILTER, .name = "trace",
	   .thread_model = PFW_THREAD_OBJECT,
	   .summary = "writes down every message that passes",
	   PFW_OPTIONS(options), .ops = &ops);
