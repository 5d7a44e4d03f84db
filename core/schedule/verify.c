/*
 * Is a plan complete, and can each rank's own order be?  What depends on other
 * ranks' orders is for the pass to find.
 */
#include <errno.h>
#include <stdlib.h>

#include "schedule/compile.h"

/* Bits of a (stage, micro-batch). */
#define SEEN(type) (1u << (type))
#define F_SEEN SEEN(PFW_FORWARD)
#define B_SEEN SEEN(PFW_BACKWARD)
#define I_SEEN SEEN(PFW_BACKWARD_INPUT)
#define W_SEEN SEEN(PFW_BACKWARD_WEIGHT)

/*
 * The gradients of a stage are summed by two sequences: what the input's
 * backward makes (B and I) and what the weights' does (B and W).
 */
enum { BY_INPUT, BY_WEIGHT, N_SUMS };

struct check {
	const struct pfw_schedule_plan *plan;
	int order_any, forward_only;
	unsigned char *seen;        /* [stages * m] */
	uint32_t *last[N_SUMS];     /* [stages]: micro-batch, or PFW_NONE */
	struct pfw_error *err;
};

/* For sentences only: it costs more than all checks together. */
struct name {
	char text[64];
};

static struct name name(const struct pfw_planned *item)
{
	struct name n = { "" };

	pfw_action_text(item->type, item->stage, item->microbatch, n.text,
			sizeof(n.text));
	return n;
}

/* Where rank r lists it; only asked once something is wrong. */
static size_t find(const struct check *c, uint32_t r, uint32_t types,
		   const struct pfw_planned *like)
{
	const struct pfw_plan *list = &c->plan->lists[r];

	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].stage == like->stage &&
		    list->items[i].microbatch == like->microbatch &&
		    (types & SEEN(list->items[i].type)))
			return i;
	return list->n;
}

static int check_known(const struct check *c, uint32_t r, size_t at,
		       const struct pfw_planned *item)
{
	const struct pfw_schedule_plan *plan = c->plan;

	if (item->type < PFW_FORWARD || item->type > PFW_BACKWARD_WEIGHT)
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s is of type %u; a schedule "
			"lists F, B, I and W, the rest is placed for it",
			r, at, name(item).text, item->type);
	if (c->forward_only && item->type != PFW_FORWARD)
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s has no place in a program "
			"that only goes forward", r, at, name(item).text);
	if (item->stage >= plan->stages)
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s names stage %u; stages are 0 "
			"to %u", r, at, name(item).text, item->stage,
			plan->stages - 1);
	if (plan->rank_of[item->stage] != r)
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s, but stage %u is on rank %u",
			r, at, name(item).text, item->stage,
			plan->rank_of[item->stage]);
	if (item->microbatch >= plan->microbatches)
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s names micro-batch %u; with "
			"m=%u they are 0 to %u", r, at, name(item).text,
			item->microbatch, plan->microbatches,
			plan->microbatches - 1);
	return 0;
}

/* Says why an action cannot come after those of its cell seen so far. */
static int refuse_cell(const struct check *c, uint32_t r, size_t at,
		       const struct pfw_planned *item, unsigned seen)
{
	struct pfw_planned other = *item;
	size_t where;
	struct name this = name(item), needed;

	if (seen & SEEN(item->type))
		return pfw_error_set(c->err, EINVAL,
			"rank %u lists %s twice, as actions %zu and %zu", r,
			this.text, find(c, r, SEEN(item->type), item), at);
	if (item->type != PFW_FORWARD && !(seen & F_SEEN))
		other.type = PFW_FORWARD;
	else if (item->type == PFW_BACKWARD_WEIGHT && !(seen & B_SEEN))
		other.type = PFW_BACKWARD_INPUT;
	else
		other.type = seen & B_SEEN ? PFW_BACKWARD : PFW_BACKWARD_INPUT;
	needed = name(&other);
	where = find(c, r, SEEN(other.type), item);
	if (seen & SEEN(other.type))
		return pfw_error_set(c->err, EINVAL,
			"rank %u lists %s (action %zu) and %s (action %zu): a "
			"micro-batch goes back through a stage by B, or by I "
			"and W", r, needed.text, where, this.text, at);
	if (where < c->plan->lists[r].n)
		return pfw_error_set(c->err, EINVAL,
			"rank %u lists %s (action %zu) before %s (action %zu), "
			"which it needs", r, this.text, at, needed.text, where);
	return pfw_error_set(c->err, EINVAL,
		"rank %u lists %s (action %zu) and never %s, which it needs", r,
		this.text, at, needed.text);
}

