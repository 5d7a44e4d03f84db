/*
 * Verbs: ranks of one or many hosts, over InfiniBand or RoCE.
 *
 * A message is written by the sender's device into the slot where the receiver
 * reads it; neither host copies a byte.
 */
#include "base/clock.h"
#include "fault.h"
#include "flow.h"
#include "lane.h"
#include "memory.h"
#include "reach.h"
#include "ready.h"
#include "wait.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES (1ull << 38) /* of one channel's slots */
/* How long the neighbour's address may take to be found. */
#define JOIN_NS (10 * PFW_S)

/* For structs that know their size: as much as the caller has room for. */
static void give(void *out, size_t out_size, const void *ours, size_t size)
{
	memcpy((char *)out + sizeof(size_t), (const char *)ours + sizeof(size_t),
	       (out_size < size ? out_size : size) - sizeof(size_t));
}

static void verbs_props(const struct pfw_values *opt,
			struct pfw_transport_props *out)
{
	const struct pfw_transport_props props = {
		.order = PFW_ORDER_CHANNEL,
		.receive = PFW_RECEIVE_EARLY,
		.memory = PFW_MEM_HOST | PFW_MEM_CUDA,
		.max_slots = VERBS_MAX_SLOTS,
		.max_bytes = MAX_BYTES,
		.latency = 2000,
	};

	(void)opt;
	give(out, out->size, &props, sizeof(props));
}

static bool ends_in_send(const struct verbs_transport *t)
{
	bool by_send = t->opt.notify == VERBS_NOTIFY_SEND;

	for (uint32_t r = 0; r < t->rails.n; r++)
		by_send |= t->opt.notify == VERBS_NOTIFY_AUTO &&
			   !t->rails.rail[r].immediate;
	return by_send;
}

static int verbs_open(const struct pfw_values *opt,
		      const struct pfw_transport_info *info,
		      const struct pfw_below *below, void **transport,
		      struct pfw_address *self, struct pfw_error *err)
{
	struct verbs_transport *t = calloc(1, sizeof(*t));
	int rc;

	(void)below;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	verbs_options_read(opt, &t->opt);
	t->spin_ns = info->spin_ns;
	rc = verbs_rails_open(&t->rails, &t->opt, err);
	if (rc)
		goto err_free;
	rc = verbs_listener_open(&t->listener, info, &t->rails, ends_in_send(t), self,
				 err);
	if (rc)
		goto err_close;
	*transport = t;
	return 0;

err_close:
	verbs_rails_close(&t->rails);
err_free:
	free(t);
	return rc;
}

static void verbs_close(void *transport)
{
	struct verbs_transport *t = transport;

	if (!t)
		return;
	verbs_listener_close(&t->listener);
	verbs_rails_close(&t->rails);
	free(t);
}

static void verbs_close_channel(void *channel)
{
	struct verbs_channel *c = channel;

	if (!c)
		return;
	if (c->open)
		verbs_flow_drain(c);
	verbs_lanes_free(c);
	verbs_flow_free(c);
	verbs_memory_free(c);
	if (c->call.socket >= 0)
		close(c->call.socket);
	free(c);
}

/* Whose memory the slots are; NULL: the host's. */
static const struct pfw_device_ops *device_of(const struct pfw_channel_info *info)
{
	if (info->memory == PFW_MEM_HOST ||
	    info->size <= offsetof(struct pfw_channel_info, device))
		return NULL;
	return info->device_ops;
}

static int check_info(const struct pfw_channel_info *info, struct pfw_error *err)
{
	if (info->from == info->to)
		return pfw_error_set(err, EINVAL, "a channel from rank %u to itself: "
				     "verbs joins two different ranks", info->from);
	if (info->memory != PFW_MEM_HOST && !device_of(info))
		return pfw_error_set(err, ENOTSUP, "verbs has host memory, or that of "
				     "a device that is given; this channel asks for "
				     "kind %u and gives none", info->memory);
	if (info->n_slots < 1 || info->n_slots > VERBS_MAX_SLOTS ||
	    info->slot_bytes > MAX_BYTES / info->n_slots)
		return pfw_error_set(err, EINVAL, "%u slots of %llu bytes: verbs has 1 "
				     "to %u slots, of %llu bytes together",
				     info->n_slots,
				     (unsigned long long)info->slot_bytes,
				     VERBS_MAX_SLOTS, MAX_BYTES);
	return 0;
}

