/*
 * Interleaved 1F1B, depth-first (Narayanan et al. 2021, arXiv 2104.04473), as
 * Megatron-LM has it in core/pipeline_parallel/schedules.py: a group of N
 * micro-batches goes through all chunks of a rank before the next group.  N is
 * the knob from depth-first (N = p, least memory) to breadth-first (N = m); at
 * N = 2p the latency of hops is hidden.  Bubble (p-1)/(v*m+p-1); rank r keeps
 * (v-1)*N + 2*(p-r-1) + 1 chunk activations.
 */
#include <errno.h>
#include <stdio.h>

#include "../looped.h"

/* Megatron's rule: without it some sizes deadlock. */
static int is_legal(uint32_t p, uint32_t m, uint32_t group)
{
	return group >= p && group <= m && (m % group == 0 || m % group >= p);
}

/* The group where none is asked for, or 0. */
static uint32_t default_group(uint32_t p, uint32_t m)
{
	return is_legal(p, m, p) ? p : looped_even_group(p, m);
}

static uint32_t group_size(const struct pfw_shape *shape,
			   const struct pfw_values *opt)
{
	if (pfw_value_set(opt, "group"))
		return (uint32_t)pfw_value_int(opt, "group");
	return default_group(shape->ranks, shape->microbatches);
}

/* The next m, down or up, that this group (0: the default) can cut. */
static uint32_t next_m(uint32_t p, uint32_t m, uint32_t group, int down)
{
	/* A multiple of the group is never far. */
	while (group ? !is_legal(p, m, group) : !default_group(p, m))
		m = down ? m - 1 : m + 1;
	return m;
}

static uint32_t next_group(uint32_t p, uint32_t m, uint32_t group)
{
	while (!is_legal(p, m, group))
		group++; /* m itself is legal */
	return group;
}

static int refuse_default(uint32_t p, uint32_t m, struct pfw_error *err)
{
	return pfw_error_set(err, EINVAL, "m=%u does not divide into groups of "
			     "p=%u, nor into %u even ones: use group = %u, or "
			     "m=%u or m=%u", m, p, m / p, next_group(p, m, p),
			     next_m(p, m, 0, 1), next_m(p, m, 0, 0));
}

static int refuse_group(uint32_t p, uint32_t m, uint32_t group,
			struct pfw_error *err)
{
	if (group < p && m < p)
		return pfw_error_set(err, EINVAL, "group = %u: a group has at "
				     "least p=%u micro-batches, and m is %u: "
				     "leave group unset", group, p, m);
	if (group < p)
		return pfw_error_set(err, EINVAL, "group = %u is less than "
				     "p=%u: use group = %u", group, p,
				     next_group(p, m, p));
	if (group > m && m < p)
		return pfw_error_set(err, EINVAL, "group = %u is more than "
				     "m=%u: leave group unset, or use m=%u",
				     group, m, group);
	if (group > m)
		return pfw_error_set(err, EINVAL, "group = %u is more than "
				     "m=%u: use group = %u, or m=%u", group, m,
				     m, group);
	return pfw_error_set(err, EINVAL, "m=%u leaves a last group of %u, "
			     "which must have at least p=%u: use group = %u, "
			     "or m=%u or m=%u", m, m % group, p,
			     next_group(p, m, group), next_m(p, m, group, 1),
			     next_m(p, m, group, 0));
}

static int interleaved_check(const struct pfw_shape *shape,
			     const struct pfw_values *opt,
			     struct pfw_error *err)
{
	uint32_t p = shape->ranks, m = shape->microbatches;
	uint32_t group = group_size(shape, opt);

	if (!pfw_value_set(opt, "group"))
		return group ? 0 : refuse_default(p, m, err);
	return is_legal(p, m, group) ? 0 : refuse_group(p, m, group, err);
}

static int interleaved_plan(const struct pfw_shape *shape,
			    const struct pfw_values *opt, uint32_t rank,
			    struct pfw_plan *plan, struct pfw_error *err)
{
	uint32_t group = group_size(shape, opt), v = shape->chunks;
	uint32_t n = shape->microbatches * v, f = 0, b = 0;
	uint32_t ahead = 2 * (shape->ranks - rank - 1) + (v - 1) * group;

	(void)err;
	while (f < n && f < ahead)
		looped_add(shape, group, rank, PFW_FORWARD, f++, plan);
	while (f < n) {
		looped_add(shape, group, rank, PFW_FORWARD, f++, plan);
		looped_add(shape, group, rank, PFW_BACKWARD, b++, plan);
	}
	while (b < n)
		looped_add(shape, group, rank, PFW_BACKWARD, b++, plan);
	return 0;
}

static void interleaved_describe(const struct pfw_shape *shape,
				 const struct pfw_values *opt, char *buf,
				 size_t len)
{
	snprintf(buf, len, "group %u", group_size(shape, opt));
}

static const struct pfw_schedule_ops interleaved_ops = {
	.size = sizeof(interleaved_ops),
	.check = interleaved_check,
	.plan = interleaved_plan,
	.describe = interleaved_describe,
};

static const struct pfw_option interleaved_options[] = {
	{
		.name = "group",
		.type = PFW_OPT_INT,
		.help = "micro-batches that go through all chunks together; "
			"p where m allows it, else m in even groups",
		.min = 1,
		.max = 1 << 24,
	},
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE,
	   .thread_model = PFW_THREAD_PARALLEL,
	   .name = "interleaved",
	   .summary = "1F1B over several chunks per rank (Megatron)",
	   PFW_OPTIONS(interleaved_options),
	   .ops = &interleaved_ops);
