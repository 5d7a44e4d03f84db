/*
 * When receives are posted, for a transport whose posted receives cost something
 * while they wait (PFW_RECEIVE_PLANNED): as late as no transfer waits for one.
 *
 * The last run of the pass says when each transfer starts; its receive is posted
 * before the first action of its rank that ends after that.  The slot is free by
 * then: the transfer's message was made after the slot's release, and an action
 * that ends later comes later in the list.
 */
#include <errno.h>
#include <stdlib.h>

#include "schedule/compile.h"

enum { RECEIVER = 1 };

static uint32_t receiver_of(const struct pfw_lowered *low, uint32_t message)
{
	return low->lanes[low->lane_of[message]].to;
}

/* The first action of the rank that ends after this time. */
static uint32_t first_after(const struct pfw_pass *pass, uint32_t rank,
			    int64_t time)
{
	uint32_t low = pass->low->first[rank], high = pass->low->first[rank + 1];

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pass->end[middle] > time)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Both ends come to the messages of a queue in one order, or the program was
 * refused: so these ascend within each queue. */
static void place(const struct pfw_pass *pass, uint32_t message, uint32_t *at)
{
	const struct pfw_lowered *low = pass->low;
	int64_t start = pass->arrival[message] - pass->cost->hop -
			pass->cost->message;
	uint32_t node = first_after(pass, receiver_of(low, message), start);

	at[message] = node < low->taker[message] ? node : low->taker[message];
}

/* Messages by the action before which they are posted, else as they were. */
static int sort(const struct pfw_pass *pass, struct pfw_posts *p,
		struct pfw_error *err)
{
	const struct pfw_queues *q = pass->queues;
	uint32_t n_nodes = pass->low->n_nodes;
	uint32_t *begin = calloc((size_t)n_nodes + 2, sizeof(*begin));

	if (!begin)
		return pfw_error_set(err, ENOMEM, "no memory to place receives");
	for (uint32_t k = 0; k < pass->low->n_messages; k++)
		if (p->at[k] != PFW_NONE)
			begin[p->at[k] + 1]++;
	for (uint32_t i = 0; i < n_nodes; i++)
		begin[i + 1] += begin[i];
	p->n = begin[n_nodes];
	for (uint32_t queue = 0; queue < q->n_queues; queue++)
		for (uint32_t i = q->first[queue]; i < q->first[queue + 1]; i++)
			if (q->queue_of[RECEIVER][q->list[i]] == queue)
				p->list[begin[p->at[q->list[i]]]++] = q->list[i];
	free(begin);
	return 0;
}

int pfw_posts_make(const struct pfw_pass *pass, struct pfw_posts *out,
		   struct pfw_error *err)
{
	size_t n = (size_t)pass->low->n_messages + 1;
	struct pfw_posts p = {
		.at = malloc(n * sizeof(*p.at)),
		.list = malloc(n * sizeof(*p.list)),
	};
	int rc = 0;

	if (!p.at || !p.list)
		rc = pfw_error_set(err, ENOMEM, "no memory to place receives");
	for (uint32_t k = 0; !rc && k < pass->low->n_messages; k++) {
		p.at[k] = PFW_NONE;
		if (pass->queues->queue_of[RECEIVER][k] != PFW_NONE)
			place(pass, k, p.at);
	}
	if (!rc)
		rc = sort(pass, &p, err);
	if (rc)
		pfw_posts_clear(&p);
	else
		*out = p;
	return rc;
}

void pfw_posts_clear(struct pfw_posts *posts)
{
	free(posts->list);
	free(posts->at);
	*posts = (struct pfw_posts){ 0 };
}
