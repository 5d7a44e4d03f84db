/*
 * planned.h: the compute lists that a config asks for, from a plugin or a file.
 */
#ifndef PFW_CORE_PLANNED_H
#define PFW_CORE_PLANNED_H

#include "schedule/program.h"
#include "settings/config.h"

/** A file's ranks and micro-batches are the config's; its chunks are its own. */
int pfw_config_plan(const struct pfw_config *cfg, struct pfw_schedule_plan **out,
		    struct pfw_error *err);

#endif
