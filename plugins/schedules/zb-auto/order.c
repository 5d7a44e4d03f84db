/* Orders played by the simulator's model of time, and the fixed ones. */
#include "zb-auto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int zb_game_open(struct zb_game *game, const struct zb_problem *of)
{
	size_t n = (size_t)of->p * of->m;

	*game = (struct zb_game){ .of = of };
	game->rank = malloc(of->p * sizeof(*game->rank));
	for (int k = 0; k < 2; k++) {
		game->arrival[k] = malloc(n * sizeof(*game->arrival[k]));
		game->busy[k] = malloc(of->p * sizeof(*game->busy[k]));
	}
	if (game->rank && game->arrival[0] && game->arrival[1] &&
	    game->busy[0] && game->busy[1])
		return 0;
	zb_game_close(game);
	return -ENOMEM;
}

void zb_game_close(struct zb_game *game)
{
	for (int k = 0; k < 2; k++) {
		free(game->busy[k]);
		free(game->arrival[k]);
	}
	free(game->rank);
}

void zb_game_reset(struct zb_game *game)
{
	memset(game->rank, 0, game->of->p * sizeof(*game->rank));
	for (int k = 0; k < 2; k++)
		memset(game->busy[k], 0, game->of->p * sizeof(*game->busy[k]));
}

/* Whether what this needs has been made; its arrival is known then. */
static int is_made(const struct zb_game *game, uint32_t rank, int type)
{
	const struct zb_rank *at = &game->rank[rank];
	uint32_t i = at->done[type];

	switch (type) {
	case ZB_F:
		return !rank || at[-1].done[ZB_F] > i;
	case ZB_I:
		return at->done[ZB_F] > i && (rank + 1 == game->of->p ||
					      at[1].done[ZB_I] > i);
	default:
		return at->done[ZB_I] > i;
	}
}

int64_t zb_game_start(const struct zb_game *game, uint32_t rank, int type)
{
	const struct zb_problem *of = game->of;
	const struct zb_rank *at = &game->rank[rank];
	uint32_t i = at->done[type];
	int64_t arrival = 0;

	if (i == of->m || !is_made(game, rank, type) ||
	    (type == ZB_F && i - at->done[ZB_W] == of->cap))
		return ZB_NEVER;
	if ((type == ZB_F && rank) || (type == ZB_I && rank + 1 < of->p))
		arrival = game->arrival[type][(size_t)rank * of->m + i];
	return arrival > at->clock ? arrival : at->clock;
}

void zb_game_take(struct zb_game *game, uint32_t rank, int type)
{
	const struct zb_problem *of = game->of;
	struct zb_rank *at = &game->rank[rank];
	uint32_t i = at->done[type], to = type == ZB_F ? rank + 1 : rank - 1;
	int64_t *busy;

	at->clock = zb_game_start(game, rank, type) + of->cost[type][rank];
	at->done[type]++;
	if (type == ZB_W || to >= of->p) /* unsigned: -1 is none either */
		return;
	busy = &game->busy[type][to];
	*busy = (at->clock > *busy ? at->clock : *busy) + of->message;
	game->arrival[type][(size_t)to * of->m + i] = *busy + of->hop;
}

int64_t zb_game_end(const struct zb_game *game)
{
	int64_t end = 0;

	for (uint32_t r = 0; r < game->of->p; r++)
		if (game->rank[r].clock > end)
			end = game->rank[r].clock;
	return end;
}

int64_t zb_order_time(struct zb_game *game, const unsigned char *order)
{
	uint32_t p = game->of->p, n = 3 * game->of->m;
	size_t left = (size_t)p * n, before;

	zb_game_reset(game);
	do {
		before = left;
		for (uint32_t r = 0; r < p; r++) {
			const uint32_t *done = game->rank[r].done;
			uint32_t k = done[ZB_F] + done[ZB_I] + done[ZB_W];

			for (; k < n; k++, left--) {
				int type = order[(size_t)r * n + k];

				if (zb_game_start(game, r, type) == ZB_NEVER)
					break;
				zb_game_take(game, r, type);
			}
		}
	} while (left && left < before);
	return left ? ZB_NEVER : zb_game_end(game);
}

