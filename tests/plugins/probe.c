/*
 * A schedule that refuses every shape, and each way for a plugin to be wrong, or
 * older, or newer, that a test asks for.
 */
#include <pipefw/schedule.h>

#include <errno.h>

#ifdef PROBE_NOPLAN
#define PLAN NULL
#else
#define PLAN plan

#ifdef PROBE_UNDEFINED
/* Nobody has it. */
void pfw_probe_nowhere(void);
#endif

static int plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		uint32_t rank, struct pfw_plan *list, struct pfw_error *err)
{
	(void)opt;
#ifdef PROBE_UNDEFINED
	pfw_probe_nowhere();
#endif
	(void)list;
	return pfw_error_set(err, EINVAL, "nothing to do for rank %u of %u",
			     rank, shape->ranks);
}
#endif

static void describe(const struct pfw_shape *shape,
		     const struct pfw_values *opt, char *buf, size_t len)
{
	(void)shape;
	(void)opt;
	if (len)
		*buf = '\0';
}

/* A header of another year: fewer ops, or more, and a longer option. */
struct ops {
	struct pfw_schedule_ops now;
	int (*later)(void);
};

struct option {
	struct pfw_option now;
	const char *unit;
};

struct plugin {
	struct pfw_plugin now;
	const char *homepage;
};

static const struct ops ops = {
#if defined(PROBE_OLDER)
	.now.size = offsetof(struct pfw_schedule_ops, describe),
#elif defined(PROBE_NEWER)
	.now.size = sizeof(struct ops),
#else
	.now.size = sizeof(struct pfw_schedule_ops),
#endif
	.now.plan = PLAN,
	/* Past the size that an older one states: it must not be seen. */
	.now.describe = describe,
};

static const struct option options[] = {
	{ .now = { "group", PFW_OPT_INT, 0, "4", "size of a group", NULL, 1, 9 },
	  .unit = "ranks" },
	{ .now = { "speed", PFW_OPT_FLOAT, 0, NULL, "how fast", NULL, 0, 0 },
	  .unit = "m/s" },
};

#if defined(PROBE_OLDER)
#define NAME "older"
#elif defined(PROBE_NEWER)
#define NAME "newer"
#elif defined(PROBE_ABI)
#define NAME NULL
#elif defined(PROBE_MISNAMED)
#define NAME "other"
#elif defined(PROBE_NOPLAN)
#define NAME "noplan"
#elif defined(PROBE_UNDEFINED)
#define NAME "undefined"
#else
#define NAME "good"
#endif

/* By hand: the macro makes no descriptor of another size. */
PFW_API extern const struct plugin probe __asm__(
#ifdef PROBE_NOSYMBOL
	"pfw_plugin_other"
#else
	"pfw_plugin"
#endif
);
const struct plugin probe = {
	.now = {
#ifdef PROBE_ABI
		.abi = 999,
#else
		.abi = PFW_ABI,
#endif
#ifdef PROBE_NEWER
		.struct_size = sizeof(struct plugin),
#else
		.struct_size = sizeof(struct pfw_plugin),
#endif
		.option_size = sizeof(struct option),
		.kind = PFW_KIND_SCHEDULE,
		.thread_model = PFW_THREAD_PARALLEL,
		.name = NAME,
		.version = "1",
		.summary = "a probe",
		.n_options = 2,
		.options = &options[0].now,
		.ops = &ops,
	},
	.homepage = "nowhere",
};
