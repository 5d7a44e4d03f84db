/* pipefw run: trains what a config file describes. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/available.h"
#include "cli/cli.h"
#include "cli/costs_read.h"
#include "cli/inputs.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/run_dir.h"
#include "cli/summary.h"
#include "cli/together.h"
#include "cli/trace_file.h"
#include "launch/launcher.h"
#include "runtime/rank.h"

static const char usage[] =
	"usage: pipefw run FILE [option]...\n"
	"Trains the model that FILE (see pipefw.cfg(5)) describes.\n"
	"  --set PATH=VALUE  a setting in place of the file's; may be repeated\n"
	"  --steps N         train until N steps are done (run.steps)\n"
	"  --out DIR         the run's folder (run.out)\n"
	"  --overwrite       replace an earlier run in that folder\n"
	"  --dry-run         print what would run and its memory, start nothing\n"
	"  --boot tcp://HOST:PORT  one of several hosts: all are started alike, and\n"
	"                    meet at the launcher of rank 0\n"
	"  --ranks A-B       the ranks of this host\n"
	"  --secret FILE     by which the hosts know each other\n"
	"  --json            events on stdout, one JSON object a line\n"
	"  --trace FILE      what every rank did, for Perfetto; RUN/trace/ holds\n"
	"                    the same for 'pipefw report'\n"
	"  --quiet           nothing for people but errors\n"
	"  --help            this text\n";

struct options {
	const char *file;
	struct pfw_sets sets;
	const char *trace;
	int overwrite, dry_run, json, quiet, help;
	struct pfw_together together;
};

/* Everything a run holds, in the order it is made. */
struct run {
	struct options opt;
	struct pfw_registry *registry;
	struct pfw_config *cfg;
	struct pfw_costs_read costs; /* of pipeline.cost_from */
	struct pfw_job *job;
	struct pfw_inputs inputs;
	FILE *log;
	struct pfw_progress progress;
	struct pfw_meeting *meeting; /* NULL: all ranks are here */
};

