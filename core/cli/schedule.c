/* `pipefw schedule`: draws, checks and counts a schedule. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/schedule_args.h"
#include "cli/schedule_summary.h"
#include "plugin/registry.h"
#include "schedule/csv.h"
#include "schedule/draw.h"
#include "settings/config.h"

/* What belongs to one command; each may be NULL. */
struct job {
	struct pfw_schedule_args args;
	struct pfw_registry *registry;
	const struct pfw_loaded *plugin;
	struct pfw_values *values;
	struct pfw_shape shape;
	double unit; /* ns */
	int any_order; /* gradients of a stage are not summed in order */
	int64_t *durations; /* F, I, W of all stages */
	struct pfw_costs costs;
	struct pfw_schedule_plan *plan;
	struct pfw_program *prog;
	struct pfw_simulation *sim;
};

static void close_job(struct job *job)
{
	pfw_simulation_free(job->sim);
	pfw_program_free(job->prog);
	pfw_schedule_plan_free(job->plan);
	free(job->durations);
	pfw_values_free(job->values);
	pfw_registry_close(job->registry);
}

static int set_costs(struct job *job, struct pfw_error *err)
{
	const struct pfw_schedule_args *args = &job->args;
	size_t n = job->plan->stages;
	double share = job->unit / job->plan->chunks;

	job->durations = malloc(3 * n * sizeof(*job->durations));
	if (!job->durations)
		return pfw_error_set(err, ENOMEM, "no memory for costs");
	for (size_t s = 0; s < n; s++) {
		job->durations[s] = (int64_t)(args->forward * share + 0.5);
		job->durations[n + s] = (int64_t)(args->input * share + 0.5);
		job->durations[2 * n + s] = (int64_t)(args->weight * share + 0.5);
	}
	job->costs = (struct pfw_costs){
		.size = sizeof(job->costs),
		.forward = job->durations,
		.input = job->durations + n,
		.weight = job->durations + 2 * n,
		.hop = (int64_t)(args->hop * job->unit + 0.5),
	};
	return 0;
}

static int ask_plugin(struct job *job, int *status, struct pfw_error *err)
{
	const struct pfw_schedule_args *args = &job->args;
	int rc;

	*status = PFW_EXIT_PLUGIN;
	rc = pfw_registry_open(NULL, &job->registry, err);
	if (!rc)
		rc = pfw_registry_get(job->registry, PFW_KIND_SCHEDULE,
				      args->name, &job->plugin, err);
	if (rc)
		return rc;
	*status = PFW_EXIT_CONFIG;
	rc = pfw_values_from_texts(job->plugin->info.options,
				   job->plugin->info.n_options, args->name,
				   args->sets, args->n_sets, &job->values, err);
	if (rc)
		return rc;
	job->shape = (struct pfw_shape){
		.size = sizeof(job->shape),
		.ranks = args->ranks,
		.chunks = args->chunks ? args->chunks : 1,
		.microbatches = args->microbatches,
	};
	return pfw_schedule_plan_make(job->plugin, job->values, &job->shape,
				      &job->plan, err);
}

/* A file says its sizes itself; given as well, they must agree. */
static int check_size(const struct job *job, char letter, uint32_t given,
		      uint32_t found, struct pfw_error *err)
{
	if (!given || given == found)
		return 0;
	return pfw_error_set(err, EINVAL, "-%c %u, and %s has %u", letter, given,
			     job->args.name, found);
}

static int read_file(struct job *job, struct pfw_error *err)
{
	const struct pfw_schedule_args *args = &job->args;
	int rc = 0;

	if (args->n_sets)
		return pfw_error_set(err, EINVAL, "--set is for schedules; a "
				     "file has no options");
	rc = pfw_csv_read(args->name, &job->plan, err);
	if (!rc)
		rc = check_size(job, 'p', args->ranks, job->plan->ranks, err);
	if (!rc)
		rc = check_size(job, 'v', args->chunks, job->plan->chunks, err);
	if (!rc)
		rc = check_size(job, 'm', args->microbatches,
				job->plan->microbatches, err);
	return rc;
}

/* The plan; the exit status says whose fault a refusal is. */
static int make_plan(struct job *job, int *status, struct pfw_error *err)
{
	int rc;

	*status = PFW_EXIT_CONFIG;
	rc = job->args.is_file ? read_file(job, err)
			       : ask_plugin(job, status, err);
	if (rc)
		return rc;
	/* Multiples of v, so that a chunk's share of a unit is whole. */
	job->unit = job->args.real_time ? 1e6 : 1e6 * job->plan->chunks;
	return 0;
}