uint32_t zb_order_peak(const struct zb_problem *of, const unsigned char *order)
{
	uint32_t peak = 0;

	for (uint32_t r = 0; r < of->p; r++, order += 3 * of->m)
		for (uint32_t k = 0, live = 0; k < 3 * of->m; k++) {
			live += order[k] == ZB_F;
			live -= order[k] == ZB_W;
			peak = live > peak ? live : peak;
		}
	return peak;
}

void zb_best_offer(struct zb_best *best, struct zb_game *game)
{
	int64_t time = zb_order_time(game, best->trial);
	uint32_t peak;
	unsigned char *order = best->order;

	if (time == ZB_NEVER || time > best->time)
		return;
	peak = zb_order_peak(game->of, best->trial);
	if (time == best->time && peak >= best->peak)
		return;
	best->time = time;
	best->peak = peak;
	best->order = best->trial;
	best->trial = order;
}

/* All fixed ones: so many F ahead, then I and F in turn, W kept back by some. */
struct pattern {
	uint32_t ahead, kept;
	int forward_first; /* of the pair F, I */
};

static void write_pattern(unsigned char *to, uint32_t m, struct pattern a)
{
	uint32_t f = 0, w = 0;

	while (f < m && f < a.ahead) {
		*to++ = ZB_F;
		f++;
	}
	for (uint32_t i = 0; i < m; i++) {
		if (a.forward_first && f < m) {
			*to++ = ZB_F;
			f++;
		}
		*to++ = ZB_I;
		if (i >= a.kept) {
			*to++ = ZB_W;
			w++;
		}
		if (!a.forward_first && f < m) {
			*to++ = ZB_F;
			f++;
		}
	}
	while (w++ < m)
		*to++ = ZB_W;
}

/* So that it holds the cap, where the whole pattern does not. */
static struct pattern cut(struct pattern a, uint32_t cap)
{
	uint32_t room = cap - (a.forward_first ? 1 : 0);

	a.ahead = a.ahead < room ? a.ahead : room;
	a.kept = a.kept < room - a.ahead ? a.kept : room - a.ahead;
	return a;
}

void zb_offer_fixed(struct zb_best *best, struct zb_game *game)
{
	uint32_t p = game->of->p, m = game->of->m, cap = game->of->cap;

	for (int which = 0; which < 5; which++) {
		for (uint32_t r = 0; r < p; r++) {
			const struct pattern patterns[] = {
				{ 0, 0, 1 },             /* one at a time */
				{ p - 1 - r, 0, 1 },     /* 1F1B, B = I W */
				{ p - 1 - r, r, 1 },     /* ZB-H1 */
				{ 2 * (p - 1 - r) + 1, 2 * r, 0 }, /* ZB-H2 */
				{ m, 0, 1 },             /* GPipe */
			};

			write_pattern(best->trial + (size_t)r * 3 * m, m,
				      cap < m ? cut(patterns[which], cap) :
						patterns[which]);
		}
		zb_best_offer(best, game);
	}
}

int64_t zb_lower_bound(const struct zb_problem *of)
{
	int64_t link = of->hop + of->message, most = 0, head = 0;

	for (uint32_t r = 0; r < of->p; r++) {
		int64_t f = of->cost[ZB_F][r] * of->m;
		int64_t i = of->cost[ZB_I][r] * of->m;
		int64_t w = of->cost[ZB_W][r] * of->m;
		int64_t tail = 0;

		if (head + f + i + w > most)
			most = head + f + i + w;
		/* The last I goes down to rank 0, and its W follows. */
		for (uint32_t s = r; s-- > 0;)
			tail += link + of->cost[ZB_I][s];
		tail += of->cost[ZB_W][0];
		if (head + f + i + tail > most)
			most = head + f + i + tail;
		head += of->cost[ZB_F][r] + link;
	}
	return most;
}
