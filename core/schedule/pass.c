/*
 * Plays a lowered plan with given slots: every rank runs its list, an action
 * starts when the rank, its message and a slot for what it makes are there.
 * Gives the earliest time of everything, or where all stand still.  Each action
 * is done once, and tried again only after something that its rank may have
 * waited for: linear.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/compile.h"

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void wake(struct pfw_pass *p, uint32_t rank)
{
	uint32_t ranks = p->low->plan->ranks;

	if (p->queued[rank])
		return;
	p->queued[rank] = 1;
	p->ready[(p->ring_first + p->ring_n++) % ranks] = rank;
}

uint32_t pfw_pass_slot_wait(const struct pfw_pass *p,
			    const struct pfw_node *node)
{
	uint32_t lane, slots;

	if (!p->n_slots || node->make == PFW_NONE)
		return PFW_NONE;
	lane = p->low->lane_of[node->make];
	slots = p->n_slots[lane];
	if (node->make - p->low->lanes[lane].first < slots)
		return PFW_NONE;
	return node->make - slots;
}

static void arrive(struct pfw_pass *p, uint32_t message, int64_t when)
{
	p->arrival[message] = when;
	wake(p, p->low->lanes[p->low->lane_of[message]].to);
}

/* Hands over the head of the queue, if it is made and first everywhere. */
static void advance(struct pfw_pass *p, uint32_t queue)
{
	struct pfw_queues *q = p->queues;
	uint32_t head = q->first[queue] + q->head[queue], message;
	int64_t when;

	if (head == q->first[queue + 1])
		return;
	message = q->list[head];
	if (p->start[p->low->maker[message]] < 0)
		return;
	when = p->end[p->low->maker[message]];
	for (int e = 0; e < 2; e++) {
		uint32_t i = q->queue_of[e][message];

		if (i == PFW_NONE)
			continue;
		if (q->list[q->first[i] + q->head[i]] != message)
			return;
		when = later(when, q->free_at[i]);
	}
	when += p->cost->hop + p->cost->message;
	arrive(p, message, when);
	for (int e = 0; e < 2; e++) {
		uint32_t i = q->queue_of[e][message];

		if (i == PFW_NONE)
			continue;
		q->free_at[i] = when;
		q->head[i]++;
		q->stack[q->n_stack++] = i;
	}
}

/* A message was made: all that can move in its queues, and behind it. */
static void drain(struct pfw_pass *p, uint32_t message)
{
	struct pfw_queues *q = p->queues;

	for (int e = 0; e < 2; e++)
		if (q->queue_of[e][message] != PFW_NONE)
			q->stack[q->n_stack++] = q->queue_of[e][message];
	while (q->n_stack)
		advance(p, q->stack[--q->n_stack]);
}

/* One after the other, each as long as the channel takes for its bytes. */
static void send(struct pfw_pass *p, uint32_t message, int64_t made)
{
	int64_t *busy = &p->busy[p->low->lane_of[message]];

	*busy = later(made, *busy) + p->cost->message;
	arrive(p, message, *busy + p->cost->hop);
}

static void finish(struct pfw_pass *p, const struct pfw_node *node, int64_t end)
{
	const struct pfw_lowered *low = p->low;

	if (node->make != PFW_NONE) {
		const struct pfw_lane *lane = &low->lanes[low->lane_of[node->make]];

		if (p->order)
			p->order[p->n_order++] = node->make;
		if (lane->from == lane->to)
			p->arrival[node->make] = end;
		else if (p->queues)
			drain(p, node->make);
		else
			send(p, node->make, end);
	}
	for (int i = 0; i < 2; i++) {
		uint32_t number = node->release[i];

		if (number == PFW_NONE)
			continue;
		p->released[number] = end;
		if (p->n_slots)
			wake(p, low->lanes[low->lane_of[number]].from);
	}
}

