/*
 * Two chunks a rank, on a V.  The order is chosen by time from ZBV's, from
 * DualPipeV's and from those that rules make in the order of time, as greedy.c
 * does for one chunk: a rule is what a rank likes best of what it can start, how
 * long that is worth waiting for, how far the way down may be ahead, and how many
 * W are kept back.  Where interleaved-zb, whose chunks go round in a loop, is
 * faster than all of them, it is that order, and the loop.
 */
#include "zb-auto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../dualpipev-order.h"
#include "../interleaved-zb-order.h"
#include "../zbv-order.h"

/* An action of a rank: its type, on the way down or (3 more) up. */
#define CODES (2 * ZB_TYPES)

/* Looks at a rank in all games of one plan(), which is called p times; and in
 * those of place(), 2p times, where the loop may be faster. */
#define MOST_LOOKS 20000000.0

#define LIKES 6u
#define WAITS 3u
#define LEADS 5u
#define KEEPS 4u
#define RULES (LIKES * WAITS * LEADS * KEEPS)

struct vee {
	const struct zb_problem *of; /* costs are of 2p stages */
	uint32_t *done[ZB_TYPES];    /* [2p] */
	uint32_t *live;              /* [p]: F without their W */
	int64_t *clock, *next;       /* [p] */
	int64_t *arrival[2];         /* [2p * m]: of inputs, of gradients */
	int64_t *busy[2];            /* [2p]: until when the channel to it is */
	unsigned char *best, *trial; /* [p * 6m] */
	int64_t time;
	uint32_t peak;
	int loop; /* chunks go round, instead of down and up */
};

struct rule {
	const unsigned char *likes; /* four codes */
	uint32_t wait;  /* at most so many quarters of what would run instead */
	uint32_t lead, kept;
};

static uint32_t stage_of(const struct vee *v, uint32_t rank, int code)
{
	if (code < ZB_TYPES)
		return rank;
	return v->loop ? v->of->p + rank : 2 * v->of->p - 1 - rank;
}

static uint32_t rank_of(const struct vee *v, uint32_t stage)
{
	if (stage < v->of->p)
		return stage;
	return v->loop ? stage - v->of->p : 2 * v->of->p - 1 - stage;
}

static void vee_close(struct vee *v)
{
	free(v->done[0]);
	free(v->live);
	free(v->clock);
	free(v->arrival[0]);
	free(v->busy[0]);
	free(v->best);
	free(v->trial);
}

static int vee_open(struct vee *v, const struct zb_problem *of)
{
	size_t p = of->p, m = of->m;

	*v = (struct vee){ .of = of, .time = ZB_NEVER };
	v->done[0] = malloc(ZB_TYPES * 2 * p * sizeof(*v->done[0]));
	v->live = malloc(p * sizeof(*v->live));
	v->clock = malloc(2 * p * sizeof(*v->clock));
	v->arrival[0] = malloc(2 * 2 * p * m * sizeof(*v->arrival[0]));
	v->busy[0] = malloc(2 * 2 * p * sizeof(*v->busy[0]));
	v->best = malloc(CODES * p * m);
	v->trial = malloc(CODES * p * m);
	if (!v->done[0] || !v->live || !v->clock || !v->arrival[0] ||
	    !v->busy[0] || !v->best || !v->trial) {
		vee_close(v);
		return -ENOMEM;
	}
	v->done[1] = v->done[0] + 2 * p;
	v->done[2] = v->done[1] + 2 * p;
	v->next = v->clock + p;
	v->arrival[1] = v->arrival[0] + 2 * p * m;
	v->busy[1] = v->busy[0] + 2 * p;
	return 0;
}

static void vee_reset(struct vee *v)
{
	size_t p = v->of->p;

	memset(v->done[0], 0, ZB_TYPES * 2 * p * sizeof(*v->done[0]));
	memset(v->live, 0, p * sizeof(*v->live));
	memset(v->clock, 0, p * sizeof(*v->clock));
	memset(v->busy[0], 0, 2 * 2 * p * sizeof(*v->busy[0]));
	v->peak = 0;
}

static uint32_t n_done(const struct vee *v, uint32_t rank, int code)
{
	return v->done[code % ZB_TYPES][stage_of(v, rank, code)];
}

/* When the rank's next of this code can start; ZB_NEVER: not by what is known,
 * or none is left, or the cap is reached. */
