/*
 * shm: ranks of one host share memory; a message is handed over where it lies.
 *
 * layout.h says what is shared, ring.c moves the messages, wait.c sleeps,
 * connect.c brings the two ends together, peer.c tells whether the other one
 * lives, lent.c has slots that are a device's memory, words.c what devices tell
 * each other of them.  A rank may be a process or a thread; open() and check() speak of the
 * process that calls open().
 */
#include "connect.h"
#include "peer.h"
#include "ring.h"
#include "segment.h"
#include "words.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A dead process wakes nobody: a sleeper looks around this often. */
#define LOOK_NS (100 * PFW_MS)
/* Between looks at what a device is doing. */
#define NAP_NS 10000

struct transport {
	uint64_t spin_ns;
	struct shm_listener listener;
	struct shm_device device;
};

/* A message that the ring had, and a device has not made or copied yet. */
struct coming {
	bool there, copying;
	uint32_t slot;
	uint64_t bytes;
	struct pfw_message_id id;
};

struct channel {
	struct shm_ring ring;
	uint64_t spin_ns;
	uint64_t sleeps;
	int sending;
	struct shm_peer peer; /* its socket is there before the peer is known */
	struct shm_segment segment;
	struct shm_lent lent;
	struct shm_words words;
	struct shm_hello hello;
	struct coming coming;
	uint64_t copied_bytes;
};

static int shm_probe(char *why, size_t len)
{
	return shm_segment_probe(why, len);
}

/* A struct of the core's, which may be older or newer than ours. */
static void give(void *out, size_t out_size, const void *ours, size_t size)
{
	memcpy((char *)out + sizeof(size_t), (const char *)ours + sizeof(size_t),
	       (out_size < size ? out_size : size) - sizeof(size_t));
}

static void shm_props(const struct pfw_values *opt, struct pfw_transport_props *out)
{
	const struct pfw_transport_props props = {
		.order = PFW_ORDER_CHANNEL,
		.receive = PFW_RECEIVE_EARLY,
		.memory = PFW_MEM_HOST | PFW_MEM_CUDA,
		.shared_slots = 1,
		.stream_ordered = 1,
		.max_slots = SHM_MAX_SLOTS,
		.max_bytes = SHM_MAX_BYTES,
		.latency = 200,
	};

	(void)opt;
	give(out, out->size, &props, sizeof(props));
}

static int shm_open(const struct pfw_values *opt,
		    const struct pfw_transport_info *info,
		    const struct pfw_below *below, void **transport,
		    struct pfw_address *self, struct pfw_error *err)
{
	struct transport *t = calloc(1, sizeof(*t));
	int rc;

	(void)opt;
	(void)below;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	t->spin_ns = info->spin_ns;
	rc = shm_listener_open(&t->listener, info, self, err);
	if (rc) {
		free(t);
		return rc;
	}
	*transport = t;
	return 0;
}

static void shm_close(void *transport)
{
	struct transport *t = transport;

	if (!t)
		return;
	shm_listener_close(&t->listener);
	shm_device_close(&t->device);
	free(t);
}

static void shm_close_channel(void *channel)
{
	struct channel *c = channel;

	if (!c)
		return;
	shm_ring_free(&c->ring);
	shm_words_free(&c->words);
	shm_segment_free(&c->segment);
	if (c->lent.own && c->sending && c->peer.socket >= 0)
		shm_lent_await_return(&c->lent, c->peer.socket);
	shm_lent_free(&c->lent);
	shm_peer_free(&c->peer);
	free(c);
}

/* The sender's device has them, the receiver learns where. */
static int open_lent(struct transport *t, struct channel *c,
		     const struct pfw_channel_info *info, struct pfw_error *err)
{
	int rc = shm_lent_init(&c->lent, &t->device, info,
			       c->hello.header.stride, err);

	if (!rc && c->sending)
		rc = shm_lent_make(&c->lent, &c->hello.slots, err);
	return rc;
}

