/*
 * dualpipev-order.h: the order of DualPipeV (DeepSeek's DualPipe cut in half,
 * dualpipev.py; also PyTorch's ScheduleDualPipeV), told action by action.
 */
#ifndef PFW_SCHEDULES_DUALPIPEV_ORDER_H
#define PFW_SCHEDULES_DUALPIPEV_ORDER_H

#include "vshape.h"

struct dualpipev {
	void (*add)(void *to, uint32_t type, int arm, uint32_t microbatch);
	/* A forward of one arm and a backward of the other, to overlap. */
	void (*add_pair)(void *to, int forward, uint32_t forward_microbatch,
			 int backward, uint32_t backward_microbatch);
	void *to;
	uint32_t rank;
	/* Next micro-batch of each arm to go forward, back, to get its W. */
	uint32_t forward[2], backward[2], weight[2];
	uint32_t n_caught_up; /* W done of those kept back */
};

static inline void dualpipev_forward(struct dualpipev *d, int arm)
{
	d->add(d->to, PFW_FORWARD, arm, d->forward[arm]++);
}

static inline void dualpipev_backward(struct dualpipev *d, int arm)
{
	d->weight[arm]++;
	d->add(d->to, PFW_BACKWARD, arm, d->backward[arm]++);
}

static inline void dualpipev_input(struct dualpipev *d, int arm)
{
	d->add(d->to, PFW_BACKWARD_INPUT, arm, d->backward[arm]++);
}

static inline void dualpipev_weight(struct dualpipev *d, int arm)
{
	d->add(d->to, PFW_BACKWARD_WEIGHT, arm, d->weight[arm]++);
}

static inline void dualpipev_pair(struct dualpipev *d, int forward,
				  int backward)
{
	d->weight[backward]++;
	d->add_pair(d->to, forward, d->forward[forward]++, backward,
		    d->backward[backward]++);
}

/*
 * The oldest W kept back: the r+1 of dualpipev_turn_to_inputs() in turn, the last
 * of them on the way down, then those on the way down.
 */
static inline void dualpipev_oldest_weight(struct dualpipev *d)
{
	uint32_t k = d->n_caught_up++;

	dualpipev_weight(d, k <= d->rank && (k + d->rank) % 2 ? UP : DOWN);
}

static inline void dualpipev_warm_up(struct dualpipev *d, uint32_t after)
{
	for (uint32_t i = 0; i < 2 * after; i++)
		dualpipev_forward(d, DOWN);
	for (uint32_t i = 0; i <= d->rank; i++) {
		dualpipev_forward(d, DOWN);
		dualpipev_forward(d, UP);
	}
	for (uint32_t i = 0; i < after; i++) {
		dualpipev_input(d, UP);
		dualpipev_weight(d, UP);
		dualpipev_forward(d, UP);
	}
}

/* Both arms go back in turn; the last r+1 times only for the inputs. */
static inline void dualpipev_turn_to_inputs(struct dualpipev *d)
{
	for (uint32_t k = 0; k < 2 * (d->rank + 1); k++) {
		int arm = k % 2 ? DOWN : UP;

		if (k < d->rank + 1)
			dualpipev_backward(d, arm);
		else
			dualpipev_input(d, arm);
	}
}

static inline void dualpipev_cool_down(struct dualpipev *d, uint32_t after)
{
	for (uint32_t i = 0; i < after; i++) {
		dualpipev_backward(d, UP);
		dualpipev_pair(d, UP, DOWN);
	}
	dualpipev_turn_to_inputs(d);
	for (uint32_t i = 0; i < after; i++) {
		dualpipev_oldest_weight(d);
		dualpipev_input(d, DOWN);
	}
	for (uint32_t i = 0; i <= d->rank; i++)
		dualpipev_oldest_weight(d);
}

/** All of @p d's rank, for m >= 2p; its other members as they say, done 0. */
static inline void dualpipev_order(struct dualpipev *d, uint32_t p, uint32_t m)
{
	uint32_t after = p - d->rank - 1;

	dualpipev_warm_up(d, after);
	for (uint32_t i = 0; i < m - p - after; i++) {
		if (i == 0 && after == 0) {
			/* The last rank's first backward has nothing to hide. */
			dualpipev_forward(d, DOWN);
			dualpipev_backward(d, UP);
		} else {
			dualpipev_pair(d, DOWN, UP);
		}
		dualpipev_pair(d, UP, DOWN);
	}
	dualpipev_cool_down(d, after);
}

#endif