static int64_t start_of(const struct vee *v, uint32_t rank, int code)
{
	uint32_t s = stage_of(v, rank, code), last = 2 * v->of->p - 1;
	int type = code % ZB_TYPES;
	uint32_t i = v->done[type][s];
	int64_t arrival = 0;

	if (i == v->of->m)
		return ZB_NEVER;
	switch (type) {
	case ZB_F:
		if (v->live[rank] == v->of->cap ||
		    (s && v->done[ZB_F][s - 1] <= i))
			return ZB_NEVER;
		break;
	case ZB_I:
		if (v->done[ZB_F][s] <= i ||
		    (s < last && v->done[ZB_I][s + 1] <= i))
			return ZB_NEVER;
		break;
	default:
		return v->done[ZB_I][s] > i ? v->clock[rank] : ZB_NEVER;
	}
	if (type == ZB_F ? s : s < last)
		arrival = v->arrival[type][(size_t)s * v->of->m + i];
	return arrival > v->clock[rank] ? arrival : v->clock[rank];
}

static void take(struct vee *v, uint32_t rank, int code)
{
	const struct zb_problem *of = v->of;
	uint32_t s = stage_of(v, rank, code);
	int type = code % ZB_TYPES;
	uint32_t i = v->done[type][s], to = type == ZB_F ? s + 1 : s - 1;
	int64_t end = start_of(v, rank, code) + of->cost[type][s], *busy;

	v->clock[rank] = end;
	v->done[type][s]++;
	v->live[rank] += type == ZB_F;
	v->live[rank] -= type == ZB_W;
	if (v->live[rank] > v->peak)
		v->peak = v->live[rank];
	if (type == ZB_W || to >= 2 * of->p) /* unsigned: -1 is none either */
		return;
	if (rank_of(v, to) != rank) {
		/* Round the loop both chunks come by the same channel. */
		busy = &v->busy[type][v->loop ? rank_of(v, to) : to];
		*busy = (end > *busy ? end : *busy) + of->message;
		end = *busy + of->hop;
	}
	v->arrival[type][(size_t)to * of->m + i] = end;
}

static int64_t end_of(const struct vee *v)
{
	int64_t time = 0;

	for (uint32_t r = 0; r < v->of->p; r++)
		time = v->clock[r] > time ? v->clock[r] : time;
	return time;
}

/* The trial, which has been played to its end. */
static void offer(struct vee *v, uint32_t *peak)
{
	unsigned char *trial = v->trial;
	int64_t time = end_of(v);

	if (time > v->time || (time == v->time && v->peak >= *peak))
		return;
	v->time = time;
	*peak = v->peak;
	v->trial = v->best;
	v->best = trial;
}

/* 0: it stands still, or goes above the cap. */
static int play_order(struct vee *v)
{
	uint32_t n = CODES * v->of->m;
	size_t left = (size_t)v->of->p * n, before;

	vee_reset(v);
	do {
		before = left;
		for (uint32_t r = 0; r < v->of->p; r++) {
			uint32_t k = 0;

			for (int c = 0; c < CODES; c++)
				k += n_done(v, r, c);
			for (; k < n; k++, left--) {
				int code = v->trial[(size_t)r * n + k];

				if (start_of(v, r, code) == ZB_NEVER)
					break;
				take(v, r, code);
			}
		}
	} while (left && left < before);
	return !left;
}

struct writer {
	unsigned char *to;
};

static void write_code(void *to, uint32_t type, int arm, uint32_t microbatch)
{
	static const unsigned char codes[] = {
		[PFW_FORWARD] = ZB_F,
		[PFW_BACKWARD_INPUT] = ZB_I,
		[PFW_BACKWARD_WEIGHT] = ZB_W,
	};
	struct writer *w = to;

	(void)microbatch;
	*w->to++ = (unsigned char)(codes[type] + (arm == UP ? ZB_TYPES : 0));
}

static void write_backward(void *to, uint32_t type, int arm,
			   uint32_t microbatch)
{
	if (type != PFW_BACKWARD) {
		write_code(to, type, arm, microbatch);
		return;
	}
	write_code(to, PFW_BACKWARD_INPUT, arm, microbatch);
	write_code(to, PFW_BACKWARD_WEIGHT, arm, microbatch);
}

