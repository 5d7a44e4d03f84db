/*
 * looped.h: what schedules over looped chunks share: stage s is on rank s mod
 * p, and groups of micro-batches go through all chunks of a rank in turn.
 */
#ifndef PFW_SCHEDULES_LOOPED_H
#define PFW_SCHEDULES_LOOPED_H

#include <pipefw/schedule.h>

/** PyTorch's group (ScheduleInterleaved1F1B), or 0 where it has none. */
static inline uint32_t looped_even_group(uint32_t p, uint32_t m)
{
	uint32_t rounds = m < p ? 1 : m / p;

	return m % rounds ? 0 : m / rounds;
}

/** Number @p k of the order that all ranks share: group by group, in each chunk by
 *  chunk.  Backwards go through the chunks from the last. */
static inline void looped_at(uint32_t v, uint32_t m, uint32_t group,
			     uint32_t type, uint32_t k, uint32_t *chunk,
			     uint32_t *microbatch)
{
	uint32_t first = k / (group * v) * group;
	uint32_t in_group = m - first < group ? m - first : group;
	uint32_t at = (k - first * v) / in_group;

	*chunk = type == PFW_FORWARD ? at : v - 1 - at;
	*microbatch = first + (k - first * v) % in_group;
}

/** Lists it. */
static inline void looped_add(const struct pfw_shape *shape, uint32_t group,
			      uint32_t rank, uint32_t type, uint32_t k,
			      struct pfw_plan *plan)
{
	uint32_t chunk, microbatch;

	looped_at(shape->chunks, shape->microbatches, group, type, k, &chunk,
		  &microbatch);
	pfw_plan_add(plan, type, chunk * shape->ranks + rank, microbatch);
}

#endif
