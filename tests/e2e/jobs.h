/*
 * jobs.h: many runs in one process: plugins stay loaded, data stays open, each
 * run is a job and its ranks.
 */
#ifndef PFW_TESTS_JOBS_H
#define PFW_TESTS_JOBS_H

#include <stddef.h>
#include <stdint.h>

#include "launch/launcher.h"
#include "plugin/registry.h"

#define JOBS_STEPS 2u
#define JOBS_FILES 2u /* weights, moments */

/** Some of what a config says; 0 and NULL: as in the file. */
struct job_case {
	const char *file; /**< "plain.cfg" or "filters.cfg" */
	const char *schedule;
	uint32_t p, v, m;
	uint32_t group;       /**< option of the schedule */
	uint32_t per_process; /**< ranks that are threads of a process */
	uint32_t cores;       /**< 0: all there are */
	uint32_t threads;     /**< of each rank; 0: one */
};

/** All that may not depend on how the model was spread. */
struct job_outcome {
	double loss[JOBS_STEPS], norm[JOBS_STEPS], eval[JOBS_STEPS + 1];
	uint32_t steps, evals, skipped;
	uint64_t bytes, copied_bytes;
	char *files[JOBS_FILES];
	size_t sizes[JOBS_FILES];
};

struct jobs;

/** NULL: why is on stderr. */
struct jobs *jobs_open(void);
void jobs_close(struct jobs *jobs);
struct pfw_registry *jobs_registry(const struct jobs *jobs);

/** 0; -EINVAL: refused, the sentence is in @p err; else a failed run. */
int jobs_run(struct jobs *jobs, const struct job_case *c,
	     struct job_outcome *out, struct pfw_error *err);
void job_outcome_free(struct job_outcome *out);
/** Bit for bit; else what differs. */
const char *job_outcome_differs(const struct job_outcome *a,
				const struct job_outcome *b);
/** "interleaved p=2 v=3 m=4 group=2" */
void job_case_text(const struct job_case *c, char *buf, size_t len);

#endif
