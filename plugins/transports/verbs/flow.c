#include "flow.h"

#include "base/clock.h"
#include "complete.h"
#include "fault.h"
#include "lane.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Up to here payload and header go in one write. Above, the immediate is apart:
 * adaptive routing does not take writes that carry one. */
#define SMALL_BYTES 8192u
/* Each lane of a message that is spread gets at least so much. */
#define PIECE_BYTES (128u << 10)
#define PIECE_UNIT 4096u
#define DRAIN_NS (2 * PFW_S)

int verbs_flow_init(struct verbs_channel *c, struct pfw_error *err)
{
	uint32_t ring = 1;

	while (ring < c->n_slots)
		ring *= 2;
	c->mask = ring - 1;
	c->slot = calloc(c->n_slots, sizeof(*c->slot));
	c->order = calloc(ring, sizeof(*c->order));
	c->owed = calloc(ring, sizeof(*c->owed));
	c->wr_most = c->sending ? (uint32_t)(c->slot_bytes / c->cut + 2) : 1;
	c->wr = calloc(c->wr_most, sizeof(*c->wr));
	c->sge = calloc(c->wr_most, sizeof(*c->sge));
	if (!c->slot || !c->order || !c->owed || !c->wr || !c->sge)
		return pfw_error_set(err, ENOMEM, "out of memory");
	return 0;
}

void verbs_flow_free(struct verbs_channel *c)
{
	free(c->slot);
	free(c->order);
	free(c->owed);
	free(c->wr);
	free(c->sge);
}

static int no_slot(const struct verbs_channel *c, uint32_t slot,
		   struct pfw_error *err)
{
	return pfw_error_set(err, EINVAL, "slot %u of a channel of %u", slot,
			     c->n_slots);
}

/* Final: it has failed, or the other end has closed it; else 0. */
static int is_over(const struct verbs_channel *c, struct pfw_error *err)
{
	if (c->bye)
		return verbs_gone(c, err);
	if (!c->broken.code)
		return 0;
	return pfw_error_set(err, c->broken.code, "%s", c->broken.text);
}

/* Entries of a send queue that no acquired slot will need. */
static uint32_t room(const struct verbs_channel *c, uint32_t lane)
{
	const struct verbs_lane *l = &c->lane[lane];
	uint32_t taken = l->in_flight + c->held * c->wr_most;

	return taken < l->depth ? l->depth - taken : 0;
}

/* On every lane, for one more message and a good-bye. */
static bool has_room(const struct verbs_channel *c)
{
	for (uint32_t i = 0; i < c->n_lanes; i++)
		if (room(c, i) < c->wr_most + 1)
			return false;
	return true;
}

/* Only what it must be is a credit: another number may be half of one. */
static bool is_back(const struct verbs_channel *c, uint32_t slot)
{
	const struct verbs_slot *s = &c->slot[slot];

	return !s->sent || __atomic_load_n(&c->page->credit[slot],
					   __ATOMIC_ACQUIRE) == s->generation;
}

static bool is_free(const struct verbs_channel *c, uint32_t slot)
{
	const struct verbs_slot *s = &c->slot[slot];

	return s->held || (is_back(c, slot) && !s->busy && has_room(c));
}

int verbs_flow_acquire(struct verbs_channel *c, uint32_t slot, struct pfw_error *err)
{
	int rc;

	if (slot >= c->n_slots)
		return no_slot(c, slot, err);
	if (c->slot[slot].held)
		return 0;
	if (!is_free(c, slot))
		verbs_progress(c);
	if (!is_free(c, slot)) {
		rc = is_over(c, err);
		return rc ? rc : -EAGAIN;
	}
	c->slot[slot].held = true;
	c->slot[slot].sent = false;
	c->held++;
	return 0;
}

/*
 * Posts the first @p n of c->wr; the last is signalled if it must be, if @p slot
 * (else PFW_NONE) is read until it is done, or when enough were not.
 */
