/*
 * footprint.h: what a run takes of this host besides what its plan says: the
 * program itself, once for each process, what the device keeps for itself, and
 * the batches that are read ahead.
 */
#ifndef PFW_CORE_FOOTPRINT_H
#define PFW_CORE_FOOTPRINT_H

#include "runtime/job.h"

struct pfw_footprint {
	uint64_t process; /**< what each process begins with: a copy of what the
			       launcher, this process, has by now */
	struct pfw_device_footprint {
		uint64_t own;    /**< of each rank, in the memory that it
				      computes in */
		uint64_t *forms; /**< [uses] of a weight, besides the fp32:
				      forms.h */
	} device[1 + PFW_MAX_EXCEPTIONS]; /**< as the config counts them */
};

/** Asks the devices for ranks of @p threads threads; one that has memory of its own
 *  is not opened, of others the refusal is given.  Asked when the
 *  job is as it would be launched. */
int pfw_footprint_open(const struct pfw_job *job, uint32_t threads,
		       struct pfw_footprint *out, struct pfw_error *err);
void pfw_footprint_close(struct pfw_footprint *f);

/** Like pfw_job_memory(), with all that: a weight's forms among the weights,
 *  the rest in .work. */
void pfw_footprint_memory(const struct pfw_footprint *f,
			  const struct pfw_job *job, uint32_t rank,
			  struct pfw_rank_memory *out);

#endif
