/* A run in words for people. */
#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/events.h"
#include "cli/summary.h"
#include "cli/text.h"

#define LINE_NS (100 * PFW_MS)     /* a terminal's line: ten times a second */
#define LOG_LINE_NS (1000 * PFW_MS) /* elsewhere: once a second */
#define SMOOTHING 0.1
#define PARTS 7
#define PART_LEN 64

void pfw_progress_open(struct pfw_progress *p, const struct pfw_job *job,
		       int json, int quiet, FILE *log)
{
	memset(p, 0, sizeof(*p));
	p->job = job;
	p->json = json ? stdout : NULL;
	p->log = log;
	p->quiet = quiet;
	p->terminal = isatty(STDERR_FILENO);
	p->started = pfw_now();
	p->bubble = p->loss = p->valid_loss = p->first_valid_loss = NAN;
}

static void close_line(struct pfw_progress *p)
{
	if (p->open_line)
		fputc('\n', stderr);
	p->open_line = 0;
}

void pfw_progress_start(struct pfw_progress *p)
{
	pfw_events_start(p);
	if (!p->quiet)
		pfw_summary_header(p->job, stderr);
}

/* "12.3k" */
static void rate_text(double rate, char *buf, size_t len)
{
	if (rate >= 1e6)
		snprintf(buf, len, "%.2fM", rate / 1e6);
	else if (rate >= 1e3)
		snprintf(buf, len, "%.1fk", rate / 1e3);
	else
		snprintf(buf, len, "%.0f", rate);
}

static void bubble_text(const struct pfw_progress *p, int terse, char *buf,
			size_t len)
{
	uint32_t ranks = pfw_job_placement(p->job)->ranks;

	if (!isnan(p->bubble))
		snprintf(buf, len, "bubble %.*f %%", terse ? 0 : 1,
			 100 * p->bubble);
	else if (terse)
		snprintf(buf, len, "bubble n/a");
	else
		snprintf(buf, len, "bubble n/a (%u ranks on %u core%s)", ranks,
			 pfw_cores(), pfw_cores() == 1 ? "" : "s");
}

double pfw_progress_rate(const struct pfw_progress *p, double seconds)
{
	double flops = p->job->model->flops *
		       p->job->cfg->pipeline.microbatches;

	return flops > 0 && seconds > 0 ? flops / seconds : NAN;
}

double pfw_progress_mfu(const struct pfw_progress *p, double seconds)
{
	int known = p->n_peaks == pfw_job_placement(p->job)->ranks;

	return known ? pfw_progress_rate(p, seconds) / p->peak : NAN;
}

static void mfu_text(const struct pfw_progress *p, char *buf, size_t len)
{
	double mfu = pfw_progress_mfu(p, p->step_seconds);

	if (!isnan(mfu))
		snprintf(buf, len, "mfu %.0f %%", 100 * mfu);
}

static void eta_text(const struct pfw_progress *p, uint64_t step, char *buf,
		     size_t len)
{
	double s = p->step_seconds * (double)(p->job->steps - step);

	if (p->steps_timed < 3)
		snprintf(buf, len, "--");
	else if (s < 100)
		snprintf(buf, len, "%.0f s", s);
	else if (s < 5400)
		snprintf(buf, len, "%d min %02d s", (int)s / 60, (int)s % 60);
	else
		snprintf(buf, len, "%d h %02d min", (int)s / 3600,
			 (int)s / 60 % 60);
}

/* Joins what fits into @p room characters; gives whether that is all. */
static int join_parts(char parts[PARTS][PART_LEN], const char *between,
		      size_t room, char *line)
{
	size_t used = 0;

	for (unsigned i = 0; i < PARTS; i++) {
		const char *gap = used ? between : "";

		if (!*parts[i])
			continue;
		if (used + strlen(gap) + strlen(parts[i]) > room)
			return 0;
		used += (size_t)sprintf(line + used, "%s%s", gap, parts[i]);
	}
	return 1;
}

static int line_text(const struct pfw_progress *p, const struct pfw_event *e,
		     int terse, size_t room, char *line)
{
	char parts[PARTS][PART_LEN] = { "" }, text[24];

	snprintf(parts[0], PART_LEN, "step %*" PRIu64 "/%" PRIu64,
		 terse ? 0 : 5, e->step, p->job->steps);
	snprintf(parts[1], PART_LEN, "loss %.4f", e->loss);
	if (!isnan(p->valid_loss))
		snprintf(parts[2], PART_LEN, "val %.4f", p->valid_loss);
	rate_text((double)e->tokens / p->step_seconds, text, sizeof(text));
	snprintf(parts[3], PART_LEN, "%s tok/s", text);
	bubble_text(p, terse, parts[4], PART_LEN);
	mfu_text(p, parts[5], PART_LEN);
	eta_text(p, e->step, text, sizeof(text));
	snprintf(parts[6], PART_LEN, "eta %s", text);
	return join_parts(parts, terse ? " " : " | ", room, line);
}

/* What wraps cannot be written over: a narrow terminal gets a terser line, and
 * the whole one at the end. */
