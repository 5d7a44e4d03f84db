/*
 * vshape.h: the V placement: rank r holds stages r and 2p-1-r, so that the first
 * and the last stage meet on rank 0, and the turn costs no hop.
 */
#ifndef PFW_SCHEDULES_VSHAPE_H
#define PFW_SCHEDULES_VSHAPE_H

#include <errno.h>
#include <pipefw/schedule.h>

enum { DOWN, UP }; /* the arms: stage r, stage 2p-1-r */

static inline uint32_t vshape_place(const struct pfw_shape *shape,
				    const struct pfw_values *opt, uint32_t stage)
{
	(void)opt;
	return stage < shape->ranks ? stage : 2 * shape->ranks - 1 - stage;
}

static inline int vshape_check_chunks(const struct pfw_shape *shape,
				      struct pfw_error *err)
{
	if (shape->chunks == 2)
		return 0;
	return pfw_error_set(err, EINVAL, "v=%u: the two arms of a V are two "
			     "chunks per rank, use v=2", shape->chunks);
}

#endif
