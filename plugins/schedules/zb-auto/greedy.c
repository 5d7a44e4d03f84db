/*
 * Orders made in the order of time: the rank that can start first takes what a
 * rule likes best.  A rule is how far a rank may run ahead, whether I goes
 * before F, how long an I or F that is under way is worth waiting for, and how
 * many W may be kept back (ZB's own planner tries such combinations: Qi et al.
 * 2023, arXiv 2401.10241).
 */
#include "zb-auto.h"

#include <errno.h>
#include <stdlib.h>

/* Looks at a rank in all games of one plan(), which is called p times. */
#define MOST_LOOKS 100000000.0

#define LEADS 12u
#define WAITS 3u
#define KEEPS 4u
#define RULES (LEADS * 2 * WAITS * KEEPS)

struct rule {
	int first;      /* ZB_F or ZB_I: before the other */
	uint32_t wait;  /* at most so many quarters of what would run instead */
	uint32_t kept;  /* W of rank r kept back: r times so many */
	uint32_t *lead; /* [p]: most F without their I */
	int64_t *next;  /* [p]: when the rank can start something */
};

/* By count, or what the round trip to the last rank and back takes, in quarters
 * of what the slowest rank takes for a micro-batch. */
static uint32_t lead_of(const struct zb_problem *of, uint32_t which, uint32_t r)
{
	static const uint32_t quarters[] = { 3, 4, 5, 6, 8, 10, 12 };
	int64_t trip = of->cost[ZB_F][r] + of->cost[ZB_I][r], each = 1;
	uint32_t left = of->p - 1 - r;
	const uint32_t counts[] = { left + 1, left + 2, left + left / 2 + 2,
				    2 * left + 1, of->m };

	if (which < LEADS - sizeof(quarters) / sizeof(*quarters))
		return counts[which];
	which -= sizeof(counts) / sizeof(*counts);
	for (uint32_t s = 0; s < of->p; s++) {
		int64_t all = of->cost[ZB_F][s] + of->cost[ZB_I][s] +
			      of->cost[ZB_W][s];

		each = all > each ? all : each;
		if (s > r)
			trip += 2 * (of->hop + of->message) +
				of->cost[ZB_F][s] + of->cost[ZB_I][s];
	}
	trip = trip / each * quarters[which] / 4 +
	       trip % each * quarters[which] / (4 * each) + 1;
	return trip < of->m ? (uint32_t)trip : of->m;
}

static int64_t start_of(const struct zb_game *game, const struct rule *rule,
			uint32_t r, int type)
{
	const uint32_t *done = game->rank[r].done;

	if (type == ZB_F && done[ZB_F] - done[ZB_I] >= rule->lead[r])
		return ZB_NEVER;
	return zb_game_start(game, r, type);
}

static void look(const struct zb_game *game, struct rule *rule, uint32_t r)
{
	rule->next[r] = ZB_NEVER;
	for (int type = 0; type < ZB_TYPES; type++) {
		int64_t start = start_of(game, rule, r, type);

		if (start < rule->next[r])
			rule->next[r] = start;
	}
}

/* The rank can start something at rule->next, and not before. */
static int choose(const struct zb_game *game, const struct rule *rule,
		  uint32_t r)
{
	const int order[2] = { rule->first, ZB_I - rule->first };
	const uint32_t *done = game->rank[r].done;
	int64_t now = rule->next[r];
	int ready = ZB_W;

	if (done[ZB_I] - done[ZB_W] > rule->kept * r &&
	    start_of(game, rule, r, ZB_W) == now)
		return ZB_W;
	for (int k = 1; k >= 0; k--)
		if (start_of(game, rule, r, order[k]) == now)
			ready = order[k];
	for (int k = 0; k < 2 && order[k] != ready; k++) {
		int64_t start = start_of(game, rule, r, order[k]);

		if (start != ZB_NEVER &&
		    (start - now) * 4 <= game->of->cost[ready][r] * rule->wait)
			return order[k];
	}
	return ready;
}

/* 0: the rule came to a stand. */
static int play(unsigned char *order, struct zb_game *game, struct rule *rule)
{
	uint32_t p = game->of->p, n = 3 * game->of->m;

	zb_game_reset(game);
	for (uint32_t r = 0; r < p; r++)
		look(game, rule, r);
	for (size_t k = 0; k < (size_t)p * n; k++) {
		const uint32_t *done;
		uint32_t r = 0;
		int type;

		for (uint32_t s = 1; s < p; s++)
			if (rule->next[s] < rule->next[r])
				r = s;
		if (rule->next[r] == ZB_NEVER)
			return 0;
		done = game->rank[r].done;
		type = choose(game, rule, r);
		order[(size_t)r * n + done[ZB_F] + done[ZB_I] + done[ZB_W]] =
			(unsigned char)type;
		zb_game_take(game, r, type);
		for (uint32_t s = r ? r - 1 : 0; s < p && s <= r + 1; s++)
			look(game, rule, s);
	}
	return 1;
}

int zb_offer_greedy(struct zb_best *best, struct zb_game *game)
{
	const struct zb_problem *of = game->of;
	double looks = 3.0 * of->p * of->m * (of->p + 10.0) * of->p;
	uint32_t stride = 1 + (uint32_t)(RULES * looks / MOST_LOOKS);
	int64_t least = zb_lower_bound(of);
	struct rule rule = { .lead = malloc(of->p * sizeof(*rule.lead)),
			     .next = malloc(of->p * sizeof(*rule.next)) };
	int rc = rule.lead && rule.next ? 0 : -ENOMEM;

	for (uint32_t k = stride - 1; k < RULES && !rc; k += stride) {
		if (best->time <= least)
			break;
		for (uint32_t r = 0; r < of->p; r++)
			rule.lead[r] = lead_of(of, k % LEADS, r);
		rule.first = k / LEADS % 2 ? ZB_F : ZB_I;
		rule.wait = 2 * (k / LEADS / 2 % WAITS);
		rule.kept = k / LEADS / 2 / WAITS;
		if (rule.kept == KEEPS - 1)
			rule.kept = of->m;
		if (play(best->trial, game, &rule))
			zb_best_offer(best, game);
	}
	free(rule.next);
	free(rule.lead);
	return rc;
}
