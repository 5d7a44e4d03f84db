/* Slots and saved buffers get their numbers, actions all that they touch. */
#include "schedule/assemble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* Buffers of each stage for what F keeps: the one freed last is used first. */
struct saved {
	uint32_t *of;    /* [stages * m]: buffer of a micro-batch */
	uint32_t *below; /* [stages * m]: the free one below this free one */
	uint32_t *top;   /* [stages]: free one to use next, or PFW_NONE */
	uint32_t live;   /* on the rank */
};

/* Bits of a stage that has gradients already. */
#define INPUT_SUMMED 1u
#define WEIGHT_SUMMED 2u

struct assembly {
	const struct pfw_lowered *low;
	const uint32_t *slots;     /* [n_lanes] */
	struct pfw_program *prog;
	struct saved saved;
	uint32_t *slot_of;         /* [n_messages] */
	unsigned char *summed;     /* [stages] */
};

static void number_slots(struct assembly *a)
{
	const struct pfw_lowered *low = a->low;

	for (uint32_t i = 0; i < low->n_lanes; i++) {
		uint32_t first = low->lanes[i].first;

		for (uint32_t k = 0; k < low->lanes[i].n; k++)
			a->slot_of[first + k] = k < a->slots[i] ? k :
				a->slot_of[low->freed[first + k - a->slots[i]]];
	}
}

static void fill_channels(struct assembly *a,
			  const struct pfw_slot_counts *counts)
{
	const struct pfw_lowered *low = a->low;

	for (uint32_t i = 0; i < low->n_lanes; i++) {
		const struct pfw_lane *lane = &low->lanes[i];
		struct pfw_channel *c = &a->prog->channels[i];

		c->from = lane->from;
		c->to = lane->to;
		c->kind = lane->kind;
		c->n_slots = counts->planned[i];
		c->least_live = counts->least_live[i];
		c->least_ideal = counts->least_ideal[i];
		c->n_messages = lane->n;
		for (uint32_t k = 0; k < lane->n; k++) {
			uint32_t message = lane->first + k;
			const struct pfw_node *maker =
				&low->nodes[low->maker[message]];

			c->messages[k].stage = maker->stage;
			c->messages[k].microbatch = maker->microbatch;
			c->messages[k].slot = a->slot_of[message];
		}
	}
}

static struct pfw_transfer transfer(const struct assembly *a, uint32_t message)
{
	uint32_t lane = a->low->lane_of[message];

	return (struct pfw_transfer){
		.channel = lane,
		.message = message - a->low->lanes[lane].first,
		.slot = a->slot_of[message],
	};
}

static uint32_t saved_take(struct assembly *a, const struct pfw_node *node,
			   struct pfw_rank_program *rank)
{
	struct saved *saved = &a->saved;
	size_t base = (size_t)node->stage * a->prog->microbatches;
	uint32_t buffer = saved->top[node->stage];

	if (buffer != PFW_NONE)
		saved->top[node->stage] = saved->below[base + buffer];
	else
		buffer = rank->n_saved[a->prog->chunk_of[node->stage]]++;
	saved->of[base + node->microbatch] = buffer;
	if (++saved->live > rank->peak_saved)
		rank->peak_saved = saved->live;
	return buffer;
}

static void saved_give(struct assembly *a, const struct pfw_node *node,
		       uint32_t buffer)
{
	struct saved *saved = &a->saved;
	size_t base = (size_t)node->stage * a->prog->microbatches;

	saved->below[base + buffer] = saved->top[node->stage];
	saved->top[node->stage] = buffer;
	saved->live--;
}

/* B is first of both sums or of none: the verifier saw to it. */
static uint32_t first_gradient(struct assembly *a, const struct pfw_node *node)
{
	unsigned char *summed = &a->summed[node->stage];
	unsigned char bits = 0;
	int first;

	if (node->type == PFW_BACKWARD || node->type == PFW_BACKWARD_INPUT)
		bits |= INPUT_SUMMED;
	if (node->type == PFW_BACKWARD || node->type == PFW_BACKWARD_WEIGHT)
		bits |= WEIGHT_SUMMED;
	first = bits && !(*summed & bits);
	*summed |= bits;
	return first ? PFW_FIRST_GRADIENT : 0;
}

static void fill_transfers(const struct assembly *a,
			   const struct pfw_node *node, struct pfw_op *op)
{
	const struct pfw_lowered *low = a->low;
	uint32_t m = a->prog->microbatches, s = node->stage;
	uint32_t last = a->prog->stages - 1, b = node->microbatch;

	if (s > 0)
		op->input = transfer(a, low->activation[(size_t)(s - 1) * m + b]);
	if (node->type != PFW_FORWARD && s < last)
		op->grad_output =
			transfer(a, low->gradient[(size_t)(s + 1) * m + b]);
	if (node->make != PFW_NONE && node->type == PFW_FORWARD)
		op->output = transfer(a, node->make);
	else if (node->make != PFW_NONE)
		op->grad_input = transfer(a, node->make);
}

