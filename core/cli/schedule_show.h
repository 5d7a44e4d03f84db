/*
 * schedule_show.h: what `pipefw schedule` writes to standard output.
 */
#ifndef PFW_CORE_SCHEDULE_SHOW_H
#define PFW_CORE_SCHEDULE_SHOW_H

#include "cli/schedule_job.h"

/** The figures below a timeline. */
void pfw_schedule_summary(const struct pfw_schedule_job *job);
/** Among them: when each rank is idle, and for whom. */
void pfw_schedule_idle(const struct pfw_schedule_job *job);
/** Among them: the critical path, and the rank that has most of it. */
void pfw_schedule_path(const struct pfw_schedule_job *job);
/** One object: everything that is known. */
void pfw_schedule_json(const struct pfw_schedule_job *job);

/** A table, or a list of objects. */
int pfw_schedule_compare(struct pfw_registry *registry,
			 const struct pfw_schedule_args *args, int *status,
			 struct pfw_error *err);
/** Where two schedules part. */
int pfw_schedule_diff(struct pfw_registry *registry,
		      const struct pfw_schedule_args *args, int *status,
		      struct pfw_error *err);

#endif