static const struct option long_options[] = {
	{ "set", required_argument, NULL, 's' },
	{ "steps", required_argument, NULL, 'n' },
	{ "out", required_argument, NULL, 'o' },
	{ "overwrite", no_argument, NULL, 'w' },
	{ "dry-run", no_argument, NULL, 'd' },
	{ "json", no_argument, NULL, 'j' },
	{ "trace", required_argument, NULL, 't' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "boot", required_argument, NULL, 'b' },
	{ "ranks", required_argument, NULL, 'r' },
	{ "secret", required_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int take_option(struct options *o, int c)
{
	switch (c) {
	case 's':
		return pfw_sets_add(&o->sets, "--set", NULL, optarg);
	case 'n':
		return pfw_sets_add(&o->sets, "--steps", "run.steps", optarg);
	case 'o':
		return pfw_sets_add(&o->sets, "--out", "run.out", optarg);
	case 'w':
		o->overwrite = 1;
		return 0;
	case 'd':
		o->dry_run = 1;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	case 't':
		o->trace = optarg;
		return 0;
	case 'q':
		o->quiet = 1;
		return 0;
	case 'b':
		o->together.boot = optarg;
		return 0;
	case 'r':
		o->together.ranks = optarg;
		return 0;
	case 'k':
		o->together.secret = optarg;
		return 0;
	case 'h':
		o->help = 1;
		return 0;
	}
	return 0;
}

static int parse(struct options *o, int argc, char **argv,
		 struct pfw_error *err)
{
	int c, rc;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return pfw_option_refuse("run", long_options, c, argv,
						 err);
		rc = take_option(o, c);
		if (rc)
			return pfw_error_set(err, -rc, "out of memory");
	}
	if (o->help)
		return 0;
	if (optind != argc - 1 || !*argv[optind])
		return pfw_error_set(err, EINVAL, optind >= argc - 1 ?
				     "which config file? See pipefw run --help" :
				     "one config file, please; see pipefw run "
				     "--help");
	o->file = argv[optind];
	return 0;
}

static void note(const struct run *run, const char *text)
{
	if (text && !run->opt.quiet)
		fprintf(stderr, "pipefw: %s\n", text);
}

static int same_folder(const char *a, const char *b)
{
	struct stat sa, sb;

	return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* It is written when the run is done: too late to find that it cannot be. */
static int check_trace(const char *path, struct pfw_error *err)
{
	char dir[PATH_MAX];
	struct stat st;
	int failed;

	if (!path)
		return 0;
	snprintf(dir, sizeof(dir), "%s", path);
	errno = 0;
	if (stat(path, &st)) {
		failed = errno != ENOENT ||
			 access(*path ? dirname(dir) : path, W_OK | X_OK);
	} else {
		failed = access(path, W_OK);
		if (S_ISDIR(st.st_mode)) {
			failed = 1;
			errno = EISDIR;
		}
	}
	return failed ? pfw_error_set(err, errno, "--trace %.200s: must be a "
				      "file that can be written: %s", path,
				      strerror(errno)) : 0;
}

/* What the run begins from must outlive the beginning. */
static int make_dir(const struct run *run, struct pfw_error *err)
{
	const struct pfw_config *cfg = run->cfg;
	const char *out = cfg->run.out, *resume = cfg->run.resume;
	int resuming = resume && same_folder(out, resume), rc = 0;

	if (run->opt.overwrite && !resuming) {
		rc = pfw_run_dir_spares(out, "run.init", cfg->run.init, err);
		if (!rc)
			rc = pfw_run_dir_spares(out, "run.resume", resume, err);
		if (!rc)
			rc = pfw_run_dir_spares(out, "data.tokenizer_dir",
						cfg->data.tokenizer_dir, err);
	}
	return rc ? rc : pfw_run_dir_make(out, run->opt.overwrite, resuming,
					  err);
}

static int open_dir(struct run *run, struct pfw_error *err)
{
	const char *out = run->cfg->run.out;
	int rc;

	run->job->run_dir = out;
	if (!out)
		rc = pfw_error_set(err, EINVAL, "run.out must be given: the "
				   "run's folder, there or with --out DIR");
	else if (!pfw_together_leads(&run->opt.together))
		return 0; /* the launcher of rank 0 makes it and keeps its log */
	else
		rc = make_dir(run, err);
	if (!rc)
		rc = pfw_run_dir_fill(out, run->cfg,
				      pfw_costs_read_of(&run->costs),
				      &run->log, err);
	if (rc) {
		pfw_config_blame(run->cfg, "run.out", err);
		return rc;
	}
	pfw_checkpoint_sweep(out);
	return 0;
}

/* Exit status 0, or what to end with; the sentence is in @p err. */
static int prepare(struct run *run, struct pfw_error *err)
{
	struct pfw_job_options how = { 0 };
	int rc;

	if (pfw_registry_open(NULL, &run->registry, err))
		return PFW_EXIT_PLUGIN;
	rc = pfw_config_load(run->registry, run->opt.file, run->opt.sets.list,
			     run->opt.sets.n, &run->cfg, err);
	if (rc)
		return pfw_cli_config_status(rc);
	if (pfw_together_check(&run->opt.together, run->cfg->pipeline.ranks,
			       err))
		return PFW_EXIT_CONFIG;
	rc = pfw_costs_read(run->registry, run->cfg, &run->costs, err);
	if (rc)
		return rc == -ENOTDIR ? PFW_EXIT_CONFIG : PFW_EXIT_DATA;
	how.cfg = run->cfg;
	how.costs = pfw_costs_read_of(&run->costs);
	rc = pfw_job_open(&how, &run->job, err);
	if (!rc)
		rc = pfw_costs_read_check(&run->costs, run->job, err);
	if (rc)
		return pfw_cli_config_status(rc);
	return pfw_inputs_open(run->job, &run->inputs, err);
}

static void on_event(void *context, const struct pfw_event *event)
{
	struct run *run = context;

	pfw_progress_event(&run->progress, event);
}

static void on_note(void *context, const char *text)
{
	struct run *run = context;

	pfw_progress_note(&run->progress, text);
}

static int rank_main(void *context, struct pfw_boot *boot)
{
	struct run *run = context;

	return pfw_rank_main(run->job, boot);
}

static int end_status(const struct run *run,
		      const struct pfw_launch_result *result)
{
	if (result->status)
		return result->status;
	if (run->progress.reason == PFW_END_NONFINITE)
		return PFW_EXIT_NONFINITE;
	return result->signal ? 128 + result->signal : PFW_EXIT_OK;
}

static void say(void *context, const char *text)
{
	note(context, text);
}

static int meet(struct run *run, struct pfw_error *err)
{
	const struct pfw_together *t = &run->opt.together;

	if (!t->boot)
		return 0;
	return pfw_together_meet(t, run->opt.file, run->job, &run->inputs.state, say,
				 run, &run->meeting, err);
}

/* The others look at the folder, where ranks will write into it. */
static int begin(struct run *run, struct pfw_error *err)
{
	int writes = run->job->model->n_params || run->job->traces;

	if (!run->meeting)
		return 0;
	return pfw_meeting_start(run->meeting,
				 run->meeting->leads && !writes ?
					 NULL : run->job->run_dir,
				 run->cfg->run.timeout, err);
}

/* Of a run that failed: as far as it came, and why it failed is what counts. */
static int keep_trace(const struct run *run, int status, struct pfw_error *err)
{
	const struct pfw_job *job = run->job;
	struct pfw_error fault = { 0 };
	int rc = pfw_job_write_traces(job, &fault);

	if (!rc && pfw_together_leads(&run->opt.together))
		rc = pfw_trace_file_write(job->run_dir, job->cfg->pipeline.ranks,
					  run->opt.trace, &fault);
	if (status && rc)
		note(run, fault.text);
	if (status || !rc)
		return status;
	*err = fault;
	return PFW_EXIT_RESOURCES;
}

static int train(struct run *run, struct pfw_error *err)
{
	int leads = pfw_together_leads(&run->opt.together);
	struct pfw_launch how = {
		.meeting = run->meeting,
		.ranks = run->cfg->pipeline.ranks,
		.ranks_per_process = run->cfg->pipeline.ranks_per_process,
		.threads = run->cfg->threads,
		.sleeps = !!(run->job->model->ops->flags & PFW_STAGE_SLEEPS),
		.timeout = run->cfg->run.timeout,
		.program = run->job->programs[PFW_PROGRAM_TRAIN].program,
		.rank_main = rank_main,
		.on_event = on_event,
		.on_note = on_note,
		.context = run,
	};
	struct pfw_launch_result *result = calloc(1, sizeof(*result));
	int status;

	if (!result) {
		pfw_error_set(err, ENOMEM, "out of memory");
		return PFW_EXIT_RESOURCES;
	}
	/* Training goes on when whoever read our lines has left; events.jsonl
	 * has them all, and the exit status tells. */
	signal(SIGPIPE, SIG_IGN);
	pfw_progress_open(&run->progress, run->job, run->opt.json,
			  run->opt.quiet, run->log);
	run->progress.follows = !leads;
	run->progress.first_step = run->inputs.state.step;
	run->progress.last_step = run->progress.first_step;
	if (leads)
		pfw_progress_start(&run->progress);
	if (pfw_launch(&how, result, err)) {
		status = PFW_EXIT_BOOT;
	} else {
		if (leads || result->status)
			pfw_progress_end(&run->progress, result);
		status = end_status(run, result);
	}
	if (run->opt.trace)
		status = keep_trace(run, status, err);
	if (result->status && leads)
		pfw_checkpoint_sweep(run->job->run_dir);
	free(result);
	return status;
}

static int close_log(struct run *run, int status, struct pfw_error *err)
{
	int failed;

	if (!run->log)
		return status;
	if (err->code)
		pfw_progress_error(run->log, status, err->text);
	failed = ferror(run->log);
	failed |= fclose(run->log);
	if (!failed || status)
		return status;
	pfw_error_set(err, EIO, "%s/events.jsonl: could not be written whole",
		      run->job->run_dir);
	return PFW_EXIT_RESOURCES;
}

static void close_run(struct run *run)
{
	pfw_meeting_close(run->meeting);
	pfw_job_close(run->job);
	pfw_costs_read_close(&run->costs);
	pfw_inputs_close(&run->inputs);
	pfw_config_free(run->cfg);
	pfw_registry_close(run->registry);
	pfw_sets_clear(&run->opt.sets);
}

/* What this machine has not got, another one may have: there the plan holds. */
static int is_elsewhere(int rc)
{
	return rc == -ENODEV || rc == -ENOMEM;
}

static int plan(struct run *run, struct pfw_error *err)
{
	struct pfw_error missing = { 0 };
	struct pfw_summary_host host;
	int rc = pfw_job_ready(run->job, &missing);

	if (rc && !is_elsewhere(rc)) {
		*err = missing;
		return pfw_cli_config_status(rc);
	}
	rc = pfw_summary_host_open(run->job, &host, err);
	if (rc)
		return pfw_cli_config_status(rc);
	note(run, run->cfg->warnings);
	note(run, missing.code ? missing.text : NULL);
	if (run->opt.json)
		pfw_summary_json(run->job, &host, stdout);
	if (!run->opt.json || !run->opt.quiet)
		pfw_summary_dry_run(run->job, &host,
				    run->opt.json ? stderr : stdout);
	pfw_summary_host_close(&host);
	return PFW_EXIT_OK;
}

static int execute(struct run *run, struct pfw_error *err)
{
	int status = prepare(run, err), rc;

	if (status)
		return status;
	run->job->first_here = run->opt.together.first;
	run->job->n_here = run->opt.together.n;
	if (run->opt.dry_run)
		return plan(run, err);
	if (run->opt.trace && pfw_job_open_traces(run->job, err))
		return PFW_EXIT_RESOURCES;
	rc = pfw_job_fits(run->job, pfw_available_bytes(), err);
	if (!rc)
		rc = pfw_job_ready(run->job, err);
	if (rc)
		return pfw_cli_config_status(rc);
	rc = check_trace(run->opt.trace, err);
	if (rc)
		return pfw_cli_config_status(rc);
	if (meet(run, err))
		return PFW_EXIT_BOOT;
	rc = open_dir(run, err);
	if (rc) {
		pfw_meeting_refuse(run->meeting, err->text);
		return pfw_cli_config_status(rc);
	}
	if (begin(run, err))
		return PFW_EXIT_BOOT;
	note(run, run->cfg->warnings);
	return train(run, err);
}

/* What is freed goes back to the machine at once: by itself glibc raises what it
 * takes for large to what has been freed, mallopt(3), and a run would keep the
 * buffer that its weights came through. */
static void keep_nothing(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

int pfw_cli_run(int argc, char **argv)
{
	struct pfw_error err = { 0 };
	const char *speaker = "pipefw";
	struct run run = { 0 };
	int status = PFW_EXIT_CONFIG;

	keep_nothing();
	if (parse(&run.opt, argc, argv, &err)) {
		speaker = "pipefw run";
	} else if (run.opt.help) {
		fputs(usage, stdout);
		status = PFW_EXIT_OK;
	} else {
		status = execute(&run, &err);
		status = close_log(&run, status, &err);
	}
	if (err.code) {
		fprintf(stderr, "%s: %s\n", speaker, err.text);
		pfw_progress_error(run.opt.json ? stdout : NULL, status,
				   err.text);
	}
	close_run(&run);
	return status;
}