static struct pfw_op blank_op(uint32_t type)
{
	const struct pfw_transfer none = { PFW_NONE, PFW_NONE, PFW_NONE };

	return (struct pfw_op){
		.type = type, .stage = PFW_NONE, .chunk = PFW_NONE,
		.microbatch = PFW_NONE, .saved = PFW_NONE,
		.input = none, .output = none,
		.grad_output = none, .grad_input = none,
	};
}

static void fill_op(struct assembly *a, const struct pfw_node *node,
		    struct pfw_rank_program *rank, struct pfw_op *op)
{
	size_t cell = (size_t)node->stage * a->prog->microbatches +
		      node->microbatch;

	*op = blank_op(node->type);
	op->stage = node->stage;
	op->chunk = a->prog->chunk_of[node->stage];
	op->microbatch = node->microbatch;
	op->saved = node->type == PFW_FORWARD ? saved_take(a, node, rank)
					      : a->saved.of[cell];
	fill_transfers(a, node, op);
	if (node->release[0] != PFW_NONE)
		op->flags |= PFW_RELEASE_INPUT;
	if (node->release[1] != PFW_NONE)
		op->flags |= PFW_RELEASE_GRAD;
	if (a->low->forward_only || node->type == PFW_BACKWARD ||
	    node->type == PFW_BACKWARD_WEIGHT) {
		op->flags |= PFW_RELEASE_SAVED;
		saved_give(a, node, op->saved);
	}
	if (node->type == PFW_BACKWARD_INPUT)
		a->prog->splits = 1;
	op->flags |= first_gradient(a, node);
}

static void fill_rank(struct assembly *a, uint32_t r)
{
	static const uint32_t after[] = { PFW_TIE, PFW_NORM, PFW_OPT };
	const struct pfw_lowered *low = a->low;
	struct pfw_rank_program *rank = &a->prog->rank[r];

	a->saved.live = 0;
	rank->ops[rank->n++] = blank_op(PFW_LOAD);
	for (uint32_t i = low->first[r]; i < low->first[r + 1]; i++)
		fill_op(a, &low->nodes[i], rank, &rank->ops[rank->n++]);
	for (size_t i = 0; !low->forward_only && i < 3; i++)
		rank->ops[rank->n++] = blank_op(after[i]);
}

/* LOAD comes before the first node. */
static void fill_posts(struct assembly *a, const struct pfw_posts *posts)
{
	const struct pfw_lowered *low = a->low;

	for (uint32_t i = 0; i < posts->n; i++) {
		uint32_t message = posts->list[i];
		uint32_t lane = low->lane_of[message], to = low->lanes[lane].to;
		struct pfw_rank_program *rank = &a->prog->rank[to];

		rank->posts[rank->n_posts++] = (struct pfw_posting){
			.at = posts->at[message] - low->first[to] + 1,
			.channel = lane,
			.message = message - low->lanes[lane].first,
		};
	}
}

static uint64_t hash_posts(uint64_t h, const struct pfw_rank_program *rank)
{
	for (uint32_t i = 0; i < rank->n_posts; i++) {
		const struct pfw_posting *p = &rank->posts[i];

		h = pfw_hash_u64(h, (uint64_t)p->channel << 32 | p->at);
		h = pfw_hash_u64(h, p->message);
	}
	return h;
}

/* What the rest follows from, and the numbers that follow from it. */
static uint64_t hash_program(const struct pfw_program *prog)
{
	uint64_t h = PFW_HASH_START;

	h = pfw_hash_u64(h, prog->ranks);
	h = pfw_hash_u64(h, prog->chunks);
	h = pfw_hash_u64(h, prog->microbatches);
	for (uint32_t s = 0; s < prog->stages; s++)
		h = pfw_hash_u64(h, prog->rank_of[s]);
	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];

		h = pfw_hash_u64(h, (uint64_t)c->n_slots << 32 | c->n_messages);
		for (uint32_t k = 0; k < c->n_messages; k++)
			h = pfw_hash_u64(h, c->messages[k].slot);
	}
	for (uint32_t r = 0; r < prog->ranks; r++) {
		for (size_t i = 0; i < prog->rank[r].n; i++) {
			const struct pfw_op *op = &prog->rank[r].ops[i];

			h = pfw_hash_u64(h, (uint64_t)op->type << 32 | op->stage);
			h = pfw_hash_u64(h, (uint64_t)op->saved << 32 |
						    op->microbatch);
		}
		h = hash_posts(h, &prog->rank[r]);
	}
	return h;
}

