/* Channels, messages and releases of a verified plan. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/compile.h"

/* The lanes across the boundary between stages s - 1 and s. */
struct boundary {
	uint32_t activation, gradient;
};

struct lowering {
	struct pfw_lowered *low;
	struct boundary *at;  /* [stages]; [0] is not used */
	uint32_t *fill;       /* [n_lanes]: messages or releases so far */
	uint32_t *held;       /* [n_lanes] */
};

static int lane_compare(const void *a, const void *b)
{
	const struct pfw_lane *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return (x->kind > y->kind) - (x->kind < y->kind);
}

static uint32_t lane_find(const struct pfw_lowered *low, uint32_t from,
			  uint32_t to, uint32_t kind)
{
	struct pfw_lane key = { .from = from, .to = to, .kind = kind };
	const struct pfw_lane *lane = bsearch(&key, low->lanes, low->n_lanes,
					      sizeof(key), lane_compare);

	return (uint32_t)(lane - low->lanes);
}

/* One lane for each different (from, to, kind) of the stages' boundaries. */
static void make_lanes(struct lowering *l)
{
	struct pfw_lowered *low = l->low;
	const struct pfw_schedule_plan *plan = low->plan;
	uint32_t n = 0, first = 0;

	for (uint32_t s = 1; s < plan->stages; s++) {
		uint32_t below = plan->rank_of[s - 1], above = plan->rank_of[s];

		low->lanes[n++] = (struct pfw_lane){
			.from = below, .to = above,
			.kind = PFW_CHANNEL_ACTIVATION,
		};
		if (!low->forward_only)
			low->lanes[n++] = (struct pfw_lane){
				.from = above, .to = below,
				.kind = PFW_CHANNEL_GRADIENT,
			};
	}
	if (n)
		qsort(low->lanes, n, sizeof(*low->lanes), lane_compare);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t last = low->n_lanes - 1;

		if (!i || lane_compare(&low->lanes[last], &low->lanes[i]))
			low->lanes[++last] = low->lanes[i];
		low->n_lanes = last + 1;
		low->lanes[last].n += plan->microbatches;
	}
	for (uint32_t i = 0; i < low->n_lanes; i++) {
		low->lanes[i].first = first;
		first += low->lanes[i].n;
		for (uint32_t k = low->lanes[i].first; k < first; k++)
			low->lane_of[k] = i;
	}
	for (uint32_t s = 1; s < plan->stages; s++) {
		uint32_t below = plan->rank_of[s - 1], above = plan->rank_of[s];

		l->at[s].activation = lane_find(low, below, above,
						PFW_CHANNEL_ACTIVATION);
		if (!low->forward_only)
			l->at[s].gradient = lane_find(low, above, below,
						      PFW_CHANNEL_GRADIENT);
	}
}

static int goes_back(uint32_t type)
{
	return type == PFW_BACKWARD || type == PFW_BACKWARD_INPUT;
}

/* Numbers messages in the order their makers list them. */
static void make_messages(struct lowering *l)
{
	struct pfw_lowered *low = l->low;
	uint32_t m = low->plan->microbatches, last = low->plan->stages - 1;

	for (uint32_t i = 0; i < low->n_nodes; i++) {
		struct pfw_node *node = &low->nodes[i];
		uint32_t s = node->stage, lane, *made;

		if (node->type == PFW_FORWARD && s < last) {
			lane = l->at[s + 1].activation;
			made = low->activation;
		} else if (goes_back(node->type) && s > 0) {
			lane = l->at[s].gradient;
			made = low->gradient;
		} else {
			continue;
		}
		node->make = low->lanes[lane].first + l->fill[lane]++;
		made[(size_t)s * m + node->microbatch] = node->make;
		low->maker[node->make] = i;
	}
}

static void take(struct lowering *l, uint32_t i, uint32_t message)
{
	uint32_t lane = l->low->lane_of[message];

	l->low->nodes[i].wait = message;
	l->low->taker[message] = i;
	if (++l->held[lane] > l->low->lanes[lane].live)
		l->low->lanes[lane].live = l->held[lane];
}

static void release(struct lowering *l, uint32_t i, int which, uint32_t message)
{
	struct pfw_lowered *low = l->low;
	uint32_t lane = low->lane_of[message];
	uint32_t number = low->lanes[lane].first + l->fill[lane]++;

	low->nodes[i].release[which] = number;
	low->releaser[number] = i;
	low->freed[number] = message;
	l->held[lane]--;
}