/* 1: the rank's next action is done; 0: it has to wait, or has none. */
static int step(struct pfw_pass *p, uint32_t rank)
{
	uint32_t i = p->next[rank], slot;
	const struct pfw_node *node = &p->low->nodes[i];
	int64_t start = p->clock[rank];

	if (i == p->low->first[rank + 1])
		return 0;
	p->work++;
	if (node->wait != PFW_NONE) {
		if (p->arrival[node->wait] < 0)
			return 0;
		start = later(start, p->arrival[node->wait]);
	}
	slot = pfw_pass_slot_wait(p, node);
	if (slot != PFW_NONE) {
		if (p->released[slot] < 0)
			return 0;
		start = later(start, p->released[slot]);
	}
	p->start[i] = start;
	p->end[i] = start + p->cost->of[node->type][node->stage];
	p->clock[rank] = p->end[i];
	p->next[rank]++;
	finish(p, node, p->end[i]);
	return 1;
}

static void reset(struct pfw_pass *p, const uint32_t *n_slots)
{
	const struct pfw_lowered *low = p->low;

	p->n_slots = n_slots;
	p->ring_first = p->ring_n = p->n_order = 0;
	p->time = 0;
	memset(p->start, 0xff, low->n_nodes * sizeof(*p->start));
	memset(p->arrival, 0xff, low->n_messages * sizeof(*p->arrival));
	memset(p->released, 0xff, low->n_messages * sizeof(*p->released));
	memset(p->busy, 0, low->n_lanes * sizeof(*p->busy));
	for (uint32_t r = 0; r < low->plan->ranks; r++) {
		p->next[r] = low->first[r];
		p->clock[r] = 0;
		p->queued[r] = 0;
		wake(p, r);
	}
	if (p->queues)
		pfw_queues_reset(p->queues);
}

int pfw_pass_run(struct pfw_pass *p, const uint32_t *n_slots)
{
	uint32_t ranks = p->low->plan->ranks;

	reset(p, n_slots);
	while (p->ring_n) {
		uint32_t rank = p->ready[p->ring_first];

		p->ring_first = (p->ring_first + 1) % ranks;
		p->ring_n--;
		p->queued[rank] = 0;
		while (step(p, rank)) {
			if (!p->round_robin)
				continue;
			wake(p, rank);
			break;
		}
	}
	for (uint32_t r = 0; r < ranks; r++) {
		if (p->next[r] != p->low->first[r + 1])
			return -EDEADLK;
		p->time = later(p->time, p->clock[r]);
	}
	return 0;
}

int pfw_pass_init(struct pfw_pass *p, const struct pfw_lowered *low,
		  const struct pfw_durations *cost, struct pfw_queues *queues,
		  struct pfw_error *err)
{
	uint32_t ranks = low->plan->ranks;

	*p = (struct pfw_pass){ .low = low, .cost = cost, .queues = queues };
	p->start = malloc(((size_t)low->n_nodes + 1) * sizeof(*p->start));
	p->end = malloc(((size_t)low->n_nodes + 1) * sizeof(*p->end));
	p->arrival = malloc(((size_t)low->n_messages + 1) * sizeof(*p->arrival));
	p->released = malloc(((size_t)low->n_messages + 1) * sizeof(*p->released));
	p->next = malloc(ranks * sizeof(*p->next));
	p->clock = malloc(ranks * sizeof(*p->clock));
	p->busy = malloc(((size_t)low->n_lanes + 1) * sizeof(*p->busy));
	p->ready = malloc(ranks * sizeof(*p->ready));
	p->queued = malloc(ranks);
	if (p->start && p->end && p->arrival && p->released && p->next &&
	    p->clock && p->busy && p->ready && p->queued)
		return 0;
	pfw_pass_clear(p);
	return pfw_error_set(err, ENOMEM, "no memory to play %u actions",
			     low->n_nodes);
}

void pfw_pass_clear(struct pfw_pass *p)
{
	free(p->queued);
	free(p->ready);
	free(p->busy);
	free(p->clock);
	free(p->next);
	free(p->released);
	free(p->arrival);
	free(p->end);
	free(p->start);
	*p = (struct pfw_pass){ 0 };
}
