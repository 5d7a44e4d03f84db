/*
 * A schedule that is wrong in the one way its option names: each is what somebody
 * writes by accident, and one check of `pipefw conform` is there for.
 */
#include <pipefw/schedule.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct pfw_option options[] = {
	{ .name = "how", .type = PFW_OPT_CHOICE, .def = "not",
	  .choices = "not|missing|twice|circle|elsewhere|crowded|descending|state|"
		     "process|clock|silent|unhelpful|misleading|code|late|null|"
		     "crash|exit|describe|nothing|group",
	  .help = "what is wrong with it" },
	{ .name = "group", .type = PFW_OPT_INT, .def = "1",
	  .help = "not 0, where how is \"group\"", .min = 0, .max = 8 },
};

static const char *how(const struct pfw_values *opt)
{
	return pfw_value_string(opt, "how");
}

static int is(const struct pfw_values *opt, const char *what)
{
	return !strcmp(how(opt), what);
}

static int refuse(const struct pfw_shape *shape, const struct pfw_values *opt,
		  struct pfw_error *err)
{
	if (is(opt, "silent"))
		return -EINVAL;
	if (is(opt, "unhelpful"))
		return pfw_error_set(err, EINVAL, "m is too odd");
	if (is(opt, "misleading"))
		return pfw_error_set(err, EINVAL, "m=%u: use m=%u",
				     shape->microbatches,
				     shape->microbatches + 2);
	if (is(opt, "code"))
		return pfw_error_set(err, ERANGE, "m=%u: use m=%u",
				     shape->microbatches,
				     shape->microbatches + 1);
	return 0;
}

static int check(const struct pfw_shape *shape, const struct pfw_values *opt,
		 struct pfw_error *err)
{
	if (is(opt, "nothing"))
		return pfw_error_set(err, EINVAL, "not today: use m=0");
	return shape->microbatches % 2 ? refuse(shape, opt, err) : 0;
}

/* Every stage on the first rank. */
static uint32_t place(const struct pfw_shape *shape,
		      const struct pfw_values *opt, uint32_t stage)
{
	return is(opt, "crowded") ? 0 : stage % shape->ranks;
}

/* What loaded it runs each check in a child, which has children of its own. */
static pid_t loaded_in;

__attribute__((constructor)) static void note_process(void)
{
	loaded_in = getpid();
}

/* 1 where this call must not be as the ones before. */
static int differs(const struct pfw_values *opt)
{
	static uint32_t calls;

	if (is(opt, "state"))
		return ++calls % 7 == 0;
	if (is(opt, "process"))
		return getppid() == loaded_in;
	return is(opt, "clock") && clock() % 2;
}

static void crash(const struct pfw_shape *shape, const struct pfw_values *opt)
{
	/* Nobody must see what it comes from. */
	volatile int *nowhere = NULL;

	if (is(opt, "null") && shape->costs && shape->costs->input[0] < 0)
		return;
	if (is(opt, "crash") && shape->microbatches == 12)
		*nowhere = 1;
	if (is(opt, "group") && !pfw_value_int(opt, "group"))
		*nowhere = 1;
	if (is(opt, "exit") && shape->microbatches == 12)
		exit(0);
}

static int plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		uint32_t rank, struct pfw_plan *list, struct pfw_error *err)
{
	uint32_t m = shape->microbatches, last = rank == shape->ranks - 1;
	uint32_t swap = is(opt, "descending") || differs(opt);

	crash(shape, opt);
	if (is(opt, "late") && m > 6)
		return pfw_error_set(err, EINVAL, "m=%u is too many", m);
	if (is(opt, "circle") && rank == 0 && shape->ranks > 1)
		for (uint32_t i = 0; i < m; i++) {
			pfw_plan_add(list, PFW_FORWARD, 0, i);
			pfw_plan_add(list, PFW_BACKWARD, 0, i);
		}
	else
		for (uint32_t i = 0; i < m; i++)
			pfw_plan_add(list, PFW_FORWARD, is(opt, "elsewhere") ?
				     shape->ranks - 1 - rank : rank, i);
	for (uint32_t i = 0; i < m; i++) {
		if (is(opt, "circle") && rank == 0 && shape->ranks > 1)
			break;
		if (is(opt, "missing") && last && i == m - 1)
			break;
		if (is(opt, "twice") && i == 1)
			pfw_plan_add(list, PFW_BACKWARD, rank, 0);
		pfw_plan_add(list, PFW_BACKWARD, rank, swap ? m - 1 - i : i);
	}
	return 0;
}

static void describe(const struct pfw_shape *shape,
		     const struct pfw_values *opt, char *buf, size_t len)
{
	(void)shape;
	if (is(opt, "describe"))
		strcpy(buf, "longer than it may be");
	else if (len)
		buf[0] = '\0';
}

static const struct pfw_schedule_ops ops = {
	.size = sizeof(ops),
	.flags = PFW_SCHEDULE_ONE_CHUNK,
	.check = check,
	.place = place,
	.plan = plan,
	.describe = describe,
};

PFW_PLUGIN(.kind = PFW_KIND_SCHEDULE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "wrong", .summary = "wrong in one way",
	   PFW_OPTIONS(options), .ops = &ops);
