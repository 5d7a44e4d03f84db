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

/**
 * Lists number @p k of the order that all ranks share: group by group, in each
 * chunk by chunk.  Backwards go through the chunks from the last.
 */
static inline void looped_add(const struct pfw_shape *shape, uint32_t group,
			      uint32_t rank, uint32_t type, uint32_t k,
			      struct pfw_plan *plan)
{
	uint32_t v = shape->chunks, m = shape->microbatches;
	uint32_t first = k / (group * v) * group;
	uint32_t in_group = m - first < group ? m - first : group;
	uint32_t chunk = (k - first * v) / in_group;

	if (type != PFW_FORWARD)
		chunk = v - 1 - chunk;
	pfw_plan_add(plan, type, chunk * shape->ranks + rank,
		     first + (k - first * v) % in_group);
}

#endif
