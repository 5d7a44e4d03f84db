/*
 * example: a schedule.  What a rank computes in a step, in order; pipefw adds the
 * messages and the buffers, proves that no rank waits for ever, draws it,
 * predicts it and runs it.
 *
 * It begins as 1F1B: a rank runs ahead as far as the ranks after it need, and
 * then does one forward and one backward in turn.  pipefw-plugin(7) and
 * <pipefw/schedule.h> say what else there is: check() for shapes that it cannot
 * run, place() for stages elsewhere than on rank `stage mod p`, backward apart as
 * PFW_BACKWARD_INPUT and PFW_BACKWARD_WEIGHT.
 */
#define PFW_PLUGIN_VERSION "0.1"
#include <pipefw/schedule.h>

/*
 * The list of one rank.  A pure function: the same arguments give the same list,
 * everywhere.  With one stage a rank, the stage's number is the rank's.
 */
static int plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		uint32_t rank, struct pfw_plan *list, struct pfw_error *err)
{
	uint32_t m = shape->microbatches, f = 0, b = 0;
	uint64_t ahead = (uint64_t)pfw_value_int(opt, "ahead");

	(void)err;
	ahead *= shape->ranks - 1 - rank;
	while (f < m && f < ahead)
		pfw_plan_add(list, PFW_FORWARD, rank, f++);
	while (b < m) {
		if (f < m)
			pfw_plan_add(list, PFW_FORWARD, rank, f++);
		pfw_plan_add(list, PFW_BACKWARD, rank, b++);
	}
	return 0;
}

static const struct pfw_option options[] = {
	{ .name = "ahead", .type = PFW_OPT_INT, .def = "1",
	  .help = "forwards ahead for each rank that comes after",
	  .min = 1, .max = 64 },
};

static const struct pfw_schedule_ops ops = {
	.size = sizeof(ops),
	.flags = PFW_SCHEDULE_ONE_CHUNK,
	.plan = plan,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "example", .summary = "one forward, one backward in turn",
	   PFW_OPTIONS(options), .ops = &ops);
