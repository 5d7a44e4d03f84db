/*
 * Interleaved zero bubble, PyTorch's ZB1P (ScheduleInterleavedZeroBubble; Qi et
 * al. 2023, arXiv 2401.10241): the order of interleaved with the backward taken
 * apart, a warm-up of one slot a hop instead of two, and rank r's W kept back by
 * r actions, where they fill the wait.  Bubble (p-1)*(F+I-W)/v; every rank keeps
 * v*p chunk activations.
 */
#include <errno.h>
#include <stdio.h>

#include "../interleaved-zb-order.h"

static int interleaved_zb_check(const struct pfw_shape *shape,
				const struct pfw_values *opt,
				struct pfw_error *err)
{
	uint32_t p = shape->ranks, m = shape->microbatches;
	uint32_t less = m, more = m;

	(void)opt;
	if (looped_even_group(p, m))
		return 0;
	while (!looped_even_group(p, less))
		less--;
	while (!looped_even_group(p, more))
		more++;
	return pfw_error_set(err, EINVAL, "m=%u does not divide into %u even "
			     "groups (of p=%u or a little more): use m=%u or "
			     "m=%u", m, m / p, p, less, more);
}

struct list {
	const struct pfw_shape *shape;
	uint32_t group, rank;
	struct pfw_plan *plan;
};

static void add(void *to, uint32_t type, uint32_t k)
{
	const struct list *l = to;

	looped_add(l->shape, l->group, l->rank, type, k, l->plan);
}

static int interleaved_zb_plan(const struct pfw_shape *shape,
			       const struct pfw_values *opt, uint32_t rank,
			       struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t p = shape->ranks, m = shape->microbatches;
	struct list list = { shape, looped_even_group(p, m), rank, plan };
	const struct interleaved_zb order = {
		add, &list, p, shape->chunks, m, list.group,
	};

	(void)opt;
	(void)err;
	interleaved_zb_order(&order, rank);
	return 0;
}

static void interleaved_zb_describe(const struct pfw_shape *shape,
				    const struct pfw_values *opt, char *buf,
				    size_t len)
{
	(void)opt;
	snprintf(buf, len, "group %u",
		 looped_even_group(shape->ranks, shape->microbatches));
}

static const struct pfw_schedule_ops interleaved_zb_ops = {
	.size = sizeof(interleaved_zb_ops),
	.flags = PFW_SCHEDULE_SPLITS,
	.check = interleaved_zb_check,
	.plan = interleaved_zb_plan,
	.describe = interleaved_zb_describe,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "interleaved-zb",
	   .summary = "interleaved with split backwards (PyTorch's ZB1P)",
	   .ops = &interleaved_zb_ops);
