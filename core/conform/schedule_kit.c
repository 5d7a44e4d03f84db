#include "conform/schedule_kit.h"

#include <errno.h>

const uint32_t pfw_kit_microbatches[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 24, 33,
};
const size_t pfw_kit_n_microbatches =
	sizeof(pfw_kit_microbatches) / sizeof(pfw_kit_microbatches[0]);

struct pfw_shape pfw_kit_shape(uint32_t p, uint32_t v, uint32_t m)
{
	return (struct pfw_shape){
		.size = sizeof(struct pfw_shape),
		.ranks = p,
		.chunks = v,
		.microbatches = m,
	};
}

int pfw_kit_takes(struct pfw_trial *t, const struct pfw_shape *shape,
		  struct pfw_error *err)
{
	const struct pfw_schedule_ops *ops = &t->plugin->ops.schedule;

	if ((ops->flags & PFW_SCHEDULE_ONE_CHUNK) && shape->chunks > 1)
		return pfw_error_set(err, EINVAL, "one chunk per rank, use v=1");
	return ops->check ? ops->check(shape, t->values, err) : 0;
}

struct pfw_schedule_plan *pfw_kit_plan(struct pfw_trial *t,
				       const struct pfw_shape *shape)
{
	struct pfw_schedule_plan *plan;
	struct pfw_error err = { 0 };

	if (pfw_schedule_plan_make(t->plugin, t->values, shape, &plan, &err))
		pfw_trial_refuse(t, "p=%u v=%u m=%u is taken by check(), and "
				 "then: %s", shape->ranks, shape->chunks,
				 shape->microbatches, err.text);
	return plan;
}

uint32_t pfw_kit_each(struct pfw_trial *t, const char *what,
		      void (*visit)(struct pfw_trial *t,
				    const struct pfw_shape *shape))
{
	uint32_t n = 0;

	for (uint32_t p = 1; p <= PFW_KIT_MAX_RANKS; p++)
		for (uint32_t v = 1; v <= PFW_KIT_MAX_CHUNKS; v++)
			for (size_t i = 0; i < pfw_kit_n_microbatches; i++) {
				struct pfw_shape shape = pfw_kit_shape(p, v,
						pfw_kit_microbatches[i]);

				pfw_trial_doing(t, "%s p=%u v=%u m=%u", what, p,
						v, shape.microbatches);
				if (pfw_kit_takes(t, &shape, NULL))
					continue;
				visit(t, &shape);
				n++;
			}
	return n;
}
