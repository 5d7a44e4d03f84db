/*
 * schedule_args.h: what `pipefw schedule` is asked for.
 */
#ifndef PFW_CORE_SCHEDULE_ARGS_H
#define PFW_CORE_SCHEDULE_ARGS_H

#include <pipefw/base.h>

#include "report/report.h"

#define PFW_MAX_SETS 64u

#define PFW_MAX_NAMES 64u

#define PFW_SCHEDULE_SHOW 0u
#define PFW_SCHEDULE_COMPARE 1u
#define PFW_SCHEDULE_DIFF 2u

#define PFW_MAX_PARTS 256u

/** One time for every rank's layers, or one for each p-th of the model. */
struct pfw_cost_list {
	double part[PFW_MAX_PARTS];
	uint32_t n;
};

struct pfw_schedule_args {
	uint32_t command; /**< PFW_SCHEDULE_* */
	const char *names[PFW_MAX_NAMES]; /**< plugins, or paths of .csv files */
	size_t n_names;
	uint32_t ranks, chunks, microbatches; /**< 0: not given */
	uint32_t memory_cap; /**< micro-batches of a rank's layers; 0: none */
	const char *sets[PFW_MAX_SETS]; /**< "name=value" */
	size_t n_sets;
	const char *format; /**< "text", ... */
	int header; /**< of our own, in csv */
	int help;
	/* Of a full rank's layers, in `unit_name`. */
	struct pfw_cost_list costs[3]; /**< F, I, W */
	double hop, message;
	int costs_given; /**< --cost, --cost-from or --hop */
	int costs_listed, hop_given; /**< --cost, --hop */
	const char *cost_from; /**< a traced run's folder, or NULL */
	const struct pfw_report *run; /**< that run, once it is read */
	int real_time;   /**< they have a unit of time */
	const char *unit_name; /**< "F", "units" or "ms" */
};

/** Refusals are sentences about the word that was wrong. */
int pfw_schedule_args_parse(int argc, char **argv,
			    struct pfw_schedule_args *out,
			    struct pfw_error *err);

extern const char pfw_schedule_usage[];

#endif
