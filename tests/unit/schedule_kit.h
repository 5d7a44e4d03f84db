/*
 * schedule_kit.h: plans and programs of the built plugins, for the tests of
 * schedules and of what becomes of them.
 */
#ifndef PFW_TESTS_SCHEDULE_KIT_H
#define PFW_TESTS_SCHEDULE_KIT_H

#include <stdio.h>
#include <string.h>

#include "schedule/program.h"
#include "settings/config.h"
#include "unit.h"

/* Every chunk action costs 1 ns, so that times are counts. */
#define KIT_MAX_STAGES 512

struct kit_shape {
	const char *name;
	uint32_t p, v, m;
	int group; /* interleaved's; 0: not set */
};

/* A plan, or NULL and why in @p err.  The caller frees it. */
static inline struct pfw_schedule_plan *kit_plan(const struct kit_shape *k,
						 struct pfw_error *err)
{
	struct pfw_shape shape = {
		.size = sizeof(shape),
		.ranks = k->p,
		.chunks = k->v,
		.microbatches = k->m,
	};
	static struct pfw_registry *registry; /* one for the whole test */
	struct pfw_schedule_plan *plan = NULL;
	const struct pfw_loaded *loaded;
	struct pfw_values *values = NULL;
	const char *pair;
	char text[32];

	snprintf(text, sizeof(text), "group=%d", k->group);
	pair = text;
	if ((!registry && pfw_registry_open(NULL, &registry, err)) ||
	    pfw_registry_get(registry, PFW_KIND_SCHEDULE, k->name, &loaded, err) ||
	    pfw_values_from_texts(loaded->info.options, loaded->info.n_options,
				  k->name, &pair, k->group ? 1 : 0, &values, err))
		return NULL;
	pfw_schedule_plan_make(loaded, values, &shape, &plan, err);
	pfw_values_free(values);
	return plan;
}

/* All costs 1 ns, and this hop. */
static inline struct pfw_costs kit_costs(int64_t hop)
{
	static int64_t ones[KIT_MAX_STAGES];

	for (int i = 0; i < KIT_MAX_STAGES; i++)
		ones[i] = 1;
	return (struct pfw_costs){
		.size = sizeof(struct pfw_costs),
		.forward = ones,
		.input = ones,
		.weight = ones,
		.hop = hop,
	};
}

static inline struct pfw_program *kit_compile(const struct pfw_schedule_plan *plan,
					      int64_t hop, struct pfw_error *err)
{
	struct pfw_costs costs = kit_costs(hop);
	struct pfw_compile how = { .plan = plan, .costs = &costs };
	struct pfw_program *prog = NULL;

	pfw_program_compile(&how, &prog, err);
	return prog;
}

#endif
