/*
 * job_make.h: the parts of a job that are made, and freed, apart.
 */
#ifndef PFW_CORE_JOB_MAKE_H
#define PFW_CORE_JOB_MAKE_H

#include "runtime/job.h"

/** Parameters that two layers use, and on which ranks. */
int pfw_job_make_ties(struct pfw_job *job, struct pfw_error *err);
/** Every edge any program needs, wide enough for all; after the ties. */
int pfw_job_make_edges(struct pfw_job *job, struct pfw_error *err);
void pfw_job_close_traces(struct pfw_job *job);

#endif
