/*
 * The suite of transports and filters: what transport.h promises where one thread
 * holds both ends.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "conform/conform.h"
#include "conform/transport_kit.h"

static void props(struct pfw_trial *t)
{
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_transport_props p = { .size = sizeof(p) };
	const char *wrong = NULL;

	pfw_subject_props(s, &p);
	if (p.size != sizeof(p))
		wrong = "it changes .size";
	else if (p.order < PFW_ORDER_CHANNEL || p.order > PFW_ORDER_RANK)
		wrong = ".order is none of PFW_ORDER_*";
	else if (p.receive != PFW_RECEIVE_EARLY &&
		 p.receive != PFW_RECEIVE_PLANNED)
		wrong = ".receive is none of PFW_RECEIVE_*";
	else if (p.shared_slots > 1 || p.stream_ordered > 1)
		wrong = ".shared_slots and .stream_ordered are 0 or 1";
	else if (!p.max_slots || p.max_bytes < PFW_ALIGN)
		wrong = ".max_slots or .max_bytes leaves no room for a message";
	else if (p.stream_ordered && !ops->bind_queue)
		wrong = "it is stream-ordered and has no bind_queue()";
	if (wrong)
		pfw_trial_refuse(t, "%s", wrong);
}

static const struct pfw_check check_props = {
	"properties",
	"pipefw/transport.h, struct pfw_transport_props: what the planner reads",
	"set every member in props(), and only those that .size covers", 10, props,
};

/* An older core knows less of them: no byte behind its size is touched. */
static void props_of_older_core(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_transport_props p;
	const unsigned char *at = (const unsigned char *)&p;
	size_t known = offsetof(struct pfw_transport_props, memory);

	memset(&p, 0x5a, sizeof(p));
	p.size = known;
	s->ops->props(s->opt, &p);
	if (p.size != known)
		pfw_trial_refuse(t, "props() changes .size");
	for (size_t i = known; i < sizeof(p); i++)
		if (at[i] != 0x5a)
			pfw_trial_refuse(t, "with .size %zu, props() writes byte "
					 "%zu", known, i);
}

static const struct pfw_check check_older_core = {
	"an older core's properties",
	"pipefw/transport.h, props(): fills out, whose size is set",
	"fill a struct of your own, and copy min(out->size, its size) of it",
	10, props_of_older_core,
};

static void sizes_of(struct pfw_trial *t, uint32_t from, uint64_t slot_bytes)
{
	const uint64_t bytes[] = { 0, 1, 3, 63, 64, 4097, slot_bytes - 1,
				   slot_bytes };
	struct pfw_pair p;
	uint64_t m = 0;

	pfw_trial_pair(t, &p, from, 2, slot_bytes);
	for (uint32_t slot = 0; slot < 2; slot++) {
		const struct pfw_transport_ops *ops = p.end[0].subject->ops;

		if ((uintptr_t)ops->slot(p.tx, slot) % PFW_ALIGN ||
		    (uintptr_t)ops->slot(p.rx, slot) % PFW_ALIGN)
			pfw_trial_refuse(t, "slot %u is not aligned to %u bytes",
					 slot, PFW_ALIGN);
		for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
			if (bytes[i] <= slot_bytes)
				pfw_trial_pass(t, &p, m++, slot, bytes[i]);
	}
	pfw_pair_close(&p);
}

static void sizes(struct pfw_trial *t)
{
	sizes_of(t, 0, 64);
	sizes_of(t, 1, 64);
	sizes_of(t, 0, 65536 + 64);
	sizes_of(t, 1, 1 << 20);
}

static const struct pfw_check check_sizes = {
	"sizes in both directions",
	"pipefw/transport.h, send() and recv(): the first `bytes` of the slot, with "
	"its identity, from 0 bytes to the whole slot; base.h, PFW_ALIGN",
	"carry slot, bytes and identity with each message; align the slots",
	60, sizes,
};