/* As many as each rank receives, if they are posted at all. */
static int allocate_posts(const struct pfw_lowered *low,
			  const struct pfw_posts *posts,
			  struct pfw_program *prog)
{
	uint32_t *n;

	if (!posts->n)
		return 1;
	n = calloc(prog->ranks, sizeof(*n));
	if (!n)
		return 0;
	for (uint32_t i = 0; i < posts->n; i++)
		n[low->lanes[low->lane_of[posts->list[i]]].to]++;
	for (uint32_t r = 0; r < prog->ranks; r++) {
		struct pfw_rank_program *rank = &prog->rank[r];

		rank->posts = calloc((size_t)n[r] + 1, sizeof(*rank->posts));
		if (!rank->posts) {
			free(n);
			return 0;
		}
	}
	free(n);
	return 1;
}

static struct pfw_program *allocate(const struct pfw_lowered *low,
				    const struct pfw_posts *posts)
{
	const struct pfw_schedule_plan *plan = low->plan;
	struct pfw_program *prog = calloc(1, sizeof(*prog));
	int ok;

	if (!prog)
		return NULL;
	prog->ranks = plan->ranks;
	prog->chunks = plan->chunks;
	prog->microbatches = plan->microbatches;
	prog->stages = plan->stages;
	prog->n_channels = low->n_lanes;
	prog->rank_of = calloc(plan->stages, sizeof(*prog->rank_of));
	prog->chunk_of = calloc(plan->stages, sizeof(*prog->chunk_of));
	prog->channels = calloc((size_t)low->n_lanes + 1,
				sizeof(*prog->channels));
	prog->rank = calloc(plan->ranks, sizeof(*prog->rank));
	ok = prog->rank_of && prog->chunk_of && prog->channels && prog->rank;
	for (uint32_t i = 0; ok && i < low->n_lanes; i++) {
		prog->channels[i].messages = calloc(low->lanes[i].n,
			sizeof(*prog->channels[i].messages));
		ok = prog->channels[i].messages != NULL;
	}
	for (uint32_t r = 0; ok && r < plan->ranks; r++) {
		/* And LOAD, TIE, NORM, OPT. */
		prog->rank[r].ops = calloc(plan->lists[r].n + 4,
					   sizeof(*prog->rank[r].ops));
		prog->rank[r].n_saved = calloc(plan->chunks,
					       sizeof(*prog->rank[r].n_saved));
		ok = prog->rank[r].ops && prog->rank[r].n_saved;
	}
	ok = ok && allocate_posts(low, posts, prog);
	if (!ok) {
		pfw_program_free(prog);
		return NULL;
	}
	memcpy(prog->rank_of, plan->rank_of,
	       plan->stages * sizeof(*prog->rank_of));
	memcpy(prog->chunk_of, plan->chunk_of,
	       plan->stages * sizeof(*prog->chunk_of));
	return prog;
}

int pfw_program_assemble(const struct pfw_lowered *low,
			 const struct pfw_slot_counts *counts,
			 struct pfw_program **out, struct pfw_error *err)
{
	size_t stages = low->plan->stages;
	size_t cells = stages * low->plan->microbatches;
	struct assembly a = {
		.low = low,
		.slots = counts->planned,
		.prog = allocate(low, &counts->posts),
	};
	int rc = 0;

	a.saved.of = malloc(cells * sizeof(*a.saved.of));
	a.saved.below = malloc(cells * sizeof(*a.saved.below));
	a.saved.top = malloc(stages * sizeof(*a.saved.top));
	a.slot_of = malloc(((size_t)low->n_messages + 1) * sizeof(*a.slot_of));
	a.summed = calloc(stages, 1);
	if (a.prog && a.saved.of && a.saved.below && a.saved.top && a.slot_of &&
	    a.summed) {
		memset(a.saved.top, 0xff, stages * sizeof(*a.saved.top));
		number_slots(&a);
		fill_channels(&a, counts);
		for (uint32_t r = 0; r < low->plan->ranks; r++)
			fill_rank(&a, r);
		fill_posts(&a, &counts->posts);
		a.prog->ideal_time = counts->ideal_time;
		a.prog->planned_time = counts->planned_time;
		a.prog->hash = hash_program(a.prog);
		*out = a.prog;
	} else {
		pfw_program_free(a.prog);
		rc = pfw_error_set(err, ENOMEM, "no memory for a program of %u "
				   "actions", low->n_nodes);
	}
	free(a.summed);
	free(a.slot_of);
	free(a.saved.top);
	free(a.saved.below);
	free(a.saved.of);
	return rc;
}
