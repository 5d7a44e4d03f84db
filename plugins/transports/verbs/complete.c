#include "complete.h"

#include "fault.h"
#include "flow.h"
#include "lane.h"

#include <arpa/inet.h>
#include <string.h>

#define BATCH 16

/* The first part of a message to come: what the whole will be. */
static bool begin_message(struct verbs_channel *c, struct verbs_slot *s,
			  uint32_t tag, const struct verbs_header *h)
{
	if (h->tag != tag || h->bytes > c->slot_bytes || h->lanes < 1 ||
	    h->lanes > c->n_lanes || h->message - c->next >= c->n_slots ||
	    c->order[h->message & c->mask])
		return false;
	s->message = h->message;
	s->bytes = h->bytes;
	s->lanes = h->lanes;
	s->id = h->id;
	return true;
}

static void take_message(struct verbs_channel *c, uint32_t lane, uint32_t tag,
			 const struct verbs_header *header)
{
	uint32_t slot = verbs_tag_slot(tag);
	struct verbs_slot *s = &c->slot[slot];
	struct verbs_header h;

	if (slot >= c->n_slots || tag != verbs_tag(slot, s->generation) || s->held ||
	    s->arrived >> lane & 1) {
		verbs_nonsense(c, "a message", tag);
		return;
	}
	/* Once: what was checked is what is used. */
	memcpy(&h, header ? (const void *)header :
			    verbs_header_at(c, slot), sizeof(h));
	if (!s->arrived && !begin_message(c, s, tag, &h)) {
		verbs_nonsense(c, "a header", h.tag);
		return;
	}
	s->arrived |= 1u << lane;
	if (++s->parts < s->lanes)
		return;
	s->arrived = s->parts = 0;
	s->generation++;
	c->order[s->message & c->mask] = slot + 1;
}

/* Lanes overtake each other: after the last one's nothing comes. */
static void take_bye(struct verbs_channel *c, uint32_t lane)
{
	c->byes |= 1u << lane;
	c->bye = (uint32_t)__builtin_popcount(c->byes) == c->n_lanes;
}

static void take_receive(struct verbs_channel *c, const struct ibv_wc *wc)
{
	uint32_t lane = verbs_id_lane(wc->wr_id), index = (uint32_t)wc->wr_id;
	struct verbs_header header = { 0 };
	uint32_t tag;

	if (c->by_send) {
		header = c->inbox[lane * (c->n_slots + 1) + index];
		tag = header.tag;
	} else {
		tag = ntohl(wc->imm_data);
	}
	/* Without an immediate, or too short for a tag, it says nothing. */
	if (c->by_send ? wc->byte_len < sizeof(tag) : !(wc->wc_flags & IBV_WC_WITH_IMM))
		verbs_nonsense(c, "something without a tag", 0);
	else if (tag == VERBS_BYE)
		take_bye(c, lane);
	else if (c->sending && tag != VERBS_WAKE)
		verbs_nonsense(c, "a word", tag);
	else if (!c->sending)
		take_message(c, lane, tag, c->by_send ? &header : NULL);
	/* A message's is posted again when its slot is credited: later is soon
	 * enough, and who waits for the message does not wait for that. */
	if (!c->sending && !c->by_send)
		c->lane[lane].used++;
	else
		verbs_lane_again(c, lane, index);
}

static void take_sent(struct verbs_channel *c, const struct ibv_wc *wc)
{
	c->lane[verbs_id_lane(wc->wr_id)].in_flight -= (uint32_t)wc->wr_id;
	if (verbs_id_kind(wc->wr_id) == VERBS_MESSAGE)
		c->slot[verbs_id_slot(wc->wr_id)].busy--;
}

static void take(struct verbs_channel *c, const struct ibv_wc *wc)
{
	if (wc->status != IBV_WC_SUCCESS)
		verbs_broke(c, wc);
	else if (verbs_id_kind(wc->wr_id) == VERBS_RECEIVE)
		take_receive(c, wc);
	else
		take_sent(c, wc);
}

void verbs_progress(struct verbs_channel *c)
{
	struct ibv_wc wc[BATCH];
	int n;

	for (uint32_t p = 0; p < c->n_ports; p++)
		do {
			n = ibv_poll_cq(c->port[p].cq, BATCH, wc);
			for (int i = 0; i < n; i++)
				take(c, &wc[i]);
		} while (n == BATCH);
	if (verbs_owes(c))
		verbs_pay(c);
}