static int check_cell(struct check *c, uint32_t r, size_t at,
		      const struct pfw_planned *item)
{
	static const unsigned char needs[] = {
		[PFW_FORWARD] = 0,
		[PFW_BACKWARD] = F_SEEN,
		[PFW_BACKWARD_INPUT] = F_SEEN,
		[PFW_BACKWARD_WEIGHT] = F_SEEN | I_SEEN,
	};
	unsigned char *seen = &c->seen[(size_t)item->stage *
				       c->plan->microbatches + item->microbatch];

	/* Exactly what it needs: so nothing comes twice, nor B beside I. */
	if (*seen != needs[item->type])
		return refuse_cell(c, r, at, item, *seen);
	*seen |= (unsigned char)SEEN(item->type);
	return 0;
}

static int check_sum(struct check *c, uint32_t r, size_t at,
		     const struct pfw_planned *item, int sum)
{
	uint32_t *last = &c->last[sum][item->stage];

	if (*last != PFW_NONE && *last > item->microbatch && !c->order_any)
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s comes after micro-batch %u of "
			"its stage; gradients are summed in ascending order, "
			"so that every schedule gives the same bits (order = "
			"\"any\" gives that up)", r, at, name(item).text, *last);
	*last = item->microbatch;
	return 0;
}

static int check_sums(struct check *c, uint32_t r, size_t at,
		      const struct pfw_planned *item)
{
	int rc = 0;

	if (item->type == PFW_BACKWARD &&
	    (c->last[BY_INPUT][item->stage] == PFW_NONE) !=
	    (c->last[BY_WEIGHT][item->stage] == PFW_NONE))
		return pfw_error_set(c->err, EINVAL,
			"rank %u, action %zu: %s comes between the first I of "
			"its stage and the first W; put the W before it", r, at,
			name(item).text);
	if (item->type == PFW_BACKWARD || item->type == PFW_BACKWARD_INPUT)
		rc = check_sum(c, r, at, item, BY_INPUT);
	if (!rc && (item->type == PFW_BACKWARD ||
		    item->type == PFW_BACKWARD_WEIGHT))
		rc = check_sum(c, r, at, item, BY_WEIGHT);
	return rc;
}

static int check_list(struct check *c, uint32_t r)
{
	const struct pfw_plan *list = &c->plan->lists[r];
	int rc = 0;

	for (size_t i = 0; i < list->n && !rc; i++) {
		const struct pfw_planned *item = &list->items[i];

		rc = check_known(c, r, i, item);
		if (!rc)
			rc = check_cell(c, r, i, item);
		if (!rc)
			rc = check_sums(c, r, i, item);
	}
	return rc;
}

static int check_complete(const struct check *c)
{
	const struct pfw_schedule_plan *plan = c->plan;
	const char *missing;

	for (uint32_t s = 0; s < plan->stages; s++) {
		for (uint32_t i = 0; i < plan->microbatches; i++) {
			unsigned seen = c->seen[(size_t)s * plan->microbatches + i];

			if (!(seen & F_SEEN))
				missing = "F";
			else if (c->forward_only || (seen & (B_SEEN | W_SEEN)))
				continue;
			else
				missing = seen & I_SEEN ? "W" : "B";
			return pfw_error_set(c->err, EINVAL,
				"rank %u never does %u%s%u: %s", plan->rank_of[s],
				s, missing, i, c->forward_only ?
				"every micro-batch goes through every stage" :
				"every micro-batch goes through every stage and "
				"back, by B or by I and W");
		}
	}
	return 0;
}

int pfw_plan_verify(const struct pfw_schedule_plan *plan, int order_any,
		    int forward_only, struct pfw_error *err)
{
	struct check c = {
		.plan = plan,
		.order_any = order_any,
		.forward_only = forward_only,
		.err = err,
	};
	int rc = 0;

	c.seen = calloc((size_t)plan->stages * plan->microbatches, 1);
	for (int sum = 0; sum < N_SUMS; sum++)
		c.last[sum] = malloc(plan->stages * sizeof(*c.last[sum]));
	if (!c.seen || !c.last[BY_INPUT] || !c.last[BY_WEIGHT])
		rc = pfw_error_set(err, ENOMEM, "no memory to verify a plan");
	for (uint32_t s = 0; s < plan->stages && !rc; s++)
		c.last[BY_INPUT][s] = c.last[BY_WEIGHT][s] = PFW_NONE;
	for (uint32_t r = 0; r < plan->ranks && !rc; r++)
		rc = check_list(&c, r);
	if (!rc)
		rc = check_complete(&c);
	free(c.last[BY_WEIGHT]);
	free(c.last[BY_INPUT]);
	free(c.seen);
	return rc;
}
