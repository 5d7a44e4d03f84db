/*
 * Interleaved zero bubble, PyTorch's ZB1P (ScheduleInterleavedZeroBubble; Qi et
 * al. 2023, arXiv 2401.10241): the order of interleaved with the backward taken
 * apart, a warm-up of one slot a hop instead of two, and rank r's W kept back by
 * r actions, where they fill the wait.  Bubble (p-1)*(F+I-W)/v; every rank keeps
 * v*p chunk activations.
 */
#include <errno.h>
#include <stdio.h>

#include "../looped.h"

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

static int interleaved_zb_plan(const struct pfw_shape *shape,
			       const struct pfw_values *opt, uint32_t rank,
			       struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t group = looped_even_group(shape->ranks, shape->microbatches);
	uint32_t n = shape->microbatches * shape->chunks, f = 0, w = 0;
	uint32_t ahead = (shape->chunks - 1) * group + shape->ranks - 1 - rank;

	(void)opt;
	(void)err;
	while (f < n && f < ahead)
		looped_add(shape, group, rank, PFW_FORWARD, f++, plan);
	for (uint32_t i = 0; i < n; i++) {
		if (f < n)
			looped_add(shape, group, rank, PFW_FORWARD, f++, plan);
		looped_add(shape, group, rank, PFW_BACKWARD_INPUT, i, plan);
		if (i >= rank)
			looped_add(shape, group, rank, PFW_BACKWARD_WEIGHT, w++,
				   plan);
	}
	while (w < n)
		looped_add(shape, group, rank, PFW_BACKWARD_WEIGHT, w++, plan);
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
