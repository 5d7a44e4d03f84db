/*
 * zb-auto.h: orders of F, I and W for one chunk a rank, and what they cost.
 *
 * An order is, for each rank, 3m types; each type's micro-batches ascend, so
 * that a type is enough to name an action.
 */
#ifndef PFW_SCHEDULES_ZB_AUTO_H
#define PFW_SCHEDULES_ZB_AUTO_H

#include <pipefw/schedule.h>
#include <stddef.h>

enum { ZB_F, ZB_I, ZB_W, ZB_TYPES };

/* Later than anything. */
#define ZB_NEVER INT64_MAX

struct zb_problem {
	uint32_t p, m;
	uint32_t cap;           /* most F without their W on a rank: 1 to m */
	int64_t *cost[ZB_TYPES]; /* [p] */
	int64_t hop, message;
};

/* Where a rank has come to. */
struct zb_rank {
	uint32_t done[ZB_TYPES];
	int64_t clock;
};

/* A game in which ranks take actions; its memory is used again. */
struct zb_game {
	const struct zb_problem *of;
	struct zb_rank *rank; /* [p] */
	int64_t *arrival[2];  /* of inputs, of gradients: [p * m] */
	int64_t *busy[2];     /* [p]: until when the channel to it is */
};

int zb_game_open(struct zb_game *game, const struct zb_problem *of);
void zb_game_close(struct zb_game *game);
void zb_game_reset(struct zb_game *game);
/* When the rank's next of this type can start; ZB_NEVER: not by what is known,
 * or none is left, or the cap is reached. */
int64_t zb_game_start(const struct zb_game *game, uint32_t rank, int type);
/* Does it; the start must not be ZB_NEVER. */
void zb_game_take(struct zb_game *game, uint32_t rank, int type);
/* When the last rank is done. */
int64_t zb_game_end(const struct zb_game *game);

/* Plays an order; ZB_NEVER where it stands still or goes above the cap. */
int64_t zb_order_time(struct zb_game *game, const unsigned char *order);
/* Most F without their W on any rank. */
uint32_t zb_order_peak(const struct zb_problem *of, const unsigned char *order);

/* The best order so far. */
struct zb_best {
	unsigned char *order; /* [p * 3m] */
	unsigned char *trial; /* [p * 3m]: the next to be looked at */
	int64_t time;         /* ZB_NEVER: none yet */
	uint32_t peak;
};
/* Keeps best->trial if it is faster, or as fast and holds less. */
void zb_best_offer(struct zb_best *best, struct zb_game *game);

/* Orders of the fixed schedules: 1F1B, ZB-H1, ZB-H2, GPipe. */
void zb_offer_fixed(struct zb_best *best, struct zb_game *game);
/* Orders made by rules that look at times.  -ENOMEM. */
int zb_offer_greedy(struct zb_best *best, struct zb_game *game);
/* Least that any order takes, as far as is easily said. */
int64_t zb_lower_bound(const struct zb_problem *of);

/* Two chunks a rank: plans for all and lists one rank's.  With a cap of two or
 * more there is always an order.  -ENOMEM. */
int zb_vee_plan(const struct zb_problem *of, uint32_t rank,
		struct pfw_plan *plan);
/* 1: the plan's chunks go round in a loop; 0: on a V.  -ENOMEM. */
int zb_vee_loops(const struct zb_problem *of);

#define ZB_EXACT_P 3u
#define ZB_EXACT_M 4u
/* The fastest order there is, for so many ranks and micro-batches at most.
 * -ENOMEM. */
int zb_offer_exact(struct zb_best *best, struct zb_game *game);

#endif