/* The half-open end; the receiver's has its memory's file already. */
static int new_channel(struct transport *t,
		       const struct pfw_channel_info *info, struct channel **out,
		       struct pfw_error *err)
{
	struct channel *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return pfw_error_set(err, ENOMEM, "out of memory");
	c->spin_ns = t->spin_ns;
	c->sending = info->sending != 0;
	c->peer = SHM_NO_PEER;
	c->segment = SHM_NO_SEGMENT;
	rc = shm_layout(info, t->listener.job, shm_page_bytes(),
			&c->hello.header, err);
	if (!rc && info->memory != PFW_MEM_HOST)
		rc = open_lent(t, c, info, err);
	if (!rc && !c->sending)
		rc = shm_segment_make(&c->hello.header, &c->segment, err);
	if (rc) {
		shm_close_channel(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* The receiver hands out what is whole, the sender fills in what it was given. */
static int meet(struct transport *t, struct channel *c,
		const struct pfw_address *peer, struct pfw_error *err)
{
	int memfd, rc = 0;

	if (!c->sending) {
		rc = shm_segment_fill(&c->segment, err);
		return rc ? rc : shm_answer(&t->listener, &c->hello.header,
					    c->segment.fd, &c->lent,
					    &c->peer.socket, err);
	}
	if (!c->segment.base) {
		rc = shm_call(&t->listener, peer, &c->hello, &c->peer.socket,
			      &memfd, err);
		if (!rc)
			rc = shm_segment_join(&c->hello.header, memfd,
					      &c->segment, err);
	}
	return rc ? rc : shm_segment_fill(&c->segment, err);
}

static int shm_open_channel(void *transport, const struct pfw_channel_info *info,
			    const struct pfw_address *peer, void **channel,
			    struct pfw_error *err)
{
	struct transport *t = transport;
	struct channel *c = *channel;
	uint32_t other = info->sending ? info->to : info->from;
	int rc;

	if (!c) {
		rc = shm_address_check(&t->listener, peer, other, err);
		if (rc)
			return rc;
		rc = new_channel(t, info, &c, err);
		if (rc)
			return rc;
		*channel = c;
	}
	rc = meet(t, c, peer, err);
	if (rc == -ENOTSUP && err)
		shm_device_note(&t->device, err->text);
	if (rc)
		return rc;
	shm_segment_close_fd(&c->segment);
	shm_peer_init(&c->peer, c->peer.socket, other);
	if (shm_ring_init(&c->ring, &c->hello.header, c->segment.base))
		return pfw_error_set(err, ENOMEM, "out of memory");
	if (c->lent.of)
		shm_words_init(&c->words,
			       c->segment.base + c->hello.header.words,
			       info->n_slots, info->device_ops, info->device);
	return 0;
}

static void *shm_slot(void *channel, uint32_t slot)
{
	struct channel *c = channel;

	if (c->lent.of)
		return shm_lent_slot(&c->lent, slot);
	return c->ring.slots + slot * c->ring.stride;
}

static int shm_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct channel *c = channel;
	int rc = shm_ring_acquire(&c->ring, slot, err);

	if (rc || !c->lent.of)
		return rc;
	rc = shm_words_hold(&c->words, c->words.queue, &c->words.read[slot],
			    c->ring.slot[slot].messages, err);
	return rc > 0 ? 0 : rc ? rc : -EAGAIN;
}

/* One more in this slot. */
static int raise_word(struct channel *c, _Atomic uint64_t *words, uint32_t slot,
		      struct pfw_error *err)
{
	if (!c->lent.of || slot >= c->ring.n_slots)
		return 0;
	return shm_words_raise(&c->words, &words[slot],
			       c->ring.slot[slot].messages + 1, err);
}

static int shm_send(void *channel, uint32_t slot, uint64_t bytes,
		    const struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	int rc = raise_word(c, c->words.made, slot, err);

	return rc ? rc : shm_ring_send(&c->ring, slot, bytes, id, err);
}

static uint64_t count_of(const struct channel *c)
{
	return c->ring.slot[c->coming.slot].messages + 1;
}

/* From another card: copied once it is made.  1: it is there, or what is queued
 * comes after it. */
static int bring(struct channel *c, struct pfw_error *err)
{
	struct coming *m = &c->coming;
	int rc;

	if (!m->copying) {
		rc = shm_words_hold(&c->words, c->lent.of->copies,
				    &c->words.made[m->slot], count_of(c), err);
		if (rc <= 0)
			return rc;
		rc = shm_lent_copy(&c->lent, m->slot, m->bytes, err);
		if (rc)
			return rc;
		m->copying = true;
		c->copied_bytes += m->bytes;
	}
	if (!c->words.queue)
		return shm_lent_is_copied(&c->lent, err);
	rc = shm_lent_follow(&c->lent, c->words.queue, err);
	return rc ? rc : 1;
}

static int shm_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		    struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	struct coming *m = &c->coming;
	int rc = 0;

	if (!c->lent.of)
		return shm_ring_recv(&c->ring, slot, bytes, id, err);
	if (!m->there)
		rc = shm_ring_recv(&c->ring, &m->slot, &m->bytes, &m->id, err);
	if (rc)
		return rc;
	m->there = true;
	if (shm_lent_is_far(&c->lent))
		rc = bring(c, err);
	else
		rc = shm_words_hold(&c->words, c->words.queue,
				    &c->words.made[m->slot], count_of(c), err);
	if (rc <= 0)
		return rc ? rc : -EAGAIN;
	*slot = m->slot;
	*bytes = m->bytes;
	*id = m->id;
	m->there = m->copying = false;
	return 0;
}

static int shm_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct channel *c = channel;
	int rc = raise_word(c, c->words.read, slot, err);

