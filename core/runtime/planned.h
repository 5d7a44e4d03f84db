/*
 * planned.h: the compute lists that a config asks for, and what they keep.
 */
#ifndef PFW_CORE_PLANNED_H
#define PFW_CORE_PLANNED_H

#include "model/model.h"
#include "schedule/program.h"
#include "settings/config.h"

/**
 * A file's ranks and micro-batches are the config's; its chunks are its own.
 * A plugin plans for @p costs (NULL: F = I = W) and pipeline.memory_cap.
 */
int pfw_config_plan(const struct pfw_config *cfg, const struct pfw_costs *costs,
		    struct pfw_schedule_plan **out, struct pfw_error *err);
/** -ERANGE where a rank of @p program keeps more than pipeline.memory_cap. */
int pfw_config_check_cap(const struct pfw_config *cfg,
			 const struct pfw_program *program,
			 struct pfw_error *err);

/** What a rank keeps from F to B or W: all its buffers, at their peak. */
uint64_t pfw_planned_saved_bytes(const struct pfw_program *program,
				 const struct pfw_model *model, uint32_t rank);

#endif
