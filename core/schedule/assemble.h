/*
 * assemble.h: the last pass, from lowered nodes and slot counts to a program.
 */
#ifndef PFW_CORE_ASSEMBLE_H
#define PFW_CORE_ASSEMBLE_H

#include "schedule/compile.h"

/** What was found for each lane, and how long a step takes then. */
struct pfw_slot_counts {
	uint32_t *least_live, *least_ideal, *planned; /**< [n_lanes] */
	int64_t ideal_time, planned_time;
	struct pfw_posts posts; /**< empty: receives need no posting */
};

int pfw_program_assemble(const struct pfw_lowered *low,
			 const struct pfw_slot_counts *counts,
			 struct pfw_program **out, struct pfw_error *err);

#endif