	return rc ? rc : shm_ring_release(&c->ring, slot, err);
}

/* Is it a device that is waited for?  The hosts are agreed already. */
static bool is_made(const struct channel *c, uint32_t slot)
{
	if (c->sending)
		return atomic_load(&c->ring.released[slot]) ==
		       c->ring.slot[slot].messages;
	return c->coming.there;
}

/* Also what has failed has come to its end, which recv() tells. */
static bool is_done(const struct channel *c, uint32_t slot)
{
	if (c->sending)
		return shm_words_reached(&c->words.read[slot],
					 c->ring.slot[slot].messages);
	if (c->coming.copying)
		return shm_lent_is_copied(&c->lent, NULL) != 0;
	return shm_words_reached(&c->words.made[c->coming.slot], count_of(c));
}

static int await_device(const struct channel *c, uint32_t slot,
			uint64_t deadline)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t now = pfw_now(), look = now + LOOK_NS;

	while (!is_done(c, slot)) {
		now = pfw_now();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (now >= look && shm_peer_check(&c->peer, NULL))
			return 0;
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int shm_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	struct channel *c = channel;
	struct shm_watch w;
	uint64_t now, until;

	if (c->sending && slot >= c->ring.n_slots)
		return -EINVAL;
	if (c->lent.of && is_made(c, slot))
		return await_device(c, slot, deadline);
	w = c->sending ? shm_ring_watch_slot(&c->ring, slot) :
			 shm_ring_watch_message(&c->ring);
	if (shm_spin(&w, c->spin_ns, deadline))
		return 0;
	for (;;) {
		now = pfw_now();
		if (now >= deadline)
			return -ETIMEDOUT;
		until = now + LOOK_NS < deadline ? now + LOOK_NS : deadline;
		if (!shm_sleep(&w, until))
			return 0;
		c->sleeps++;
		/* Woken, or a signal came: both are the caller's to look at. */
		if (shm_watch_changed(&w) || pfw_now() < until)
			return 0;
		/* At the deadline the time is up, whoever died. */
		if (until < deadline && shm_peer_check(&c->peer, NULL))
			return 0;
	}
}

static int shm_check(void *channel, struct pfw_error *err)
{
	return shm_peer_check(&((struct channel *)channel)->peer, err);
}

static void shm_stats(void *channel, struct pfw_channel_stats *out)
{
	const struct channel *c = channel;
	const struct pfw_channel_stats stats = {
		.messages = c->ring.next,
		.bytes = c->ring.bytes,
		.copied_bytes = c->copied_bytes,
		.sleeps = c->sleeps,
	};

	give(out, out->size, &stats, sizeof(stats));
}

static int shm_bind_queue(void *channel, void *queue, struct pfw_error *err)
{
	struct channel *c = channel;

	if (!c->lent.of)
		return pfw_error_set(err, ENOTSUP, "slots in the host's memory "
				     "are not in a device queue's order");
	if (queue)
		return shm_words_bind(&c->words, queue, err);
	shm_words_let_go(&c->words, c->sending);
	return 0;
}

static void shm_describe(void *transport, char *out, size_t len)
{
	shm_device_describe(&((struct transport *)transport)->device, out, len);
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.probe = shm_probe,
	.props = shm_props,
	.open = shm_open,
	.close = shm_close,
	.open_channel = shm_open_channel,
	.close_channel = shm_close_channel,
	.slot = shm_slot,
	.acquire = shm_acquire,
	.send = shm_send,
	.recv = shm_recv,
	.release = shm_release,
	.wait = shm_wait,
	.check = shm_check,
	.stats = shm_stats,
	.bind_queue = shm_bind_queue,
	.describe = shm_describe,
};

PFW_PLUGIN(.kind = PFW_KIND_TRANSPORT, .name = "shm",
	   .thread_model = PFW_THREAD_OBJECT,
	   .summary = "ranks of one host, in place in shared memory",
	   .ops = &ops);
