/*
 * bench.h: measures this machine, pipefw on it, and its peers beside it.
 *
 * A figure is the median of rounds; in a round ours and the peer's work come one
 * right after the other, so that a ratio holds while the machine's speed drifts.
 */
#ifndef PFW_CORE_BENCH_H
#define PFW_CORE_BENCH_H

#include <pipefw/base.h>
#include <stdio.h>

#include "plugin/registry.h"

#define PFW_BENCH_MAX_ROUNDS 99u

struct pfw_bench {
	struct pfw_registry *registry;
	uint32_t rounds;     /**< 1 to PFW_BENCH_MAX_ROUNDS */
	int json;            /**< one object a row on stdout, else a table */
	const char *device;  /**< name of the plugin */
	const char *transport; /**< name of the plugin */
	const char *python;  /**< that has torch */
	int quick;           /**< small models alone */
	const char *part;    /**< "compute", ...: of the rows that come */
};

/** Ours and the peer's, round by round. */
struct pfw_bench_row {
	const char *work;
	const char *unit;  /**< "GFLOP/s", "ms", ... */
	int less_is_better;
	const char *peer;  /**< NULL: nobody to compare with */
	double aim;        /**< ratio, ours the better above 1; 0: none */
	double limit;      /**< ours at most this; 0: none */
	double within;     /**< ratio this near to 1; 0: none */
	double ours[PFW_BENCH_MAX_ROUNDS], theirs[PFW_BENCH_MAX_ROUNDS];
};

void pfw_bench_heading(const struct pfw_bench *bench, const char *text);
void pfw_bench_print(const struct pfw_bench *bench,
		     const struct pfw_bench_row *row);
/** What could not be measured, and why; @p peer NULL: ours itself. */
void pfw_bench_skip(const struct pfw_bench *bench, const char *work,
		    const char *peer, const char *why);
double pfw_bench_median(const double *v, uint32_t n);

/* Each prints its rows; an error is of our own side. */
int pfw_bench_compute(struct pfw_bench *bench, struct pfw_error *err);
int pfw_bench_transport(struct pfw_bench *bench, struct pfw_error *err);
int pfw_bench_train(struct pfw_bench *bench, struct pfw_error *err);
int pfw_bench_memory(struct pfw_bench *bench, struct pfw_error *err);

#endif