static int post(struct verbs_channel *c, uint32_t lane, uint32_t n, uint32_t slot,
		bool signal)
{
	struct verbs_lane *l = &c->lane[lane];
	struct ibv_send_wr *bad, *last = &c->wr[n - 1];
	uint32_t entries = l->unsignalled + n;
	bool own = slot != PFW_NONE;
	int code;

	for (uint32_t i = 0; i + 1 < n; i++)
		c->wr[i].next = &c->wr[i + 1];
	last->next = NULL;
	last->send_flags |= IBV_SEND_SOLICITED;
	if (signal || own || entries >= VERBS_MODERATION) {
		last->send_flags |= IBV_SEND_SIGNALED;
		last->wr_id = verbs_send_id(own ? VERBS_MESSAGE : VERBS_OTHER, lane,
					    own ? slot : 0, entries);
		entries = 0;
	}
	code = ibv_post_send(l->qp, c->wr, &bad);
	if (code)
		return code;
	l->in_flight += n;
	l->unsignalled = entries;
	if (own)
		c->slot[slot].busy++;
	return 0;
}

static void write_to(struct verbs_channel *c, uint32_t i, const void *from,
		     uint32_t lkey, uint64_t to, uint32_t rkey, uint64_t bytes)
{
	c->sge[i] = (struct ibv_sge){
		.addr = (uintptr_t)from,
		.length = (uint32_t)bytes,
		.lkey = lkey,
	};
	c->wr[i] = (struct ibv_send_wr){
		.sg_list = &c->sge[i],
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma.remote_addr = to,
		.wr.rdma.rkey = rkey,
	};
}

static void part(struct verbs_channel *c, uint32_t i, uint32_t lane, uint32_t slot,
		 uint64_t offset, uint64_t bytes)
{
	const struct verbs_port *port = &c->port[c->lane[lane].rail];

	write_to(c, i, verbs_slot_at(c, slot) + offset, port->slots->lkey,
		 c->peer.slots + slot * c->peer.stride + offset,
		 c->peer.lane[lane].rkey, bytes);
}

/* The last of a lane: it tells that all before it has arrived.  The header, and
 * @p behind bytes of the slot where both lie in one piece. */
static void notice(struct verbs_channel *c, uint32_t i, uint32_t lane, uint32_t slot,
		   uint64_t behind, uint32_t tag)
{
	const struct verbs_port *port = &c->port[c->lane[lane].rail];

	write_to(c, i, verbs_header_at(c, slot), verbs_header_mr(c, port)->lkey,
		 c->peer.headers + slot * c->peer.header_stride,
		 c->peer.lane[lane].header_rkey,
		 sizeof(struct verbs_header) + behind);
	if (c->by_send) {
		c->wr[i].opcode = IBV_WR_SEND;
		return;
	}
	c->wr[i].opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
	c->wr[i].imm_data = htonl(tag);
}

/* Its header is right in front of each slot, at both ends. */
static bool is_in_one(const struct verbs_channel *c)
{
	return !c->device_ops && c->peer.header_stride == c->peer.stride &&
	       c->peer.headers + sizeof(struct verbs_header) == c->peer.slots;
}

/* All in one write, inline if it fits. */
static int send_small(struct verbs_channel *c, uint32_t lane, uint32_t slot,
		      uint64_t bytes, uint32_t tag)
{
	uint64_t all = sizeof(struct verbs_header) + bytes;

	notice(c, 0, lane, slot, bytes, tag);
	if (all > c->lane[lane].max_inline)
		return post(c, lane, 1, slot, true);
	c->wr[0].send_flags = IBV_SEND_INLINE;
	return post(c, lane, 1, PFW_NONE, false);
}

/* Bytes @p from to @p to on one lane, and the header behind them. */
static int send_part(struct verbs_channel *c, uint32_t lane, uint32_t slot,
		     uint64_t from, uint64_t to, uint32_t tag)
{
	uint32_t n = 0;

	for (uint64_t at = from; at < to; at += c->cut)
		part(c, n++, lane, slot, at,
		     to - at < c->cut ? to - at : c->cut);
	notice(c, n++, lane, slot, 0, tag);
	return post(c, lane, n, slot, true);
}

static uint32_t spread(const struct verbs_channel *c, uint64_t bytes)
{
	uint64_t lanes = bytes / PIECE_BYTES;

	return lanes < 1 ? 1 : lanes < c->n_lanes ? (uint32_t)lanes : c->n_lanes;
}

static int send_over(struct verbs_channel *c, uint32_t slot,
		     const struct verbs_header *h)
{
	uint32_t first = (uint32_t)(h->message % c->n_lanes);
	uint64_t piece = (h->bytes / h->lanes + PIECE_UNIT - 1) / PIECE_UNIT *
			 PIECE_UNIT;
	int code = 0;

	if (!c->by_send && is_in_one(c) && h->bytes + sizeof(*h) <= SMALL_BYTES)
		return send_small(c, first, slot, h->bytes, h->tag);
	for (uint32_t i = 0; !code && i < h->lanes; i++) {
		uint64_t from = i * piece < h->bytes ? i * piece : h->bytes;
		uint64_t to = i + 1 < h->lanes && from + piece < h->bytes ?
				      from + piece : h->bytes;

		code = send_part(c, (first + i) % c->n_lanes, slot, from, to, h->tag);
	}
	return code;
}