static int new_channel(struct verbs_transport *t,
		       const struct pfw_channel_info *info,
		       const struct verbs_address *peer, struct verbs_channel **out,
		       struct pfw_error *err)
{
	struct verbs_channel *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return pfw_error_set(err, ENOMEM, "out of memory");
	c->transport = t;
	c->from = info->from;
	c->to = info->to;
	c->kind = info->kind;
	c->n_slots = info->n_slots;
	c->slot_bytes = info->slot_bytes;
	c->sending = info->sending != 0;
	c->device_ops = device_of(info);
	c->device = c->device_ops ? info->device : NULL;
	c->call.socket = -1;
	c->n_lanes = verbs_lane_count(t, peer);
	c->cut = verbs_lane_cut(t, peer);
	c->by_send = t->listener.self.by_send || peer->by_send;
	t->n_by_send += c->by_send;
	rc = verbs_memory_make(c, err);
	if (!rc)
		rc = verbs_flow_init(c, err);
	if (!rc)
		rc = verbs_lanes_make(c, err);
	if (rc) {
		verbs_close_channel(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* What this end says to the other. */
static void introduce(const struct verbs_channel *c, struct verbs_hello *h)
{
	*h = (struct verbs_hello){
		.magic = VERBS_MAGIC,
		.version = VERBS_VERSION,
		.job = c->transport->listener.job,
		.slot_bytes = c->slot_bytes,
		.slots = (uintptr_t)verbs_slot_at(c, 0),
		.stride = c->stride,
		.headers = (uintptr_t)c->headers,
		.header_stride = c->header_stride,
		.page = (uintptr_t)c->page,
		.from = c->from,
		.to = c->to,
		.kind = c->kind,
		.n_slots = c->n_slots,
		.pid = getpid(),
	};
	memcpy(h->host, c->transport->listener.host, sizeof(h->host));
	verbs_lanes_describe(c, h);
}

/* Why the caller cannot be served; 0: it can. */
static int judge(const struct verbs_channel *c, struct pfw_error *err)
{
	const struct verbs_hello *h = &c->peer;

	if (h->n_slots != c->n_slots || h->slot_bytes != c->slot_bytes)
		return pfw_error_set(err, EPROTO, "%s channel %u -> %u: rank %u has %u "
				     "slots of %llu bytes, rank %u has %u of %llu: they "
				     "run different plans",
				     pfw_channel_kind_name(c->kind), c->from, c->to,
				     c->to, c->n_slots,
				     (unsigned long long)c->slot_bytes, c->from,
				     h->n_slots, (unsigned long long)h->slot_bytes);
	if (h->n_lanes != c->n_lanes)
		return pfw_error_set(err, EPROTO, "%s channel %u -> %u: rank %u has %u "
				     "queue pairs, rank %u has %u: qps must be the same "
				     "everywhere",
				     pfw_channel_kind_name(c->kind), c->from, c->to,
				     c->to, c->n_lanes, c->from, h->n_lanes);
	return 0;
}

/* -EAGAIN while the kernel looks for the neighbour. */
static int join(struct verbs_channel *c, struct pfw_error *err)
{
	int rc = verbs_lanes_connect(c, err);

	if (rc != -ETIMEDOUT || pfw_now() - c->met > JOIN_NS)
		return rc;
	return -EAGAIN;
}

static int meet_sender(struct verbs_channel *c, struct pfw_error *err)
{
	struct verbs_hello answer;
	struct pfw_error e = { 0 };
	int rc;

	if (!c->met) {
		rc = verbs_answer(&c->transport->listener, c->from, c->kind,
				  &c->call.socket, &c->peer, err);
		if (rc)
			return rc;
		c->met = pfw_now();
	}
	rc = judge(c, &e);
	if (!rc)
		rc = verbs_lanes_accept(c, &c->peer, &e);
	if (!rc)
		rc = join(c, &e);
	if (rc == -EAGAIN)
		return rc;
	introduce(c, &answer);
	answer.code = -rc;
	snprintf(answer.text, sizeof(answer.text), "%.251s", e.text);
	if (verbs_reply(&c->transport->listener, c->call.socket, &c->peer, &answer) &&
	    !rc)
		rc = verbs_gone(c, &e);
	return rc ? pfw_error_set(err, -rc, "%s", e.text) : 0;
}

static int meet_receiver(struct verbs_channel *c, const struct verbs_address *peer,
			 struct pfw_error *err)
{
	struct verbs_hello own;
	int rc;

	if (!c->met) {
		introduce(c, &own);
		rc = verbs_lanes_route(c, peer, &own, err);
		if (!rc)
			rc = verbs_dial(&c->transport->listener, peer, &own, &c->call,
					&c->peer, err);
		if (rc)
			return rc;
		c->met = pfw_now();
		if (c->peer.n_lanes != c->n_lanes)
			return pfw_error_set(err, EPROTO, "rank %u answers with %u "
					     "queue pairs, not %u", c->to,
					     c->peer.n_lanes, c->n_lanes);
	}
	return join(c, err);
}

static int verbs_open_channel(void *transport, const struct pfw_channel_info *info,
			      const struct pfw_address *peer, void **channel,
			      struct pfw_error *err)
{
	struct verbs_transport *t = transport;
	struct verbs_channel *c = *channel;
	uint32_t other = info->sending ? info->to : info->from;
	struct verbs_address address;
	int rc = verbs_address_read(peer, other, &address, err);

	if (!rc && !c) {
		rc = check_info(info, err);
		if (!rc)
			rc = new_channel(t, info, &address, &c, err);
		if (!rc)
			*channel = c;
	}
	if (!rc)
		rc = c->sending ? meet_receiver(c, &address, err) :
				  meet_sender(c, err);
	if (!rc)
		c->open = true;
	return rc;
}

static void *verbs_slot(void *channel, uint32_t slot)
{
	return verbs_slot_at(channel, slot);
}

static int verbs_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	return verbs_flow_acquire(channel, slot, err);
}

static int verbs_send(void *channel, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	return verbs_flow_send(channel, slot, bytes, id, err);
}

static int verbs_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		      struct pfw_message_id *id, struct pfw_error *err)
{
	return verbs_flow_recv(channel, slot, bytes, id, err);
}

static int verbs_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	return verbs_flow_release(channel, slot, err);
}

