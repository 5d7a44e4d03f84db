/*
 * costs_read.h: what pipeline.cost_from says a run's schedule is planned for.
 */
#ifndef PFW_CORE_COSTS_READ_H
#define PFW_CORE_COSTS_READ_H

#include "report/report.h"
#include "runtime/job.h"

struct pfw_costs_read {
	struct pfw_cut cut; /**< .model NULL: no cost_from */
	struct pfw_costs costs;
};

/** Of the config's stages; nothing happens where there is no cost_from. */
int pfw_costs_read(struct pfw_registry *registry, const struct pfw_config *cfg,
		   struct pfw_costs_read *out, struct pfw_error *err);
void pfw_costs_read_close(struct pfw_costs_read *c);

/** -EINVAL where it was a run of another model than the job's. */
int pfw_costs_read_check(const struct pfw_costs_read *c,
			 const struct pfw_job *job, struct pfw_error *err);

/** NULL: none. */
static inline const struct pfw_costs *
pfw_costs_read_of(const struct pfw_costs_read *c)
{
	return c->cut.model ? &c->costs : NULL;
}

#endif