static void step_line(struct pfw_progress *p, const struct pfw_event *e)
{
	char line[PARTS * (PART_LEN + 3)] = "";
	size_t room = sizeof(line) - 1;
	uint64_t now = pfw_now();
	int last = e->step == p->job->steps;

	if (!last && p->last_line &&
	    now - p->last_line < (p->terminal ? LINE_NS : LOG_LINE_NS))
		return;
	p->last_line = now;
	if (p->terminal && !last)
		room = pfw_text_columns(STDERR_FILENO) - 1;
	if (!line_text(p, e, 0, room, line))
		line_text(p, e, 1, room, line);
	fprintf(stderr, "%s%s%s", p->terminal ? "\r\033[K" : "", line,
		p->terminal ? "" : "\n");
	p->open_line = p->terminal;
	if (last)
		close_line(p);
	fflush(stderr);
}

/* The first step is warm-up and counts for nothing. */
static void take_step(struct pfw_progress *p, const struct pfw_event *e)
{
	double s = (double)e->duration_ns / 1e9;

	p->last_step = e->step;
	p->loss = e->loss;
	if (e->step > p->first_step + 1 || !p->steps_timed) {
		double k = p->steps_timed > 1 ? SMOOTHING : 1;

		p->step_seconds += k * (s - p->step_seconds);
		if (!isnan(e->bubble))
			p->bubble = isnan(p->bubble) || k == 1 ?
					    e->bubble :
					    p->bubble + k * (e->bubble -
							     p->bubble);
		p->steps_timed++;
	}
	if (!p->quiet)
		step_line(p, e);
	if (e->skipped) {
		char text[128];

		snprintf(text, sizeof(text),
			 "step %" PRIu64 ": loss %g, gradient norm %g: not "
			 "finite, update left out",
			 /* The sign of a NaN says nothing. */
			 e->step, fabs(e->loss), fabs(e->grad_norm));
		pfw_progress_note(p, text);
	}
}

/* The header's last line, when the last rank has spoken. */
static void take_peak(struct pfw_progress *p, const struct pfw_event *e)
{
	uint32_t ranks = pfw_job_placement(p->job)->ranks;
	char text[24];

	p->peak += e->peak;
	p->n_peaks++;
	if (p->quiet || p->n_peaks < ranks || isnan(p->peak))
		return;
	pfw_text_flops(p->peak, text, sizeof(text));
	fprintf(stderr, "  peak       %s measured on %u rank%s; mfu: forward and "
		"backward, nothing twice\n", text, ranks,
		ranks == 1 ? "" : "s");
}

static void take_eval(struct pfw_progress *p, const struct pfw_event *e)
{
	p->valid_loss = e->loss;
	if (isnan(p->first_valid_loss))
		p->first_valid_loss = e->loss;
	if (p->quiet)
		return;
	if (p->terminal && p->open_line)
		fputs("\r\033[K", stderr);
	p->open_line = 0;
	fprintf(stderr, "step %5" PRIu64 "/%" PRIu64 " | validation loss %.4f\n",
		e->step, p->job->steps, e->loss);
}

void pfw_progress_event(struct pfw_progress *p, const struct pfw_event *event)
{
	switch (event->type) {
	case PFW_EVENT_STEP:
		take_step(p, event);
		break;
	case PFW_EVENT_EVAL:
		take_eval(p, event);
		break;
	case PFW_EVENT_PEAK:
		take_peak(p, event);
		break;
	case PFW_EVENT_NOTE:
		if (!p->quiet)
			pfw_progress_note(p, event->text);
		return;
	case PFW_EVENT_END:
		p->reason = event->reason;
		p->bytes += event->bytes;
		p->copied_bytes += event->copied_bytes;
		p->last_step = event->step;
		return;
	}
	pfw_events_event(p, event);
}

void pfw_progress_note(struct pfw_progress *p, const char *text)
{
	close_line(p);
	fprintf(stderr, "%s\n", text);
}

static void say_end(const struct pfw_progress *p)
{
	double s = (double)(pfw_now() - p->started) / 1e9;

	if (p->reason == PFW_END_STOPPED)
		fprintf(stderr, "stopped after step %" PRIu64 " as asked\n",
			p->last_step);
	fprintf(stderr, "done: %" PRIu64 " steps in %.1f s\n",
		p->last_step - p->first_step, s);
	if (p->job->run_dir && p->job->model->n_params)
		fprintf(stderr, "model: %s/model\n", p->job->run_dir);
}

void pfw_progress_end(struct pfw_progress *p,
		      const struct pfw_launch_result *result)
{
	close_line(p);
	pfw_events_end(p, result);
	if (result->status && p->follows)
		fprintf(stderr, "pipefw: FAILED: %s\n", result->text);
	else if (result->status)
		fprintf(stderr, "pipefw: FAILED after step %" PRIu64 ": %s\n",
			p->last_step, result->text);
	else if (p->reason == PFW_END_NONFINITE)
		fprintf(stderr, "pipefw: stopped at step %" PRIu64
			": loss or gradients were not finite %" PRId64
			" steps in a row; lower optimizer.lr, or go on from an "
			"earlier checkpoint with run.resume\n",
			p->last_step, p->job->cfg->run.max_bad_steps);
	else if (!p->quiet)
		say_end(p);
}
