/*
 * schedule_kit.h: shapes and plans, for the checks of schedules.
 */
#ifndef PFW_CORE_SCHEDULE_KIT_H
#define PFW_CORE_SCHEDULE_KIT_H

#include "conform/check.h"
#include "schedule/program.h"

/** p ranks, v chunks, m micro-batches; costs and cap as in the header. */
struct pfw_shape pfw_kit_shape(uint32_t p, uint32_t v, uint32_t m);

/**
 * Does the schedule take it?  What the core asks before it asks for lists; the
 * sentence begins with the schedule's name.
 */
int pfw_kit_takes(struct pfw_trial *t, const struct pfw_shape *shape,
		  struct pfw_error *err);

/** Its lists; refuses where they cannot be had although the shape was taken.
 *  The caller frees them. */
struct pfw_schedule_plan *pfw_kit_plan(struct pfw_trial *t,
				       const struct pfw_shape *shape);

/** Calls @p visit for every shape of the usual range that is taken, with
 *  what is done to it, "planning", noted; gives how many there were. */
uint32_t pfw_kit_each(struct pfw_trial *t, const char *what,
		      void (*visit)(struct pfw_trial *t,
				    const struct pfw_shape *shape));

/** The range, for checks that look at the refused ones too. */
#define PFW_KIT_MAX_RANKS 8u
#define PFW_KIT_MAX_CHUNKS 4u
extern const uint32_t pfw_kit_microbatches[];
extern const size_t pfw_kit_n_microbatches;

extern const struct pfw_check pfw_check_takes, pfw_check_complete,
	pfw_check_ascending, pfw_check_refusals;

#endif
