/*
 * Why a pass stands still.  Every rank that did not come to its end waits for
 * one thing: a message not made, one stuck in a queue, or a slot not freed.
 * Going from each to the rank that has to act ends in a circle.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "schedule/compile.h"

/* Ranks shown of a circle; the rest is counted. */
#define SHOWN 6u

static void node_text(const struct pfw_pass *p, uint32_t i, char text[64])
{
	const struct pfw_node *node = &p->low->nodes[i];

	pfw_action_text(node->type, node->stage, node->microbatch, text, 64);
}

/* What has to be made before @p message can move: itself, or one ahead of it. */
static uint32_t held_up_by(const struct pfw_pass *p, uint32_t message)
{
	const struct pfw_queues *q = p->queues;

	/* Each turn goes to a message of a queue's head; heads are few. */
	for (uint32_t n = 0; q && n <= q->n_queues; n++) {
		uint32_t ahead = message;

		if (p->start[p->low->maker[message]] < 0)
			break;
		for (int e = 0; e < 2 && ahead == message; e++) {
			uint32_t i = q->queue_of[e][message];

			if (i != PFW_NONE)
				ahead = q->list[q->first[i] + q->head[i]];
		}
		if (ahead == message)
			break;
		message = ahead;
	}
	return message;
}

/* Describes what @p rank waits for; gives the rank that has to act. */
static uint32_t blame(const struct pfw_pass *p, uint32_t rank, char *text,
		      size_t len)
{
	const struct pfw_lowered *low = p->low;
	uint32_t at = p->next[rank], other;
	const struct pfw_node *node = &low->nodes[at];
	const struct pfw_lane *lane;
	char here[64], there[64];
	uint32_t cause;

	node_text(p, at, here);
	if (node->wait != PFW_NONE && p->arrival[node->wait] < 0) {
		cause = held_up_by(p, node->wait);
		node_text(p, low->maker[node->wait], there);
		lane = &low->lanes[low->lane_of[node->wait]];
		if (cause == node->wait) {
			snprintf(text, len, "rank %u at %s waits for %s of rank "
				 "%u", rank, here, there, lane->from);
			return lane->from;
		}
		node_text(p, low->maker[cause], here);
		other = low->lanes[low->lane_of[cause]].from;
		snprintf(text, len, "rank %u waits for %s of rank %u, which is "
			 "behind %s of rank %u in a queue of the transport",
			 rank, there, lane->from, here, other);
		return p->start[low->maker[cause]] < 0 ? other :
			low->lanes[low->lane_of[cause]].to;
	}
	cause = pfw_pass_slot_wait(p, node);
	lane = &low->lanes[low->lane_of[cause]];
	node_text(p, low->releaser[cause], there);
	snprintf(text, len, "rank %u at %s waits for one of %u %s slots to rank "
		 "%u, which %s frees", rank, here,
		 p->n_slots[low->lane_of[cause]],
		 pfw_channel_kind_name(lane->kind), lane->to, there);
	return lane->to;
}

static uint32_t first_stuck(const struct pfw_pass *p)
{
	for (uint32_t r = 0; r < p->low->plan->ranks; r++)
		if (p->next[r] != p->low->first[r + 1])
			return r;
	return PFW_NONE;
}

int pfw_deadlock_explain(const struct pfw_pass *p, struct pfw_error *err)
{
	uint32_t ranks = p->low->plan->ranks, rank = first_stuck(p), start;
	char text[sizeof(err->text)] = "", one[256];
	size_t used = 0;
	uint32_t n = 0;

	/* As many steps as there are ranks end inside the circle. */
	for (uint32_t i = 0; i < ranks; i++)
		rank = blame(p, rank, one, sizeof(one));
	start = rank;
	do {
		rank = blame(p, rank, one, sizeof(one));
		if (n < SHOWN && used < sizeof(text))
			used += (size_t)snprintf(text + used,
				sizeof(text) - used, "%s%s", n ? "; " : "", one);
		n++;
	} while (rank != start && n < ranks);
	if (n > SHOWN && used < sizeof(text))
		snprintf(text + used, sizeof(text) - used,
			 "; and %u ranks more, back to rank %u", n - SHOWN,
			 start);
	return pfw_error_set(err, EDEADLK, "deadlock: %s", text);
}