int verbs_flow_send(struct verbs_channel *c, uint32_t slot, uint64_t bytes,
		    const struct pfw_message_id *id, struct pfw_error *err)
{
	struct verbs_header h = { .message = c->next, .bytes = bytes };
	struct verbs_slot *s;
	int code;

	if (slot >= c->n_slots)
		return no_slot(c, slot, err);
	s = &c->slot[slot];
	if (!s->held)
		return pfw_error_set(err, EINVAL, "slot %u is sent, but was not "
				     "acquired", slot);
	if (bytes > c->slot_bytes)
		return pfw_error_set(err, EMSGSIZE, "a message of %llu bytes in slots "
				     "of %llu", (unsigned long long)bytes,
				     (unsigned long long)c->slot_bytes);
	code = is_over(c, err);
	if (code)
		return code;
	h.tag = verbs_tag(slot, s->generation);
	h.lanes = spread(c, bytes);
	h.id = *id;
	memcpy(verbs_header_at(c, slot), &h, sizeof(h));
	s->held = false;
	s->sent = true;
	s->generation++;
	c->held--;
	code = send_over(c, slot, &h);
	if (code) {
		verbs_cannot_post(c, "a message", code);
		return is_over(c, err);
	}
	c->next++;
	c->bytes += bytes;
	return 0;
}

int verbs_flow_recv(struct verbs_channel *c, uint32_t *slot, uint64_t *bytes,
		    struct pfw_message_id *id, struct pfw_error *err)
{
	uint32_t *place = &c->order[c->next & c->mask];
	struct verbs_slot *s;
	int rc;

	if (!*place)
		verbs_progress(c);
	/* What came before the end counts. */
	if (!*place) {
		rc = is_over(c, err);
		return rc ? rc : -EAGAIN;
	}
	if (c->device_ops && c->device_ops->arrived) {
		rc = c->device_ops->arrived(c->device, err);
		if (rc)
			return rc;
	}
	s = &c->slot[*place - 1];
	*slot = *place - 1;
	*bytes = s->bytes;
	*id = s->id;
	s->held = true;
	*place = 0;
	c->next++;
	c->bytes += s->bytes;
	return 0;
}

/* Eight bytes of the page, inline if the device can.  ENOMEM: no room now. */
static int post_word(struct verbs_channel *c, uint32_t lane, const void *word,
		     struct ibv_send_wr wr, bool last)
{
	const struct verbs_lane *l = &c->lane[lane];

	if (room(c, lane) < (last ? 1 : 2))
		return ENOMEM;
	c->sge[0] = (struct ibv_sge){ .addr = (uintptr_t)word,
				      .length = sizeof(uint64_t),
				      .lkey = c->port[l->rail].page->lkey };
	c->wr[0] = wr;
	c->wr[0].sg_list = c->sge;
	c->wr[0].num_sge = wr.opcode != IBV_WR_SEND_WITH_IMM;
	if (c->wr[0].num_sge && l->max_inline >= sizeof(uint64_t))
		c->wr[0].send_flags = IBV_SEND_INLINE;
	return post(c, lane, 1, PFW_NONE, last);
}

static int post_tag(struct verbs_channel *c, uint32_t lane, uint32_t tag)
{
	const struct ibv_send_wr wr = {
		.opcode = c->by_send ? IBV_WR_SEND : IBV_WR_SEND_WITH_IMM,
		.imm_data = htonl(tag),
	};

	return post_word(c, lane, c->page->body[tag == VERBS_WAKE], wr,
			 tag == VERBS_BYE);
}

/* Writes a word of the own page to the same place in the other end's. */
static int post_same(struct verbs_channel *c, uint32_t lane, const void *word)
{
	const struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma.remote_addr = c->peer.page +
			(uint64_t)((const char *)word - (const char *)c->page),
		.wr.rdma.rkey = c->peer.lane[lane].page_rkey,
	};

	return post_word(c, lane, word, wr, false);
}

