#include "runtime/planned.h"

#include <errno.h>

#include "schedule/csv.h"

static int check_size(const struct pfw_config *cfg, const char *key,
		      uint32_t wanted, uint32_t found, struct pfw_error *err)
{
	if (wanted == found)
		return 0;
	return pfw_error_set(err, EINVAL, "%s: the file has %u %s, and "
			     "pipeline.%s is %u: use pipeline.%s = %u, or "
			     "another file", cfg->schedule_file, found, key, key,
			     wanted, key, found);
}

static int read_file(const struct pfw_config *cfg,
		     struct pfw_schedule_plan **out, struct pfw_error *err)
{
	struct pfw_schedule_plan *plan;
	int rc = pfw_csv_read(cfg->schedule_file, &plan, err);

	if (rc)
		return rc;
	rc = check_size(cfg, "ranks", cfg->pipeline.ranks, plan->ranks, err);
	if (!rc)
		rc = check_size(cfg, "microbatches", cfg->pipeline.microbatches,
				plan->microbatches, err);
	if (rc)
		pfw_schedule_plan_free(plan);
	else
		*out = plan;
	return rc;
}

int pfw_config_plan(const struct pfw_config *cfg, struct pfw_schedule_plan **out,
		    struct pfw_error *err)
{
	const struct pfw_shape shape = {
		.size = sizeof(shape),
		.ranks = cfg->pipeline.ranks,
		.chunks = cfg->pipeline.chunks,
		.microbatches = cfg->pipeline.microbatches,
	};

	if (cfg->schedule_file)
		return read_file(cfg, out, err);
	return pfw_schedule_plan_make(cfg->schedule.plugin, cfg->schedule.values,
				      &shape, out, err);
}
