/* The JSON objects of a run: on stdout with --json, always in events.jsonl. */
#include "cli/events.h"

#include <inttypes.h>
#include <math.h>
#include <pipefw/json.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

/* A number that reads back as the same bits, or null. */
static void print_number(FILE *to, const char *name, double value)
{
	if (isfinite(value))
		fprintf(to, ",\"%s\":%.17g", name, value);
	else
		fprintf(to, ",\"%s\":null", name);
}

static void print_text(FILE *to, const char *name, const char *text)
{
	fprintf(to, ",\"%s\":", name);
	pfw_json_print(to, text);
}

static void print_dir(FILE *to, const char *name, const char *dir,
		      const char *below)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s%s", dir, below);
	print_text(to, name, path);
}

static void print_start(FILE *to, const struct pfw_progress *p)
{
	const struct pfw_job *job = p->job;
	const struct pfw_program *program = pfw_job_placement(job);
	struct pfw_dataset_info data = { .byte_entropy = NAN };

	if (job->data)
		pfw_dataset_info(job->data, &data);
	fprintf(to, "{\"event\":\"start\"");
	print_text(to, "version", PACKAGE_VERSION);
	if (job->run_dir)
		print_text(to, "run", job->run_dir);
	print_text(to, "stage", job->cfg->model.plugin->info.name);
	print_text(to, "schedule", pfw_config_schedule(job->cfg));
	print_text(to, "transport",
		   job->cfg->transport.transport.plugin->info.name);
	print_text(to, "device", job->cfg->device.plugin->info.name);
	print_text(to, "dtype", pfw_dtype_name(job->cfg->dtype));
	fprintf(to, ",\"ranks\":%u,\"chunks\":%u,\"microbatches\":%u",
		program->ranks, program->chunks, program->microbatches);
	fprintf(to, ",\"parameters\":%" PRIu64 ",\"steps\":%" PRIu64,
		job->model->elements, job->steps);
	fprintf(to, ",\"step\":%" PRIu64 ",\"tokens_per_step\":%" PRIu64,
		p->first_step, pfw_job_step_tokens(job));
	print_number(to, "byte_entropy", data.byte_entropy);
	fputs("}\n", to);
}

/* When the last rank has spoken. */
static void print_peak(FILE *to, const struct pfw_progress *p)
{
	if (p->n_peaks < pfw_job_placement(p->job)->ranks)
		return;
	fputs("{\"event\":\"peak\"", to);
	print_number(to, "flops", p->peak);
	fputs(",\"mfu\":\"forward and backward, attention over the causal half, "
	      "nothing computed again\"}\n", to);
}

static void print_step(FILE *to, const struct pfw_progress *p,
		       const struct pfw_event *e)
{
	double s = (double)e->duration_ns / 1e9;

	fprintf(to, "{\"event\":\"step\",\"step\":%" PRIu64, e->step);
	print_number(to, "loss", e->loss);
	print_number(to, "grad_norm", e->grad_norm);
	print_number(to, "lr", e->lr);
	print_number(to, "tokens_per_s", (double)e->tokens / s);
	print_number(to, "step_s", s);
	print_number(to, "bubble", e->bubble);
	print_number(to, "model_flops", pfw_progress_rate(p, s));
	print_number(to, "mfu", pfw_progress_mfu(p, s));
	fprintf(to, ",\"skipped\":%s}\n", e->skipped ? "true" : "false");
}

static void print_eval(FILE *to, const struct pfw_event *e)
{
	fprintf(to, "{\"event\":\"eval\",\"step\":%" PRIu64, e->step);
	print_number(to, "loss", e->loss);
	fprintf(to, ",\"tokens\":%" PRIu64, e->tokens);
	print_number(to, "seconds", (double)e->duration_ns / 1e9);
	fputs("}\n", to);
}

static void print_event(FILE *to, const struct pfw_progress *p,
			const struct pfw_event *e)
{
	switch (e->type) {
	case PFW_EVENT_STEP:
		print_step(to, p, e);
		break;
	case PFW_EVENT_PEAK:
		print_peak(to, p);
		break;
	case PFW_EVENT_EVAL:
		print_eval(to, e);
		break;
	case PFW_EVENT_SAVED:
		fprintf(to, "{\"event\":\"save\",\"step\":%" PRIu64, e->step);
		print_dir(to, "model", p->job->run_dir, "/model");
		fputs("}\n", to);
		break;
	}
}

static void print_error(FILE *to, int status, const char *text)
{
	fprintf(to, "{\"event\":\"error\",\"status\":%d", status);
	print_text(to, "text", text);
	fputs("}\n", to);
}

/* A run that ended before its first save has none. */
static void print_model(FILE *to, const char *run_dir)
{
	char path[4200];

	if (run_dir)
		snprintf(path, sizeof(path), "%s/model", run_dir);
	if (run_dir && !access(path, F_OK))
		print_text(to, "model", path);
	else
		fputs(",\"model\":null", to);
}

static void print_end(FILE *to, const struct pfw_progress *p, double seconds)
{
	static const char *const reasons[] = { "done", "stopped",
					       "non-finite" };

	fprintf(to, "{\"event\":\"end\",\"step\":%" PRIu64, p->last_step);
	print_text(to, "reason", reasons[p->reason]);
	print_model(to, p->job->run_dir);
	print_number(to, "loss", p->loss);
	print_number(to, "validation_loss", p->valid_loss);
	print_number(to, "seconds", seconds);
	fprintf(to, ",\"bytes\":%" PRIu64 ",\"copied_bytes\":%" PRIu64 "}\n",
		p->bytes, p->copied_bytes);
}

void pfw_events_start(const struct pfw_progress *p)
{
	if (p->json)
		print_start(p->json, p);
	if (p->log)
		print_start(p->log, p);
}

void pfw_events_event(const struct pfw_progress *p,
		      const struct pfw_event *event)
{
	if (p->json) {
		print_event(p->json, p, event);
		fflush(p->json);
	}
	if (p->log)
		print_event(p->log, p, event);
}

void pfw_events_end(const struct pfw_progress *p,
		    const struct pfw_launch_result *result)
{
	double seconds = (double)(pfw_now() - p->started) / 1e9;
	FILE *const to[] = { p->json, p->log };

	for (size_t i = 0; i < 2; i++) {
		if (!to[i])
			continue;
		if (result->status)
			print_error(to[i], result->status, result->text);
		else
			print_end(to[i], p, seconds);
		fflush(to[i]);
	}
}

void pfw_progress_error(FILE *json, int status, const char *text)
{
	if (!json)
		return;
	print_error(json, status, text);
	fflush(json);
}