static void large(struct pfw_trial *t)
{
	struct pfw_transport_props props = { .size = sizeof(props) };
	const uint64_t bytes = 64u << 20;
	struct pfw_pair p;

	pfw_subject_props(pfw_trial_subject(t), &props);
	if (props.max_bytes < bytes)
		pfw_trial_skip(t, "it says that a slot has at most %llu bytes",
			       (unsigned long long)props.max_bytes);
	pfw_trial_pair(t, &p, 0, 1, bytes);
	pfw_trial_pass(t, &p, 0, 0, bytes);
	pfw_trial_pass(t, &p, 1, 0, bytes - 13);
	pfw_pair_close(&p);
}

static const struct pfw_check check_large = {
	"64 MiB in one message",
	"pipefw/transport.h, struct pfw_transport_props: a slot has up to max_bytes",
	"count bytes in 64 bits, go on with short reads and writes; or say a smaller "
	"max_bytes",
	60, large,
};

#define FULL 5u

/* All slots sent, in an order of their own; the last stays as it was. */
static void fill_up(struct pfw_trial *t, struct pfw_pair *p, uint64_t first,
		    const uint32_t order[FULL])
{
	const struct pfw_subject *s = p->end[0].subject;
	struct pfw_error err = { 0 };

	for (uint32_t i = 0; i < FULL; i++) {
		struct pfw_message_id id = pfw_id_of(first + i);

		pfw_trial_gives(t, "acquire() of a released slot, waited for,",
				pfw_must_acquire(s, p->tx, order[i]), 0, NULL);
		pfw_trial_gives(t, "send()", s->ops->send(p->tx, order[i], i,
							  &id, &err), 0, &err);
	}
	for (uint32_t i = 0; i < FULL; i++)
		pfw_trial_gives(t, "acquire() of a slot that is not released",
				s->ops->acquire(p->tx, i, NULL), -EAGAIN, NULL);
}

static void take_all(struct pfw_trial *t, struct pfw_pair *p, uint64_t first,
		     const uint32_t order[FULL])
{
	const struct pfw_subject *s = p->end[0].subject;
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;

	for (uint32_t i = 0; i < FULL; i++)
		pfw_trial_gives(t, "post()",
				pfw_must_post(s, p->rx, order[i], i), 0, NULL);
	for (uint32_t i = 0; i < FULL; i++) {
		pfw_trial_gives(t, "recv(), waited for,",
				pfw_must_recv(s, p->rx, &slot, &bytes, &id), 0,
				NULL);
		if (slot != order[i] || bytes != i || !pfw_id_is(&id, first + i))
			pfw_trial_refuse(t, "message %llu, %u bytes in slot %u, "
				"is not the next to come but %llu bytes in slot "
				"%u", (unsigned long long)first + i, i, order[i],
				(unsigned long long)bytes, slot);
	}
	pfw_trial_gives(t, "recv() with no message there",
			s->ops->recv(p->rx, &slot, &bytes, &id, NULL), -EAGAIN,
			NULL);
}

static void full(struct pfw_trial *t)
{
	static const uint32_t order[FULL] = { 3, 0, 4, 1, 2 };
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	struct pfw_pair p;

	pfw_trial_pair(t, &p, 0, FULL, 128);
	for (uint32_t round = 0; round < 20; round++) {
		pfw_trial_doing(t, "with all slots in flight, round %u", round);
		fill_up(t, &p, round * FULL, order);
		take_all(t, &p, round * FULL, order);
		pfw_trial_gives(t, "acquire() of a slot that is not released",
				ops->acquire(p.tx, 2, NULL), -EAGAIN, NULL);
		pfw_trial_gives(t, "release() of slot 2",
				ops->release(p.rx, 2, NULL), 0, NULL);
		pfw_trial_gives(t, "acquire() of slot 2, released, waited for,",
				pfw_must_acquire(p.end[0].subject, p.tx, 2), 0,
				NULL);
		pfw_trial_gives(t, "acquire() of slot 0, which is not released,",
				ops->acquire(p.tx, 0, NULL), -EAGAIN, NULL);
		for (uint32_t i = 0; i < FULL; i++)
			if (i != 2)
				pfw_trial_gives(t, "release()",
						ops->release(p.rx, i, NULL), 0,
						NULL);
	}
	pfw_pair_close(&p);
}