static void write_pair(void *to, int forward, uint32_t forward_microbatch,
		       int backward, uint32_t backward_microbatch)
{
	write_code(to, PFW_FORWARD, forward, forward_microbatch);
	write_backward(to, PFW_BACKWARD, backward, backward_microbatch);
}

/* With its backwards taken apart, whose gradients go out the sooner. */
static void offer_dualpipev(struct vee *v, uint32_t *peak)
{
	struct writer w = { v->trial };

	if (v->of->m < 2 * v->of->p)
		return;
	for (uint32_t r = 0; r < v->of->p; r++) {
		struct dualpipev d = {
			.add = write_backward,
			.add_pair = write_pair,
			.to = &w,
			.rank = r,
		};

		dualpipev_order(&d, v->of->p, v->of->m);
	}
	if (play_order(v))
		offer(v, peak);
}

static void offer_zbv(struct vee *v, uint32_t *peak)
{
	struct writer w = { v->trial };

	for (uint32_t r = 0; r < v->of->p; r++) {
		struct arms a = { .add = write_code, .to = &w, .m = v->of->m };

		zbv_order(&a, v->of->p, r);
	}
	if (play_order(v))
		offer(v, peak);
}

struct round {
	unsigned char *to;
	uint32_t m, group;
};

static void write_round(void *to, uint32_t type, uint32_t k)
{
	struct round *w = to;
	uint32_t chunk, microbatch;

	looped_at(2, w->m, w->group, type, k, &chunk, &microbatch);
	write_code(to, type, chunk ? UP : DOWN, microbatch);
}

/* Interleaved-zb's order as the trial, and its time; ZB_NEVER: it has none for so
 * many micro-batches, or goes above the cap.  It is on the loop afterwards. */
static int64_t try_loop(struct vee *v)
{
	uint32_t p = v->of->p, m = v->of->m;
	struct round w = { v->trial, m, looped_even_group(p, m) };
	const struct interleaved_zb order = { write_round, &w, p, 2, m, w.group };

	v->loop = 1;
	if (!w.group)
		return ZB_NEVER;
	for (uint32_t r = 0; r < p; r++)
		interleaved_zb_order(&order, r);
	return play_order(v) ? end_of(v) : ZB_NEVER;
}

/* What is on its way down must find room on its way up: one place is for that. */
static int64_t rule_start(const struct vee *v, const struct rule *rule,
			  uint32_t r, int code)
{
	uint32_t ahead = n_done(v, r, ZB_F) - n_done(v, r, ZB_I);

	if (code == ZB_F && (v->live[r] + 1 >= v->of->cap || ahead >= rule->lead))
		return ZB_NEVER;
	return start_of(v, r, code);
}

static void look(struct vee *v, const struct rule *rule, uint32_t r)
{
	v->next[r] = ZB_NEVER;
	for (int c = 0; c < CODES; c++) {
		int64_t start = rule_start(v, rule, r, c);

		if (start < v->next[r])
			v->next[r] = start;
	}
}

static int choose(const struct vee *v, const struct rule *rule, uint32_t r)
{
	int64_t now = v->next[r], start;
	int ready = -1;

	/* The W that frees the oldest is taken where too many are kept. */
	for (int c = ZB_W + ZB_TYPES; c > 0; c -= ZB_TYPES) {
		uint32_t kept = n_done(v, r, c - 1) - n_done(v, r, c);

		if (start_of(v, r, c) != now)
			continue;
		if (kept > rule->kept * (r + 1))
			return c;
		ready = c;
	}
	for (int k = 3; k >= 0; k--)
		if (rule_start(v, rule, r, rule->likes[k]) == now)
			ready = rule->likes[k];
	for (int k = 0; k < 4 && rule->likes[k] != ready; k++) {
		start = rule_start(v, rule, r, rule->likes[k]);
		if (start != ZB_NEVER &&
		    (start - now) * 4 <= rule->wait *
		    v->of->cost[ready % ZB_TYPES][stage_of(v, r, ready)])
			return rule->likes[k];
	}
	return ready;
}

