/*
 * schedule_job.h: one schedule of a `pipefw schedule` command: planned, proved
 * and simulated.
 */
#ifndef PFW_CORE_SCHEDULE_JOB_H
#define PFW_CORE_SCHEDULE_JOB_H

#include "cli/schedule_args.h"
#include "schedule/simulate.h"

struct pfw_schedule_job {
	const struct pfw_schedule_args *args;
	const char *name; /**< as it was asked for: a plugin or a file */
	const struct pfw_loaded *plugin; /**< NULL: a file */
	struct pfw_values *values;
	struct pfw_shape shape;
	struct pfw_costs costs; /**< as asked for; hop 0 if not */
	int64_t *durations;     /**< behind it: F, I, W of all stages */
	double unit;            /**< ns of one args->unit_name */
	int any_order;          /**< gradients do not ascend */
	struct pfw_schedule_plan *plan;
	/** Its slots are the fewest that live; a hop taken as 0.1 F where no cost was asked for. */
	struct pfw_program *prog;
	/** Times, with slots without limit. */
	struct pfw_simulation *sim;
	/** [ranks] of activations, with --cost-from; else NULL. */
	uint64_t *bytes;
	/** The same with the fewest slots that live, where one is shown. */
	struct pfw_simulation *tight;
};

/**
 * @p chunks: instead of args->chunks; 0: those.  On failure *status is the exit
 * status that says whose fault it is.
 */
int pfw_schedule_job_open(struct pfw_registry *registry,
			  const struct pfw_schedule_args *args,
			  const char *name, uint32_t chunks,
			  struct pfw_schedule_job *out, int *status,
			  struct pfw_error *err);
/**
 * The same for one that stands beside others: two chunks a rank where args says
 * nothing, and one, told in *one_chunk, for schedules that take no more.
 */
int pfw_schedule_job_beside(struct pfw_registry *registry,
			    const struct pfw_schedule_args *args,
			    const char *name, struct pfw_schedule_job *out,
			    int *one_chunk, int *status, struct pfw_error *err);
void pfw_schedule_job_close(struct pfw_schedule_job *job);

/** Whether a name is that of a file. */
int pfw_schedule_is_file(const char *name);
/** What the schedule chose by itself: "group 4", or "". */
void pfw_schedule_job_chosen(const struct pfw_schedule_job *job, char *buf,
			     size_t len);
/** Most activations of any rank, in micro-batches of all its layers. */
double pfw_schedule_job_peak(const struct pfw_schedule_job *job);
/** Most bytes of any rank's activations; 0: not known. */
uint64_t pfw_schedule_job_bytes(const struct pfw_schedule_job *job);

#endif
