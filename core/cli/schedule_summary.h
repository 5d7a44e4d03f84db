/*
 * schedule_summary.h: the figures below a timeline.
 */
#ifndef PFW_CORE_SCHEDULE_SUMMARY_H
#define PFW_CORE_SCHEDULE_SUMMARY_H

#include "cli/schedule_args.h"
#include "schedule/simulate.h"

/**
 * On standard output; slots are @p prog's, everything else is @p sim's.
 * @p unit: ns of one args->unit_name.
 */
void pfw_schedule_summary(const struct pfw_schedule_args *args, double unit,
			  const struct pfw_program *prog,
			  const struct pfw_simulation *sim);

#endif