/* 0: the rule came to a stand. */
static int play_rule(struct vee *v, const struct rule *rule)
{
	uint32_t p = v->of->p, n = CODES * v->of->m;

	vee_reset(v);
	for (uint32_t r = 0; r < p; r++)
		look(v, rule, r);
	for (size_t k = 0; k < (size_t)p * n; k++) {
		uint32_t r = 0, at = 0;
		int code;

		for (uint32_t s = 1; s < p; s++)
			if (v->next[s] < v->next[r])
				r = s;
		if (v->next[r] == ZB_NEVER)
			return 0;
		code = choose(v, rule, r);
		for (int c = 0; c < CODES; c++)
			at += n_done(v, r, c);
		v->trial[(size_t)r * n + at] = (unsigned char)code;
		take(v, r, code);
		for (uint32_t s = r ? r - 1 : 0; s < p && s <= r + 1; s++)
			look(v, rule, s);
	}
	return 1;
}

/* A rank begins when the first micro-batch is there, and then has its work. */
static int64_t least_of_all(const struct zb_problem *of)
{
	int64_t head = 0, most = 0;

	for (uint32_t r = 0; r < of->p; r++) {
		int64_t work = 0;

		for (int type = 0; type < ZB_TYPES; type++)
			work += of->cost[type][r] +
				of->cost[type][2 * of->p - 1 - r];
		work = head + work * of->m;
		most = work > most ? work : most;
		head += of->cost[ZB_F][r] + of->hop + of->message;
	}
	return most;
}

static void offer_rules(struct vee *v, uint32_t *peak)
{
	enum { F0 = ZB_F, I0 = ZB_I, F1 = ZB_F + ZB_TYPES, I1 = ZB_I + ZB_TYPES };
	static const unsigned char likes[LIKES][4] = {
		{ I1, I0, F1, F0 }, { I0, I1, F1, F0 }, { F1, I1, I0, F0 },
		{ F1, F0, I1, I0 }, { I1, F1, I0, F0 }, { F0, F1, I1, I0 },
	};
	uint32_t p = v->of->p, m = v->of->m;
	const uint32_t leads[LEADS] = { p, p + p / 2, 2 * p, 3 * p, m };
	const uint32_t keeps[KEEPS] = { 0, 1, 2, m };
	double looks = 6.0 * p * m * (p + 20.0) * p;
	uint32_t stride = 1 + (uint32_t)(RULES * looks / MOST_LOOKS);
	int64_t least = least_of_all(v->of);

	for (uint32_t k = stride - 1; k < RULES && v->time > least; k += stride) {
		const struct rule rule = {
			.likes = likes[k % LIKES],
			.kept = keeps[k / LIKES % KEEPS],
			.lead = leads[k / LIKES / KEEPS % LEADS],
			.wait = 2 * (k / LIKES / KEEPS / LEADS),
		};

		if (play_rule(v, &rule))
			offer(v, peak);
	}
}

static void list(const struct vee *v, uint32_t rank, struct pfw_plan *plan)
{
	static const uint32_t types[ZB_TYPES] = {
		PFW_FORWARD, PFW_BACKWARD_INPUT, PFW_BACKWARD_WEIGHT,
	};
	const unsigned char *order = v->best + (size_t)rank * CODES * v->of->m;
	uint32_t done[CODES] = { 0 };

	for (uint32_t k = 0; k < CODES * v->of->m; k++)
		pfw_plan_add(plan, types[order[k] % ZB_TYPES],
			     stage_of(v, rank, order[k]), done[order[k]]++);
}

/* The best on the V; but where only it is asked whether the loop is faster, no
 * rules where it is not faster than the fixed ones. */
static int is_loop_faster(struct vee *v, int only_asked)
{
	uint32_t peak = 0;
	int64_t loop;

	offer_zbv(v, &peak);
	offer_dualpipev(v, &peak);
	loop = try_loop(v);
	v->loop = 0;
	if (only_asked && loop >= v->time)
		return 0;
	offer_rules(v, &peak);
	return loop < v->time;
}

int zb_vee_loops(const struct zb_problem *of)
{
	struct vee v;
	int rc = vee_open(&v, of);

	if (rc)
		return rc;
	rc = is_loop_faster(&v, 1);
	vee_close(&v);
	return rc;
}

int zb_vee_plan(const struct zb_problem *of, uint32_t rank,
		struct pfw_plan *plan)
{
	struct vee v;
	int rc = vee_open(&v, of);

	if (rc)
		return rc;
	if (is_loop_faster(&v, 0)) {
		try_loop(&v);
		memcpy(v.best, v.trial, (size_t)CODES * of->p * of->m);
	}
	list(&v, rank, plan);
	vee_close(&v);
	return 0;
}
