/*
 * report.h: a traced run beside its prediction, and what would make it faster.
 */
#ifndef PFW_CORE_REPORT_H
#define PFW_CORE_REPORT_H

#include <stdio.h>

#include "model/model.h"
#include "runtime/trace.h"
#include "schedule/simulate.h"
#include "settings/config.h"

/** Where one rank's time of a step went, ns, mean over the steps looked at. */
struct pfw_report_rank {
	double compute;   /**< in F, B, I, W */
	double transfer;  /**< handing over what was made */
	double *waits;    /**< [ranks]: for that rank's messages and slots */
	double idle;      /**< before its first action, after its last, between */
};

/** A number that events.jsonl has for a step. */
struct pfw_report_point {
	uint64_t step;
	double value;
};

/** The one change that would help most. */
struct pfw_advice {
	int found;
	char text[512];     /**< a sentence, with the figure of the simulator */
	char set[4400];     /**< what has it, where found: it may name dir */
	char schedule[64];
	uint32_t chunks;
	double gain;        /**< share of the step that would be saved */
};

struct pfw_report {
	char *dir;
	struct pfw_config *cfg;
	struct pfw_model *model;
	struct pfw_schedule_plan *plan;
	struct pfw_program *program;

	struct pfw_trace_record **records; /**< [ranks] */
	size_t *n_records;
	uint64_t first_step, last_step; /**< that were looked at: warm ones */
	uint64_t typical;               /**< the step nearest to the median */

	int64_t *forward, *input, *weight; /**< [stages] medians, ns */
	int64_t hop;

	double window; /**< ns from the first action to NORM, mean */
	double bubble; /**< measured, mean */
	struct pfw_report_rank *rank; /**< [ranks] */
	struct pfw_simulation *measured; /**< the typical step */
	struct pfw_simulation *predicted;
	int64_t set_step; /**< ns: predicted by set times, nothing measured; 0:
			       they were not set */
	struct pfw_advice advice;

	struct pfw_report_point *losses, *valid; /**< from events.jsonl */
	size_t n_losses, n_valid;
};

/** What was measured of the run's stages, told of another number of them. */
struct pfw_cut {
	struct pfw_model *model;
	int64_t *forward, *input, *weight; /**< [stages], ns */
};

/** @p splits: I and W are run apart. */
int pfw_cut_open(const struct pfw_report *r, uint32_t stages, int splits,
		 struct pfw_cut *c, struct pfw_error *err);
void pfw_cut_close(struct pfw_cut *c);

/** Only what was measured, nothing predicted.  -ENOTDIR: @p dir is no folder. */
int pfw_report_read(struct pfw_registry *registry, const char *dir,
		    struct pfw_report **out, struct pfw_error *err);
int pfw_report_open(struct pfw_registry *registry, const char *dir,
		    struct pfw_report **out, struct pfw_error *err);
void pfw_report_close(struct pfw_report *report);

/** In the order of making: measure.c, predict.c, advice.c, curves.c. */
int pfw_report_measure(struct pfw_report *r, struct pfw_error *err);
int pfw_report_predict(struct pfw_report *r, struct pfw_error *err);
int pfw_report_advise(struct pfw_report *r, struct pfw_registry *registry,
		      struct pfw_error *err);
int pfw_report_curves(struct pfw_report *r, struct pfw_error *err);

/** By how many percent the measured steps were longer than @p step, ns. */
double pfw_report_off(const struct pfw_report *r, int64_t step);

int pfw_report_html(const struct pfw_report *r, FILE *to,
		    struct pfw_error *err);

static inline int pfw_is_compute(uint32_t type)
{
	return type >= PFW_FORWARD && type <= PFW_BACKWARD_WEIGHT;
}

#endif
