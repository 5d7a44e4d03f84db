/*
 * schedule_args.h: what `pipefw schedule` is asked for.
 */
#ifndef PFW_CORE_SCHEDULE_ARGS_H
#define PFW_CORE_SCHEDULE_ARGS_H

#include <pipefw/base.h>

#define PFW_MAX_SETS 64u

struct pfw_schedule_args {
	const char *name; /**< of a schedule, or a path that ends in .csv */
	int is_file;
	uint32_t ranks, chunks, microbatches; /**< 0: not given */
	const char *sets[PFW_MAX_SETS]; /**< "name=value" */
	size_t n_sets;
	const char *format; /**< "text", "csv" */
	int header; /**< of our own, in csv */
	int help;
	/* Of a full rank's layers, in `unit`. */
	double forward, input, weight, hop;
	int costs_given;  /**< --cost or --hop */
	int real_time;    /**< they have a unit of time */
	const char *unit_name; /**< "F", "units" or "ms" */
};

/** Refusals are sentences about the word that was wrong. */
int pfw_schedule_args_parse(int argc, char **argv,
			    struct pfw_schedule_args *out,
			    struct pfw_error *err);

extern const char pfw_schedule_usage[];

#endif
