/*
 * Which transfers wait for which, for a transport whose in-order queues are
 * wider than a channel, or whose receives are posted in program order.  A
 * transfer starts when it is first of the queues of both its ends, and the next
 * one of those queues when it is through: a rendezvous.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/compile.h"

enum { SENDER, RECEIVER };

static int crosses(const struct pfw_lowered *low, uint32_t message)
{
	const struct pfw_lane *lane = &low->lanes[low->lane_of[message]];

	return lane->from != lane->to;
}

/* Queue of one end of each lane; gives how many queues there are. */
static uint32_t name_queues(const struct pfw_lowered *low, uint32_t order,
			    int planned, uint32_t *of[2])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < low->n_lanes; i++) {
		const struct pfw_lane *lane = &low->lanes[i];

		switch (order) {
		case PFW_ORDER_RANK:
			of[SENDER][i] = lane->from;
			of[RECEIVER][i] = lane->to;
			n = low->plan->ranks;
			break;
		case PFW_ORDER_DIRECTION:
			of[SENDER][i] = 2 * lane->from + lane->kind;
			of[RECEIVER][i] = 2 * lane->to + lane->kind;
			n = 2 * low->plan->ranks;
			break;
		default:
			/* Lanes are sorted: those of an edge are neighbours. */
			if (order == PFW_ORDER_EDGE && i &&
			    lane[-1].from == lane->from &&
			    lane[-1].to == lane->to)
				of[SENDER][i] = of[SENDER][i - 1];
			else
				of[SENDER][i] = n, n += planned ? 2 : 1;
			of[RECEIVER][i] = planned ? of[SENDER][i] + 1 : PFW_NONE;
		}
	}
	return n;
}

/* The order in which makers come to their messages, all ranks in turn. */
static int fair_order(const struct pfw_lowered *low,
		      const struct pfw_durations *cost, uint32_t *order,
		      struct pfw_error *err)
{
	struct pfw_pass pass;
	int rc = pfw_pass_init(&pass, low, cost, NULL, err);

	if (rc)
		return rc;
	pass.round_robin = 1;
	pass.order = order;
	rc = pfw_pass_run(&pass, NULL);
	if (rc)
		pfw_deadlock_explain(&pass, err);
	pfw_pass_clear(&pass);
	return rc;
}

static void append(struct pfw_queues *q, int end, uint32_t message)
{
	uint32_t queue = q->queue_of[end][message];

	if (queue != PFW_NONE)
		q->list[q->first[queue] + q->head[queue]++] = message;
}

static void fill_planned(const struct pfw_lowered *low, struct pfw_queues *q)
{
	for (uint32_t i = 0; i < low->n_nodes; i++) {
		const struct pfw_node *node = &low->nodes[i];

		if (node->wait != PFW_NONE)
			append(q, RECEIVER, node->wait);
		if (node->make != PFW_NONE)
			append(q, SENDER, node->make);
	}
}

static void fill_early(const struct pfw_lowered *low, const uint32_t *order,
		       struct pfw_queues *q)
{
	for (uint32_t i = 0; i < low->n_messages; i++) {
		append(q, SENDER, order[i]);
		append(q, RECEIVER, order[i]);
	}
}

/* Which queues each message is in, and where each queue's list begins. */
static void lay_out(const struct pfw_lowered *low, uint32_t *of[2],
		    struct pfw_queues *q)
{
	for (int end = 0; end < 2; end++) {
		for (uint32_t k = 0; k < low->n_messages; k++) {
			uint32_t queue = crosses(low, k) ?
				of[end][low->lane_of[k]] : PFW_NONE;

			q->queue_of[end][k] = queue;
			if (queue != PFW_NONE)
				q->first[queue + 1]++;
		}
	}
	for (uint32_t i = 0; i < q->n_queues; i++)
		q->first[i + 1] += q->first[i];
}

static struct pfw_queues *allocate(const struct pfw_lowered *low, uint32_t n)
{
	size_t messages = (size_t)low->n_messages + 2;
	struct pfw_queues *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->n_queues = n;
	q->first = calloc((size_t)n + 1, sizeof(*q->first));
	q->head = calloc((size_t)n + 1, sizeof(*q->head));
	q->free_at = calloc((size_t)n + 1, sizeof(*q->free_at));
	q->list = malloc(2 * messages * sizeof(*q->list));
	q->stack = malloc(messages * sizeof(*q->stack));
	q->queue_of[SENDER] = malloc(messages * sizeof(uint32_t));
	q->queue_of[RECEIVER] = malloc(messages * sizeof(uint32_t));
	if (q->first && q->head && q->free_at && q->list && q->stack &&
	    q->queue_of[SENDER] && q->queue_of[RECEIVER])
		return q;
	pfw_queues_free(q);
	return NULL;
}

int pfw_queues_make(const struct pfw_lowered *low,
		    const struct pfw_durations *cost,
		    const struct pfw_transport_props *props,
		    struct pfw_queues **out, struct pfw_error *err)
{
	int planned = props && props->receive == PFW_RECEIVE_PLANNED, rc = 0;
	uint32_t order = props ? props->order : PFW_ORDER_CHANNEL;
	struct pfw_queues *q = NULL;
	uint32_t *of[2], *fair;

	if (order <= PFW_ORDER_CHANNEL && !planned) {
		*out = NULL;
		return 0;
	}
	of[SENDER] = malloc((low->n_lanes + 1) * sizeof(uint32_t));
	of[RECEIVER] = malloc((low->n_lanes + 1) * sizeof(uint32_t));
	fair = malloc(((size_t)low->n_messages + 1) * sizeof(*fair));
	if (of[SENDER] && of[RECEIVER] && fair)
		q = allocate(low, name_queues(low, order, planned, of));
	if (!q)
		rc = pfw_error_set(err, ENOMEM, "no memory for transfer queues");
	else
		lay_out(low, of, q);
	if (!rc && planned)
		fill_planned(low, q);
	else if (!rc)
		rc = fair_order(low, cost, fair, err);
	if (!rc && !planned)
		fill_early(low, fair, q);
	free(fair);
	free(of[RECEIVER]);
	free(of[SENDER]);
	if (rc) {
		pfw_queues_free(q);
		return rc;
	}
	*out = q;
	return 0;
}

void pfw_queues_reset(struct pfw_queues *q)
{
	memset(q->head, 0, q->n_queues * sizeof(*q->head));
	memset(q->free_at, 0, q->n_queues * sizeof(*q->free_at));
	q->n_stack = 0;
}

void pfw_queues_free(struct pfw_queues *q)
{
	if (!q)
		return;
	free(q->queue_of[RECEIVER]);
	free(q->queue_of[SENDER]);
	free(q->stack);
	free(q->list);
	free(q->free_at);
	free(q->head);
	free(q->first);
	free(q);
}
