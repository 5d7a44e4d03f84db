/*
 * summary.h: a job in words before it runs: the header, and --dry-run's tables.
 */
#ifndef PFW_CORE_SUMMARY_H
#define PFW_CORE_SUMMARY_H

#include <stdio.h>

#include "runtime/job.h"

void pfw_summary_header(const struct pfw_job *job, FILE *to);
void pfw_summary_dry_run(const struct pfw_job *job, FILE *to);
/** The same as one object, pipefw(1)'s "plan". */
void pfw_summary_json(const struct pfw_job *job, FILE *to);

#endif