static const struct pfw_check check_full = {
	"all slots in flight, freed in any order",
	"pipefw/transport.h, life of a message: messages of a channel come in "
	"order; acquire() is -EAGAIN until the slot is released; slots are released "
	"in any order; recv() is -EAGAIN until a message is there",
	"keep a state for every slot, and a queue of messages for the channel",
	30, full,
};

static void misuse(struct pfw_trial *t)
{
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	struct pfw_message_id id = pfw_id_of(0);
	struct pfw_error err = { 0 };
	struct pfw_pair p;

	pfw_trial_pair(t, &p, 0, 2, 128);
	pfw_trial_gives(t, "send() of a slot that is not acquired",
			ops->send(p.tx, 0, 1, &id, &err), -EINVAL, NULL);
	pfw_trial_gives(t, "release() of a slot without a message",
			ops->release(p.rx, 1, &err), -EINVAL, NULL);
	pfw_trial_gives(t, "acquire() of slot 2 of 2",
			ops->acquire(p.tx, 2, &err), -EINVAL, NULL);
	pfw_trial_gives(t, "acquire(), waited for,",
			pfw_must_acquire(p.end[0].subject, p.tx, 0), 0, NULL);
	err.text[0] = '\0';
	pfw_trial_gives(t, "send() of 129 bytes in a slot of 128",
			ops->send(p.tx, 0, 129, &id, &err), -EMSGSIZE, NULL);
	if (!err.text[0])
		pfw_trial_refuse(t, "send() gives -EMSGSIZE and no sentence");
	pfw_trial_pass(t, &p, 1, 0, 128);
	pfw_pair_close(&p);
}

static const struct pfw_check check_misuse = {
	"misuse is refused",
	"pipefw/transport.h, life of a message: written between acquire() and send() "
	"only, read between recv() and release() only; a slot has slot_bytes",
	"check slot and state in every call: -EINVAL, and -EMSGSIZE for too many "
	"bytes, with a sentence; the channel goes on",
	30, misuse,
};

static void deadline(struct pfw_trial *t)
{
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	struct pfw_message_id id = pfw_id_of(0);
	struct pfw_pair p;

	pfw_trial_pair(t, &p, 0, 1, 64);
	pfw_trial_doing(t, "waiting where nothing comes");
	pfw_trial_gives(t, "wait() with a deadline that has passed",
			ops->wait(p.rx, PFW_NONE, 0), -ETIMEDOUT, NULL);
	pfw_trial_gives(t, "check() of a live peer", ops->check(p.rx, NULL), 0,
			NULL);
	pfw_trial_gives(t, "acquire(), waited for,",
			pfw_must_acquire(p.end[0].subject, p.tx, 0), 0, NULL);
	pfw_trial_gives(t, "send()", ops->send(p.tx, 0, 1, &id, NULL), 0, NULL);
	while (ops->wait(p.tx, 0, pfw_now() + 5 * PFW_MS) != -ETIMEDOUT)
		pfw_trial_gives(t, "acquire() of a slot that is not released",
				ops->acquire(p.tx, 0, NULL), -EAGAIN, NULL);
	pfw_trial_gives(t, "check() of a live peer", ops->check(p.tx, NULL), 0,
			NULL);
	pfw_pair_close(&p);
}

static const struct pfw_check check_deadline = {
	"wait() has a deadline",
	"pipefw/transport.h, wait(): until something may have changed, or until "
	"deadline (CLOCK_MONOTONIC, ns): 0 or -ETIMEDOUT",
	"hand the time that is left to poll() or futex(), and look at the clock "
	"again",
	20, deadline,
};

