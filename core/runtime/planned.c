#include "runtime/planned.h"

#include <errno.h>

#include "base/size.h"
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

uint64_t pfw_planned_saved_bytes(const struct pfw_program *program,
				 const struct pfw_model *model, uint32_t rank)
{
	const uint32_t *n_saved = program->rank[rank].n_saved;
	uint64_t bytes = 0;

	for (uint32_t s = 0; s < program->stages; s++)
		if (program->rank_of[s] == rank)
			bytes = pfw_size_add(bytes, pfw_size_mul(
				n_saved[program->chunk_of[s]],
				model->stages[s].saved_bytes));
	return bytes;
}

int pfw_config_check_cap(const struct pfw_config *cfg,
			 const struct pfw_program *program,
			 struct pfw_error *err)
{
	uint32_t cap = cfg->pipeline.memory_cap, v = program->chunks;

	for (uint32_t r = 0; cap && r < program->ranks; r++)
		if (program->rank[r].peak_saved > (uint64_t)cap * v)
			return pfw_error_set(err, ERANGE, "pipeline.memory_cap "
				"is %u, and rank %u keeps %.4g micro-batches: "
				"use zb-auto, which keeps to any, or raise it",
				cap, r, (double)program->rank[r].peak_saved / v);
	return 0;
}

int pfw_config_plan(const struct pfw_config *cfg, const struct pfw_costs *costs,
		    struct pfw_schedule_plan **out, struct pfw_error *err)
{
	const struct pfw_shape shape = {
		.size = sizeof(shape),
		.ranks = cfg->pipeline.ranks,
		.chunks = cfg->pipeline.chunks,
		.microbatches = cfg->pipeline.microbatches,
		.memory_cap = (uint64_t)cfg->pipeline.memory_cap *
			      cfg->pipeline.chunks,
		.costs = costs,
	};

	if (cfg->schedule_file)
		return read_file(cfg, out, err);
	return pfw_schedule_plan_apart(cfg->schedule.plugin,
				       cfg->schedule.values, &shape, out, err);
}