static int wait_channel(void *channel, uint32_t slot, uint64_t deadline)
{
	return verbs_wait(channel, slot, deadline);
}

static int check_channel(void *channel, struct pfw_error *err)
{
	return verbs_check(channel, err);
}

static void verbs_stats(void *channel, struct pfw_channel_stats *out)
{
	const struct verbs_channel *c = channel;
	const struct pfw_channel_stats stats = {
		.messages = c->next,
		.bytes = c->bytes,
		.sleeps = c->sleeps,
	};

	give(out, out->size, &stats, sizeof(stats));
}

/* "rxe0 port 1, ... and 1 more; WRITE_WITH_IMM; GPU memory by dmabuf": no address,
 * so that ranks that are alike say the same. */
static void verbs_describe(void *transport, char *out, size_t len)
{
	const struct verbs_transport *t = transport;
	size_t at = verbs_rail_describe(&t->rails.rail[0], out, len);

	if (at < len && t->rails.n > 1)
		at += (size_t)snprintf(out + at, len - at, " and %u more",
				       t->rails.n - 1);
	if (at < len)
		at += (size_t)snprintf(out + at, len - at, "; %s; ", t->n_by_send ?
				       "WRITE, then SEND" : "WRITE_WITH_IMM");
	if (at < len)
		verbs_reach_describe(t, out + at, len - at);
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.probe = verbs_probe,
	.props = verbs_props,
	.open = verbs_open,
	.close = verbs_close,
	.open_channel = verbs_open_channel,
	.close_channel = verbs_close_channel,
	.slot = verbs_slot,
	.acquire = verbs_acquire,
	.send = verbs_send,
	.recv = verbs_recv,
	.release = verbs_release,
	.wait = wait_channel,
	.check = check_channel,
	.stats = verbs_stats,
	.describe = verbs_describe,
	.ready = verbs_ready,
};

PFW_PLUGIN(.kind = PFW_KIND_TRANSPORT, .name = "verbs",
	   .thread_model = PFW_THREAD_OBJECT,
	   .summary = "ranks of many hosts, by RDMA over InfiniBand or RoCE",
	   .options = verbs_option_table, .n_options = VERBS_N_OPTIONS,
	   .ops = &ops);
