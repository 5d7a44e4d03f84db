#include "e2e/jobs.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "model/checkpoint.h"
#include "runtime/rank.h"
#include "unit/tmpdir.h"

#define SETS 8u
#define TEXT_BYTES 20000u

/* Twelve layers with embedding and head: enough for p=4, v=3. */
static const char plain[] =
	"run = { steps = 2; seed = 3; timeout = 30.0; };\n"
	"model = { stage = \"gpt2\"; layers = 10; heads = 2; hidden = 32;\n"
	"  context = 16; vocab = 256; };\n"
	"pipeline = { schedule = \"gpipe\"; microbatch_size = 2; };\n"
	"optimizer = { lr = 1e-2; clip = 0.5; };\n"
	"data = { train = \"text\"; eval_every = 1; eval_batches = 3; };\n";
static const char filters[] =
	"transport = { name = \"shm\"; filters = (\n"
	"  { name = \"delay\"; latency_us = 30.0; bandwidth_gbps = 8.0; } ); };\n";

struct jobs {
	struct pfw_registry *registry;
	struct pfw_tokenizer *tokenizer;
	struct pfw_dataset *data;
	cpu_set_t cores;
};

static const char *const saved[JOBS_FILES] = {
	"run/model/model.safetensors", "run/state/optimizer.safetensors"
};

/* Words enough to have something to learn. */
static void write_inputs(void)
{
	static char text[TEXT_BYTES], both[sizeof(plain) + sizeof(filters)];
	uint32_t state = 1;

	for (size_t i = 0; i < TEXT_BYTES; i++) {
		state = state * 1664525u + 1013904223u;
		text[i] = (state >> 24) % 6 ? (char)('a' + (state >> 16) % 9) :
					      ' ';
	}
	tmp_write("text", text, sizeof(text));
	tmp_write("plain.cfg", plain, strlen(plain));
	snprintf(both, sizeof(both), "%s%s", plain, filters);
	tmp_write("filters.cfg", both, strlen(both));
}

struct jobs *jobs_open(void)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	struct pfw_error err = { 0 };
	int rc;

	if (!jobs)
		return NULL;
	tmp_make();
	write_inputs();
	sched_getaffinity(0, sizeof(jobs->cores), &jobs->cores);
	rc = pfw_registry_open(NULL, &jobs->registry, &err);
	if (!rc)
		rc = pfw_tokenizer_open("byte", NULL, &jobs->tokenizer, &err);
	if (!rc)
		rc = pfw_dataset_open(tmp_path("text"), NULL, jobs->tokenizer,
				      0.1, 256, 16, &jobs->data, &err);
	if (rc) {
		fprintf(stderr, "%s\n", err.text);
		jobs_close(jobs);
		return NULL;
	}
	return jobs;
}

void jobs_close(struct jobs *jobs)
{
	if (!jobs)
		return;
	pfw_dataset_close(jobs->data);
	pfw_tokenizer_close(jobs->tokenizer);
	pfw_registry_close(jobs->registry);
	free(jobs);
	tmp_remove();
}

struct pfw_registry *jobs_registry(const struct jobs *jobs)
{
	return jobs->registry;
}

void job_case_text(const struct job_case *c, char *buf, size_t len)
{
	snprintf(buf, len, "%s %s p=%u v=%u m=%u group=%u per process=%u cores=%u threads=%u",
		 c->file, c->schedule, c->p, c->v, c->m, c->group,
		 c->per_process, c->cores, c->threads);
}

static int load_config(struct jobs *jobs, const struct job_case *c,
		       struct pfw_config **out, struct pfw_error *err)
{
	char text[SETS][96];
	struct pfw_set sets[SETS];
	size_t n = 0;

	snprintf(text[n++], 96, "pipeline.schedule=%s", c->schedule);
	snprintf(text[n++], 96, "pipeline.ranks=%u", c->p);
	snprintf(text[n++], 96, "pipeline.chunks=%u", c->v);
	snprintf(text[n++], 96, "pipeline.microbatches=%u", c->m);
	if (c->per_process)
		snprintf(text[n++], 96, "pipeline.ranks_per_process=%u",
			 c->per_process);
	if (c->group)
		snprintf(text[n++], 96, "pipeline.schedule.group=%u", c->group);
	for (size_t i = 0; i < n; i++)
		sets[i] = (struct pfw_set){ "--set", text[i] };
	return pfw_config_load(jobs->registry, tmp_path(c->file), sets, n, out,
			       err);
}

struct context {
	struct pfw_job *job;
	struct job_outcome *out;
};

