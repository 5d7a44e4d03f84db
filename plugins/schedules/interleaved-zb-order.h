/*
 * interleaved-zb-order.h: the order of interleaved-zb, which zb-auto looks at too.
 */
#ifndef PFW_SCHEDULES_INTERLEAVED_ZB_ORDER_H
#define PFW_SCHEDULES_INTERLEAVED_ZB_ORDER_H

#include "looped.h"

struct interleaved_zb {
	/** Number @p k of the shared order (looped_at()), of this type. */
	void (*add)(void *to, uint32_t type, uint32_t k);
	void *to;
	uint32_t p, v, m, group;
};

static inline void interleaved_zb_order(const struct interleaved_zb *z,
					uint32_t rank)
{
	uint32_t n = z->m * z->v, f = 0, w = 0;
	uint32_t ahead = (z->v - 1) * z->group + z->p - 1 - rank;

	while (f < n && f < ahead)
		z->add(z->to, PFW_FORWARD, f++);
	for (uint32_t i = 0; i < n; i++) {
		if (f < n)
			z->add(z->to, PFW_FORWARD, f++);
		z->add(z->to, PFW_BACKWARD_INPUT, i);
		if (i >= rank)
			z->add(z->to, PFW_BACKWARD_WEIGHT, w++);
	}
	while (w < n)
		z->add(z->to, PFW_BACKWARD_WEIGHT, w++);
}

#endif