/* Somebody else's order of sums is drawn, and said. */
static int compile(struct job *job, struct pfw_compile *how,
		   struct pfw_error *err)
{
	int rc = pfw_program_compile(how, &job->prog, err);

	if (!rc || !job->args.is_file)
		return rc;
	how->order_any = 1;
	if (pfw_program_compile(how, &job->prog, NULL))
		return rc;
	job->any_order = 1;
	return 0;
}

static int has_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return strstr(value, "UTF-8") || strstr(value, "utf8");
	}
	return 0;
}

static uint32_t screen_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	int n = columns ? atoi(columns) : 0;

	if (n < 1 && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		n = size.ws_col;
	return n < 1 || n > 1000 ? 80 : (uint32_t)n;
}

static void print_title(const struct job *job)
{
	const struct pfw_schedule_plan *plan = job->plan;
	char chosen[128] = "", name[24] = "F0", where[64] = "";
	uint32_t s = plan->ranks;

	if (job->plugin && job->plugin->ops.schedule.describe)
		job->plugin->ops.schedule.describe(&job->shape, job->values,
						   chosen, sizeof(chosen));
	printf("%s: p=%u v=%u m=%u%s%s\n", job->args.name, plan->ranks,
	       plan->chunks, plan->microbatches, *chosen ? ", " : "", chosen);
	if (plan->chunks > 1) {
		pfw_action_text(PFW_FORWARD, s, 0, name, sizeof(name));
		snprintf(where, sizeof(where), " through stage %u (rank %u)", s,
			 plan->rank_of[s]);
	}
	printf("%s: micro-batch 0 goes forward%s; time in %s\n\n", name, where,
	       strcmp(job->args.unit_name, "F") ? job->args.unit_name :
	       "forwards of a rank");
}

static int show_text(struct job *job, struct pfw_error *err)
{
	const char *no_colour = getenv("NO_COLOR");
	struct pfw_compile how = { .plan = job->plan };
	struct pfw_draw_style style = {
		.width = screen_width(),
		.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour),
		.utf8 = has_utf8(),
		.unit = job->unit,
	};
	int rc = set_costs(job, err);

	/* Slots are counted at a hop of 0.1 F where none was asked for. */
	if (!rc && job->args.costs_given)
		how.costs = &job->costs;
	if (!rc)
		rc = compile(job, &how, err);
	how.costs = &job->costs;
	if (!rc)
		rc = pfw_simulate(&how, NULL, &job->sim, err);
	if (rc)
		return rc;
	print_title(job);
	rc = pfw_draw_text(job->sim, &style, stdout, err);
	if (!rc)
		pfw_schedule_summary(&job->args, job->unit, job->prog, job->sim);
	if (!rc && job->any_order)
		puts("order        gradients do not ascend: runs with order = "
		     "\"any\" only, not bit-identical");
	return rc;
}

static int show_csv(struct job *job, struct pfw_error *err)
{
	struct pfw_compile how = { .plan = job->plan };
	int rc = compile(job, &how, err);

	return rc ? rc : pfw_csv_write(job->plan, job->args.header, stdout, err);
}

int pfw_cli_schedule(int argc, char **argv)
{
	struct job job = { 0 };
	struct pfw_error err = { 0 };
	int status = PFW_EXIT_CONFIG;
	int rc = pfw_schedule_args_parse(argc, argv, &job.args, &err);

	if (!rc && job.args.help) {
		fputs(pfw_schedule_usage, stdout);
		return PFW_EXIT_OK;
	}
	if (!rc)
		rc = make_plan(&job, &status, &err);
	if (!rc)
		rc = strcmp(job.args.format, "csv") ? show_text(&job, &err)
						    : show_csv(&job, &err);
	if (!rc && fflush(stdout))
		rc = pfw_error_set(&err, errno, "standard output: %s",
				   strerror(errno));
	close_job(&job);
	if (!rc)
		return PFW_EXIT_OK;
	fprintf(stderr, "pipefw schedule: %s\n", err.text);
	return rc == -ENOMEM || rc == -ENOSPC || rc == -EIO ? PFW_EXIT_RESOURCES
							    : status;
}
