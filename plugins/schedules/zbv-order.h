/*
 * zbv-order.h: the order of ZBV (Qi et al. 2023, arXiv 2401.10241, section 6; as
 * PyTorch's ScheduleZBVZeroBubble has it), told action by action.
 */
#ifndef PFW_SCHEDULES_ZBV_ORDER_H
#define PFW_SCHEDULES_ZBV_ORDER_H

#include "vshape.h"

struct arms {
	void (*add)(void *to, uint32_t type, int arm, uint32_t microbatch);
	void *to;
	uint32_t m;
	uint32_t done[2][PFW_BACKWARD_WEIGHT + 1]; /* [arm][type] */
};

/* The arm's next; those past the last micro-batch are left out. */
static inline void zbv_next(struct arms *a, uint32_t type, int arm)
{
	uint32_t i = a->done[arm][type]++;

	if (i < a->m)
		a->add(a->to, type, arm, i);
}

static inline void zbv_next_backward(struct arms *a, int arm)
{
	zbv_next(a, PFW_BACKWARD_INPUT, arm);
	zbv_next(a, PFW_BACKWARD_WEIGHT, arm);
}

static inline void zbv_warm_up(struct arms *a, uint32_t p, uint32_t rank)
{
	for (uint32_t i = 0; i < 2 * (p - rank) - 1; i++)
		zbv_next(a, PFW_FORWARD, DOWN);
	for (uint32_t i = 0; i < rank; i++) {
		zbv_next(a, PFW_FORWARD, UP);
		zbv_next(a, PFW_FORWARD, DOWN);
	}
	for (uint32_t i = 0; i < p - rank; i++) {
		zbv_next(a, PFW_FORWARD, UP);
		zbv_next_backward(a, UP);
	}
}

static inline void zbv_cool_down(struct arms *a, uint32_t p, uint32_t rank)
{
	for (uint32_t i = 0; i < rank; i++) {
		zbv_next(a, PFW_BACKWARD_INPUT, DOWN);
		zbv_next(a, PFW_BACKWARD_INPUT, UP);
	}
	for (uint32_t i = 0; i < p - rank; i++)
		zbv_next_backward(a, DOWN);
	for (int arm = UP; arm >= DOWN; arm--)
		while (a->done[arm][PFW_BACKWARD_WEIGHT] <
		       a->done[arm][PFW_BACKWARD_INPUT])
			zbv_next(a, PFW_BACKWARD_WEIGHT, arm);
}

/** All of rank @p rank's; @p a as its members say, done 0. */
static inline void zbv_order(struct arms *a, uint32_t p, uint32_t rank)
{
	/* The order's own least. */
	uint32_t n = a->m < 2 * p - 1 ? 2 * p - 1 : a->m;
	const uint32_t *down = a->done[DOWN], *up = a->done[UP];

	zbv_warm_up(a, p, rank);
	while (down[PFW_FORWARD] < n || up[PFW_FORWARD] < down[PFW_FORWARD]) {
		if (down[PFW_FORWARD] < n)
			zbv_next(a, PFW_FORWARD, DOWN);
		zbv_next_backward(a, DOWN);
		zbv_next(a, PFW_FORWARD, UP);
		zbv_next_backward(a, UP);
	}
	zbv_cool_down(a, p, rank);
}

#endif