/* Joins consumers to messages, and numbers releases in the consumer's order. */
static void make_releases(struct lowering *l)
{
	struct pfw_lowered *low = l->low;
	uint32_t m = low->plan->microbatches, last = low->plan->stages - 1;

	memset(l->fill, 0, low->n_lanes * sizeof(*l->fill));
	for (uint32_t i = 0; i < low->n_nodes; i++) {
		struct pfw_node *node = &low->nodes[i];
		uint32_t s = node->stage, b = node->microbatch;
		uint32_t input = PFW_NONE, grad = PFW_NONE;

		if (s > 0)
			input = low->activation[(size_t)(s - 1) * m + b];
		if (s < last && !low->forward_only)
			grad = low->gradient[(size_t)(s + 1) * m + b];
		if (node->type == PFW_FORWARD && input != PFW_NONE)
			take(l, i, input);
		if (goes_back(node->type) && grad != PFW_NONE)
			take(l, i, grad);
		if (node->type != PFW_BACKWARD_INPUT &&
		    (node->type != PFW_FORWARD || low->forward_only)) {
			if (input != PFW_NONE)
				release(l, i, 0, input);
			if (grad != PFW_NONE)
				release(l, i, 1, grad);
		}
	}
}

static void make_nodes(struct pfw_lowered *low)
{
	uint32_t n = 0;

	for (uint32_t r = 0; r < low->plan->ranks; r++) {
		const struct pfw_plan *list = &low->plan->lists[r];

		low->first[r] = n;
		for (size_t i = 0; i < list->n; i++)
			low->nodes[n++] = (struct pfw_node){
				.type = list->items[i].type,
				.stage = list->items[i].stage,
				.microbatch = list->items[i].microbatch,
				.wait = PFW_NONE,
				.make = PFW_NONE,
				.release = { PFW_NONE, PFW_NONE },
			};
	}
	low->first[low->plan->ranks] = n;
}

/* malloc(0) may be NULL, and a plan of one stage has no message. */
static uint32_t *numbers(size_t n)
{
	return malloc((n + 1) * sizeof(uint32_t));
}

static int allocate(struct pfw_lowered *low, size_t max_lanes)
{
	size_t cells = (size_t)low->plan->stages * low->plan->microbatches;
	size_t n = low->n_messages;

	low->first = numbers(low->plan->ranks);
	low->nodes = calloc((size_t)low->n_nodes + 1, sizeof(*low->nodes));
	low->lanes = calloc(max_lanes + 1, sizeof(*low->lanes));
	low->lane_of = numbers(n);
	low->maker = numbers(n);
	low->taker = numbers(n);
	low->releaser = numbers(n);
	low->freed = numbers(n);
	low->activation = numbers(cells);
	low->gradient = numbers(cells);
	return low->first && low->nodes && low->lanes && low->lane_of &&
	       low->maker && low->taker && low->releaser && low->freed &&
	       low->activation && low->gradient;
}

int pfw_lower(const struct pfw_schedule_plan *plan, int forward_only,
	      struct pfw_lowered *out, struct pfw_error *err)
{
	struct pfw_lowered low = { .plan = plan, .forward_only = forward_only };
	struct lowering l = { .low = &low };
	size_t max_lanes = (size_t)(plan->stages - 1) * (forward_only ? 1 : 2);

	for (uint32_t r = 0; r < plan->ranks; r++)
		low.n_nodes += (uint32_t)plan->lists[r].n;
	low.n_messages = (uint32_t)max_lanes * plan->microbatches;
	l.at = calloc(plan->stages, sizeof(*l.at));
	l.fill = calloc(max_lanes + 1, sizeof(*l.fill));
	l.held = calloc(max_lanes + 1, sizeof(*l.held));
	if (!allocate(&low, max_lanes) || !l.at || !l.fill || !l.held) {
		free(l.held);
		free(l.fill);
		free(l.at);
		pfw_lowered_clear(&low);
		return pfw_error_set(err, ENOMEM, "no memory for a program of "
				     "%u actions", low.n_nodes);
	}
	make_nodes(&low);
	make_lanes(&l);
	make_messages(&l);
	make_releases(&l);
	free(l.held);
	free(l.fill);
	free(l.at);
	*out = low;
	return 0;
}

void pfw_lowered_clear(struct pfw_lowered *low)
{
	free(low->gradient);
	free(low->activation);
	free(low->freed);
	free(low->releaser);
	free(low->taker);
	free(low->maker);
	free(low->lane_of);
	free(low->lanes);
	free(low->nodes);
	free(low->first);
	*low = (struct pfw_lowered){ 0 };
}
