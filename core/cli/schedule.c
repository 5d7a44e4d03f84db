/* `pipefw schedule`: draws, checks and counts schedules. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/schedule_show.h"
#include "cli/text.h"
#include "schedule/csv.h"
#include "schedule/draw.h"

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

static void print_title(const struct pfw_schedule_job *job)
{
	const struct pfw_schedule_plan *plan = job->plan;
	const char *unit = job->args->unit_name;
	char chosen[128], name[24] = "F0", where[64] = "";
	uint32_t s = plan->ranks;

	pfw_schedule_job_chosen(job, chosen, sizeof(chosen));
	printf("%s: p=%u v=%u m=%u%s%s\n", job->name, plan->ranks, plan->chunks,
	       plan->microbatches, *chosen ? ", " : "", chosen);
	if (plan->chunks > 1) {
		pfw_action_text(PFW_FORWARD, s, 0, name, sizeof(name));
		snprintf(where, sizeof(where), " through stage %u (rank %u)", s,
			 plan->rank_of[s]);
	}
	printf("%s: micro-batch 0 goes forward%s; time in %s\n\n", name, where,
	       strcmp(unit, "F") ? unit : "forwards of a rank");
}

static int show_text(const struct pfw_schedule_job *job, struct pfw_error *err)
{
	const char *no_colour = getenv("NO_COLOR");
	const struct pfw_draw_style style = {
		.width = pfw_text_columns(STDOUT_FILENO),
		.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour),
		.utf8 = has_utf8(),
		.unit = job->unit,
	};
	int rc;

	print_title(job);
	rc = pfw_draw_text(job->sim, &style, stdout, err);
	if (!rc)
		pfw_schedule_summary(job);
	return rc;
}

static int show_svg(const struct pfw_schedule_job *job, struct pfw_error *err)
{
	const struct pfw_picture how = {
		.title = job->name,
		.unit_name = job->args->unit_name,
		.unit = job->unit,
	};

	return pfw_draw_svg(job->sim, &how, stdout, err);
}

static int show(struct pfw_registry *registry,
		const struct pfw_schedule_args *args, int *status,
		struct pfw_error *err)
{
	const char *format = args->format;
	struct pfw_schedule_job job;
	int rc = pfw_schedule_job_open(registry, args, args->names[0], 0, &job,
				       status, err);

	if (rc)
		return rc;
	if (!strcmp(format, "csv"))
		rc = pfw_csv_write(job.plan, args->header, stdout, err);
	else if (!strcmp(format, "svg"))
		rc = show_svg(&job, err);
	else if (!strcmp(format, "trace"))
		rc = pfw_write_trace(job.sim, stdout, err);
	else if (!strcmp(format, "json"))
		pfw_schedule_json(&job);
	else
		rc = show_text(&job, err);
	pfw_schedule_job_close(&job);
	return rc;
}

/* What was not given is as it was in the run. */
static int read_run(struct pfw_registry *registry,
		    struct pfw_schedule_args *args, struct pfw_report **run,
		    int *status, struct pfw_error *err)
{
	const struct pfw_program *program;
	int rc;

	if (!args->cost_from)
		return 0;
	rc = pfw_report_read(registry, args->cost_from, run, err);
	*status = rc == -ENOTDIR ? PFW_EXIT_CONFIG : PFW_EXIT_DATA;
	if (rc) {
		pfw_error_prefix(err, "--cost-from: ");
		return rc;
	}
	program = (*run)->program;
	args->run = *run;
	if (!args->ranks)
		args->ranks = program->ranks;
	if (!args->microbatches)
		args->microbatches = program->microbatches;
	if (!args->chunks && args->command == PFW_SCHEDULE_SHOW &&
	    args->ranks == program->ranks)
		args->chunks = program->chunks;
	return 0;
}

/* What was not given is as in the first file. */
static int read_file(struct pfw_registry *registry,
		     struct pfw_schedule_args *args, int *status,
		     struct pfw_error *err)
{
	struct pfw_schedule_job job;
	size_t i = 0;
	int rc;

	if (args->ranks && args->microbatches)
		return 0;
	while (i < args->n_names && !pfw_schedule_is_file(args->names[i]))
		i++;
	if (i == args->n_names)
		return 0;
	rc = pfw_schedule_job_open(registry, args, args->names[i], 0, &job,
				   status, err);
	if (rc)
		return rc;
	if (!args->ranks)
		args->ranks = job.plan->ranks;
	if (!args->microbatches)
		args->microbatches = job.plan->microbatches;
	pfw_schedule_job_close(&job);
	return 0;
}

static int run(struct pfw_schedule_args *args, int *status,
	       struct pfw_error *err)
{
	struct pfw_registry *registry = NULL;
	struct pfw_report *report = NULL;
	int rc;

	*status = PFW_EXIT_PLUGIN;
	rc = pfw_registry_open(NULL, &registry, err);
	if (!rc)
		rc = read_run(registry, args, &report, status, err);
	if (!rc && args->command != PFW_SCHEDULE_SHOW)
		rc = read_file(registry, args, status, err);
	if (rc)
		;
	else if (args->command == PFW_SCHEDULE_COMPARE)
		rc = pfw_schedule_compare(registry, args, status, err);
	else if (args->command == PFW_SCHEDULE_DIFF)
		rc = pfw_schedule_diff(registry, args, status, err);
	else
		rc = show(registry, args, status, err);
	pfw_report_close(report);
	pfw_registry_close(registry);
	return rc;
}

int pfw_cli_schedule(int argc, char **argv)
{
	struct pfw_schedule_args args;
	struct pfw_error err = { 0 };
	int status = PFW_EXIT_CONFIG;
	int rc = pfw_schedule_args_parse(argc, argv, &args, &err);

	if (!rc && args.help) {
		fputs(pfw_schedule_usage, stdout);
		return PFW_EXIT_OK;
	}
	if (!rc)
		rc = run(&args, &status, &err);
	if (!rc)
		return PFW_EXIT_OK;
	fprintf(stderr, "pipefw schedule: %s\n", err.text);
	return status;
}