static int post_credit(struct verbs_channel *c, uint32_t slot)
{
	int code;

	c->page->credit[slot] = c->slot[slot].generation;
	code = post_same(c, slot % c->n_lanes, &c->page->credit[slot]);
	if (!code)
		c->slot[slot].returned = c->slot[slot].generation;
	return code;
}

/* What finds no room is tried again, anything else is the end. */
static bool is_posted(struct verbs_channel *c, const char *what, int code)
{
	if (code && code != ENOMEM)
		verbs_cannot_post(c, what, code);
	return code != ENOMEM;
}

void verbs_ask(struct verbs_channel *c, uint32_t slot)
{
	uint64_t question = verbs_question(slot, c->slot[slot].generation);

	if (c->question == question || is_back(c, slot) || c->broken.code)
		return;
	c->page->asked = question;
	/* Where there is no room now, it looks by itself. */
	if (is_posted(c, "a question",
		      post_same(c, slot % c->n_lanes, &c->page->asked)))
		c->question = question;
}

/* On the queue pair of the credit, so behind it. */
static void answer(struct verbs_channel *c)
{
	uint64_t question = __atomic_load_n(&c->page->asked, __ATOMIC_ACQUIRE);
	uint32_t slot = verbs_question_slot(question);

	if (question == c->question || slot >= c->n_slots || c->bye ||
	    c->broken.code ||
	    c->slot[slot].returned < verbs_question_generation(question))
		return;
	if (is_posted(c, "an answer",
		      post_tag(c, slot % c->n_lanes, VERBS_WAKE)))
		c->question = question;
}

/* The other end relies on one for each slot that it has. */
static void refill(struct verbs_channel *c)
{
	for (uint32_t i = 0; i < c->n_lanes; i++)
		for (; c->lane[i].used; c->lane[i].used--)
			verbs_lane_again(c, i, 0);
}

void verbs_pay(struct verbs_channel *c)
{
	if (c->n_owed)
		refill(c);
	while (c->n_owed && !c->broken.code && !c->bye) {
		if (!is_posted(c, "a credit",
			       post_credit(c, c->owed[c->owed_first])))
			return;
		c->owed_first = (c->owed_first + 1) & c->mask;
		c->n_owed--;
	}
	answer(c);
}

int verbs_flow_release(struct verbs_channel *c, uint32_t slot,
		       struct pfw_error *err)
{
	if (slot >= c->n_slots)
		return no_slot(c, slot, err);
	if (!c->slot[slot].held)
		return pfw_error_set(err, EINVAL, "slot %u is released, but holds no "
				     "message", slot);
	c->slot[slot].held = false;
	/* One for each slot at most, so there is a place. */
	c->owed[(c->owed_first + c->n_owed++) & c->mask] = slot;
	if (c->n_owed > 1 || c->lane[slot % c->n_lanes].in_flight > VERBS_MODERATION)
		verbs_progress(c);
	verbs_pay(c);
	/* Nobody waits for it at an end that is closed. */
	return c->bye ? 0 : is_over(c, err);
}

bool verbs_flow_ready(const struct verbs_channel *c, uint32_t slot)
{
	return c->sending ? is_free(c, slot) : c->order[c->next & c->mask] != 0;
}

bool verbs_flow_needs_own(const struct verbs_channel *c, uint32_t slot)
{
	return c->n_owed || (c->sending && is_back(c, slot));
}

void verbs_flow_check(struct verbs_channel *c)
{
	for (uint32_t s = 0; c->sending && s < c->n_slots; s++)
		if (c->slot[s].sent && c->page->credit[s] > c->slot[s].generation)
			verbs_nonsense(c, "a credit",
				       verbs_tag(s, c->page->credit[s]));
}

static bool is_quiet(const struct verbs_channel *c)
{
	for (uint32_t i = 0; i < c->n_lanes; i++)
		if (c->lane[i].in_flight)
			return false;
	return !c->n_owed;
}

void verbs_flow_drain(struct verbs_channel *c)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	uint64_t end = pfw_now() + DRAIN_NS;
	bool said = false;

	while (!c->broken.code && !c->bye && pfw_now() < end &&
	       verbs_alive(c->call.socket)) {
		verbs_progress(c);
		if (c->bye)
			return;
		if (!c->n_owed && !said) {
			said = true;
			for (uint32_t i = 0; said && i < c->n_lanes; i++)
				said = !post_tag(c, i, VERBS_BYE);
		} else if (said && is_quiet(c)) {
			return;
		}
		nanosleep(&pause, NULL);
	}
}