static void close_in_flight(struct pfw_trial *t)
{
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	struct pfw_message_id id = pfw_id_of(0);
	struct pfw_error err = { 0 };
	struct pfw_pair p;

	for (int first = 0; first < 2; first++) {
		pfw_trial_pair(t, &p, 0, 3, 4096);
		pfw_trial_doing(t, "closing the %s first, messages in flight",
				first ? "receiver" : "sender");
		for (uint32_t i = 0; i < 3; i++) {
			pfw_trial_gives(t, "acquire(), waited for,",
					pfw_must_acquire(p.end[0].subject, p.tx,
							 i), 0, NULL);
			pfw_trial_gives(t, "send()",
					ops->send(p.tx, i, 9, &id, NULL), 0,
					NULL);
		}
		ops->close_channel(first ? p.rx : p.tx);
		pfw_trial_gives(t, "check() after the other end was closed",
				ops->check(first ? p.tx : p.rx, &err), -EPIPE,
				NULL);
		if (first)
			p.rx = NULL;
		else
			p.tx = NULL;
		pfw_pair_close(&p);
	}
}

static const struct pfw_check check_close_in_flight = {
	"closed with messages in flight",
	"pipefw/transport.h, close_channel(): forgets messages in flight; check(): "
	"-EPIPE once the other end is gone",
	"let the close be seen at the other end: a closed socket, a word in shared "
	"memory",
	30, close_in_flight,
};

static void stats(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_transport_props props = { .size = sizeof(props) };
	struct pfw_pair p;

	if (!s->ops->stats)
		pfw_trial_skip(t, "it counts nothing");
	pfw_subject_props(s, &props);
	pfw_trial_pair(t, &p, 0, 2, 4096);
	for (uint32_t m = 0; m < 7; m++)
		pfw_trial_pass(t, &p, m, m % 2, 1000);
	for (int end = 0; end < 2; end++) {
		struct pfw_channel_stats st = { .size = sizeof(st) };

		s->ops->stats(end ? p.rx : p.tx, &st);
		if (st.messages != 7 || st.bytes != 7000)
			pfw_trial_refuse(t, "after 7 messages of 1000 bytes the "
				"%s counts %llu messages, %llu bytes",
				end ? "receiver" : "sender",
				(unsigned long long)st.messages,
				(unsigned long long)st.bytes);
		if (props.shared_slots && st.copied_bytes)
			pfw_trial_refuse(t, "slots are shared, and %llu bytes "
				"are counted as copied",
				(unsigned long long)st.copied_bytes);
	}
	pfw_pair_close(&p);
}

static const struct pfw_check check_stats = {
	"counters",
	"pipefw/transport.h, struct pfw_channel_stats: messages and payload of one "
	"end",
	"count in send() and in recv()", 30, stats,
};

static const struct pfw_check *const checks[] = {
	&check_props,
	&check_sizes,
	&check_full,
	&check_older_core,
	&check_large,
	&check_misuse,
	&check_deadline,
	&check_close_in_flight,
	&pfw_check_half_open,
	&pfw_check_any_order,
	&pfw_check_wrong_job,
	&pfw_check_two_plans,
	&pfw_check_bad_address,
	&check_stats,
	&pfw_check_threads,
	&pfw_check_processes,
	&pfw_check_one_core,
	&pfw_check_ring,
	&pfw_check_killed_sender,
	&pfw_check_killed_receiver,
};

const struct pfw_suite pfw_suite_transport = {
	PFW_KIND_TRANSPORT, checks, sizeof(checks) / sizeof(checks[0]), 3,
};

const struct pfw_suite pfw_suite_filter = {
	PFW_KIND_FILTER, checks, sizeof(checks) / sizeof(checks[0]), 3,
};
