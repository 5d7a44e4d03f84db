/*
 * progress.h: what a run tells people and programs.
 *
 * People read stderr: one line that is written over on a terminal, plain lines
 * elsewhere.  Programs read one JSON object a line, on stdout with --json and
 * always in events.jsonl of the run's folder; pipefw(1) lists the objects.
 */
#ifndef PFW_CORE_PROGRESS_H
#define PFW_CORE_PROGRESS_H

#include <stdio.h>

#include "launch/event.h"
#include "launch/launcher.h"
#include "runtime/job.h"

struct pfw_progress {
	const struct pfw_job *job;
	FILE *json;      /**< NULL: nobody asked */
	FILE *log;       /**< events.jsonl, or NULL */
	int quiet;       /**< no lines for people but errors */
	int follows;     /**< another launcher is told of steps */
	int terminal;    /**< stderr is one */
	int open_line;   /**< a line that is being written over */
	uint64_t started, last_line;
	uint64_t first_step;   /**< where this run began */
	uint64_t steps_timed;
	double step_seconds;   /**< smoothed */
	double bubble;         /**< smoothed; NaN: none yet */
	double loss, valid_loss; /**< latest; NaN: none yet */
	double first_valid_loss;
	uint64_t bytes, copied_bytes;
	double peak;           /**< FLOP/s of the ranks that said it; NaN: one
				    does not know */
	uint32_t n_peaks;
	uint32_t reason;       /**< PFW_END_* */
	uint64_t last_step;
};

void pfw_progress_open(struct pfw_progress *p, const struct pfw_job *job,
		       int json, int quiet, FILE *log);
/** The header, and the "start" object. */
void pfw_progress_start(struct pfw_progress *p);
void pfw_progress_event(struct pfw_progress *p, const struct pfw_event *event);
void pfw_progress_note(struct pfw_progress *p, const char *text);
/** The last lines and the "end" or "error" object. */
void pfw_progress_end(struct pfw_progress *p,
		      const struct pfw_launch_result *result);
/** An "error" object alone, for what fails before there is a job. */
void pfw_progress_error(FILE *json, int status, const char *text);

/** Model FLOP/s of a step that took @p seconds; NaN: the model has none. */
double pfw_progress_rate(const struct pfw_progress *p, double seconds);
/** Its share of the measured peak (MFU); NaN: not known. */
double pfw_progress_mfu(const struct pfw_progress *p, double seconds);

#endif