static void on_event(void *context, const struct pfw_event *e)
{
	struct job_outcome *out = ((struct context *)context)->out;

	if (e->type == PFW_EVENT_STEP && out->steps < JOBS_STEPS) {
		out->loss[out->steps] = e->loss;
		out->norm[out->steps++] = e->grad_norm;
		out->skipped += e->skipped;
	} else if (e->type == PFW_EVENT_EVAL && out->evals < JOBS_STEPS + 1) {
		out->eval[out->evals++] = e->loss;
	} else if (e->type == PFW_EVENT_END) {
		out->bytes += e->bytes;
		out->copied_bytes += e->copied_bytes;
	}
}

static int rank_main(void *context, struct pfw_boot *boot)
{
	return pfw_rank_main(((struct context *)context)->job, boot);
}

static int launch(const struct job_case *c, struct context *context,
		  struct pfw_error *err)
{
	struct pfw_launch how = {
		.ranks = c->p,
		.ranks_per_process = c->per_process ? c->per_process : 1,
		.threads = c->threads ? c->threads : 1,
		.timeout = 30,
		.rank_main = rank_main,
		.on_event = on_event,
		.context = context,
	};
	static struct pfw_launch_result result;
	int rc = pfw_launch(&how, &result, err);

	if (!rc && result.status)
		rc = pfw_error_set(err, EIO, "status %d: %.900s", result.status,
				   result.text);
	return rc;
}

static int read_file(const char *name, char **data, size_t *size,
		     struct pfw_error *err)
{
	FILE *f = fopen(tmp_path(name), "rb");
	int rc = f ? 0 : pfw_error_set(err, EIO, "%s: not there", name);

	if (!rc && (fseek(f, 0, SEEK_END) || ftell(f) < 0))
		rc = pfw_error_set(err, EIO, "%s: cannot be read", name);
	if (!rc) {
		*size = (size_t)ftell(f);
		*data = malloc(*size);
		rewind(f);
		if (!*data || fread(*data, 1, *size, f) != *size)
			rc = pfw_error_set(err, EIO, "%s: cut short", name);
	}
	if (f)
		fclose(f);
	return rc;
}

/* On so few cores, ranks wait for each other's turn. */
static void take_cores(const struct jobs *jobs, uint32_t n)
{
	cpu_set_t few;

	CPU_ZERO(&few);
	for (int cpu = 0; cpu < CPU_SETSIZE && n; cpu++)
		if (CPU_ISSET(cpu, &jobs->cores)) {
			CPU_SET(cpu, &few);
			n--;
		}
	sched_setaffinity(0, sizeof(few), &few);
}

int jobs_run(struct jobs *jobs, const struct job_case *c,
	     struct job_outcome *out, struct pfw_error *err)
{
	struct pfw_job_options how = { 0 };
	struct context context = { .out = out };
	struct pfw_config *cfg = NULL;
	char run_dir[PATH_MAX];
	int rc = load_config(jobs, c, &cfg, err);

	memset(out, 0, sizeof(*out));
	how.cfg = cfg;
	if (!rc)
		rc = pfw_job_open(&how, &context.job, err);
	if (rc) {
		pfw_config_free(cfg);
		return rc;
	}
	snprintf(run_dir, sizeof(run_dir), "%s", tmp_path("run"));
	mkdir(run_dir, 0777);
	pfw_checkpoint_clear(run_dir);
	context.job->data = jobs->data;
	context.job->tokenizer = jobs->tokenizer;
	context.job->run_dir = run_dir;
	if (c->cores)
		take_cores(jobs, c->cores);
	rc = launch(c, &context, err);
	sched_setaffinity(0, sizeof(jobs->cores), &jobs->cores);
	for (size_t i = 0; !rc && i < JOBS_FILES; i++)
		rc = read_file(saved[i], &out->files[i], &out->sizes[i], err);
	pfw_job_close(context.job);
	pfw_config_free(cfg);
	return rc;
}

void job_outcome_free(struct job_outcome *out)
{
	for (size_t i = 0; i < JOBS_FILES; i++)
		free(out->files[i]);
	memset(out, 0, sizeof(*out));
}

const char *job_outcome_differs(const struct job_outcome *a,
				const struct job_outcome *b)
{
	if (a->steps != b->steps || a->evals != b->evals)
		return "steps or evaluations";
	if (memcmp(a->loss, b->loss, sizeof(a->loss)))
		return "loss";
	if (memcmp(a->eval, b->eval, sizeof(a->eval)))
		return "validation loss";
	if (memcmp(a->norm, b->norm, sizeof(a->norm)))
		return "norm";
	for (size_t i = 0; i < JOBS_FILES; i++)
		if (a->sizes[i] != b->sizes[i] ||
		    memcmp(a->files[i], b->files[i], a->sizes[i]))
			return saved[i];
	return NULL;
}
