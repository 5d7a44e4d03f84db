/*
 * summary.h: a job in words before it runs: the header, and --dry-run's tables.
 */
#ifndef PFW_CORE_SUMMARY_H
#define PFW_CORE_SUMMARY_H

#include <stdio.h>

#include "launch/binding.h"
#include "runtime/job.h"

void pfw_summary_header(const struct pfw_job *job, FILE *to);
/** Where the job's ranks would run. */
int pfw_summary_binding(const struct pfw_job *job, struct pfw_binding *out,
			struct pfw_error *err);
void pfw_summary_dry_run(const struct pfw_job *job, const struct pfw_binding *b,
			 FILE *to);
/** The same as one object, pipefw(1)'s "plan". */
void pfw_summary_json(const struct pfw_job *job, const struct pfw_binding *b,
		      FILE *to);

#endif
