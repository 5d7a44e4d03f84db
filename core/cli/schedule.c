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
#include "schedule/draw.h"
#include "settings/config.h"

/* What belongs to one command; each may be NULL. */
struct job {
	struct pfw_schedule_args args;
	struct pfw_registry *registry;
	const struct pfw_loaded *plugin;
	struct pfw_values *values;
	struct pfw_shape shape;
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
	double share = args->unit / args->chunks;

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
		.hop = (int64_t)(args->hop * args->unit + 0.5),
	};
	return 0;
}

/* The plan; the exit status says whose fault a refusal is. */
static int make_plan(struct job *job, int *status, struct pfw_error *err)
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
		.chunks = args->chunks,
		.microbatches = args->microbatches,
	};
	return pfw_schedule_plan_make(job->plugin, job->values, &job->shape,
				      &job->plan, err);
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
	const struct pfw_schedule_ops *ops = &job->plugin->ops.schedule;
	const struct pfw_schedule_args *args = &job->args;
	char chosen[128] = "", name[24] = "F0", where[64] = "";

	if (ops->describe)
		ops->describe(&job->shape, job->values, chosen, sizeof(chosen));
	printf("%s: p=%u v=%u m=%u%s%s\n", job->plugin->info.name, args->ranks,
	       args->chunks, args->microbatches, *chosen ? ", " : "", chosen);
	if (args->chunks > 1) {
		pfw_action_text(PFW_FORWARD, args->ranks, 0, name, sizeof(name));
		snprintf(where, sizeof(where), " through stage %u (rank "
			 "%u)", args->ranks, job->plan->rank_of[args->ranks]);
	}
	printf("%s: micro-batch 0 goes forward%s; time in %s\n\n",
	       name, where, strcmp(args->unit_name, "F") ? args->unit_name :
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
		.unit = job->args.unit,
	};
	int rc = set_costs(job, err);

	/* Slots are counted at a hop of 0.1 F where none was asked for. */
	if (!rc && job->args.costs_given)
		how.costs = &job->costs;
	if (!rc)
		rc = pfw_program_compile(&how, &job->prog, err);
	how.costs = &job->costs;
	if (!rc)
		rc = pfw_simulate(&how, NULL, &job->sim, err);
	if (rc)
		return rc;
	print_title(job);
	rc = pfw_draw_text(job->sim, &style, stdout, err);
	if (!rc)
		pfw_schedule_summary(&job->args, job->prog, job->sim);
	return rc;
}

static int show_csv(struct job *job, struct pfw_error *err)
{
	struct pfw_compile how = { .plan = job->plan };
	int rc = pfw_program_compile(&how, &job->prog, err);

	return rc ? rc : pfw_write_csv(job->plan, stdout, err);
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
