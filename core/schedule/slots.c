/*
 * How many slots a channel needs: what its consumer's own order holds at once,
 * and e more, the same e for all channels of a kind.  Smallest e of
 * activations with gradient slots without limit, then of gradients given it.
 * More slots only take waits away, so both searches are over monotone answers.
 */
#include <errno.h>
#include <stdlib.h>

#include "schedule/compile.h"

struct search {
	struct pfw_pass *pass;
	uint32_t *slots;   /* [n_lanes]: tried */
	uint32_t extra[2]; /* e of each kind; PFW_NONE: no limit */
	int64_t goal;      /* < 0: to live is enough */
};

static void set_slots(struct search *s)
{
	const struct pfw_lowered *low = s->pass->low;

	for (uint32_t i = 0; i < low->n_lanes; i++) {
		const struct pfw_lane *lane = &low->lanes[i];
		uint32_t extra = s->extra[lane->kind];
		uint64_t n = (uint64_t)lane->live + extra;

		s->slots[i] = extra == PFW_NONE || n > lane->n ?
			lane->n : (uint32_t)n;
	}
}

static int reaches(struct search *s, uint32_t kind, uint32_t extra)
{
	s->extra[kind] = extra;
	set_slots(s);
	return !pfw_pass_run(s->pass, s->slots) &&
	       (s->goal < 0 || s->pass->time <= s->goal);
}

/* Doubles up to an answer, then halves down to the least. */
static void search_kind(struct search *s, uint32_t kind)
{
	uint32_t low = 0, high = 1; /* below low fails, high not known */

	if (reaches(s, kind, 0))
		return;
	while (!reaches(s, kind, high)) {
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (reaches(s, kind, middle))
			high = middle;
		else
			low = middle;
	}
	s->extra[kind] = high;
}

static void search_both(struct search *s, int64_t goal, uint32_t *result)
{
	s->goal = goal;
	s->slots = result;
	s->extra[PFW_CHANNEL_ACTIVATION] = PFW_NONE;
	s->extra[PFW_CHANNEL_GRADIENT] = PFW_NONE;
	search_kind(s, PFW_CHANNEL_ACTIVATION);
	search_kind(s, PFW_CHANNEL_GRADIENT);
	set_slots(s);
}

int pfw_slots_plan(struct pfw_pass *pass, uint32_t *least_live,
		   uint32_t *least_ideal, int64_t *ideal_time,
		   struct pfw_error *err)
{
	struct search s = { .pass = pass };

	/* Without limit there must be an end, or no search has one. */
	if (pfw_pass_run(pass, NULL))
		return pfw_deadlock_explain(pass, err);
	*ideal_time = pass->time;
	search_both(&s, -1, least_live);
	search_both(&s, *ideal_time, least_ideal);
	return 0;
}
