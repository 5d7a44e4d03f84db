/*
 * steps.h: training steps of a model: those of pipefw runs, and those that a
 * program of PyTorch answers with.
 */
#ifndef PFW_CORE_BENCH_STEPS_H
#define PFW_CORE_BENCH_STEPS_H

#include "bench/bench.h"
#include "bench/room.h"

/** Of a step of two ranks. */
#define PFW_BENCH_MICROBATCHES 8u

struct pfw_bench_model {
	const char *name;
	uint32_t layers, heads, hidden, context, vocab, batch;
	uint32_t cut; /**< blocks of PyTorch's first rank of two: by cost */
	int large;    /**< left out by --quick */
};

struct pfw_bench_steps {
	struct pfw_bench *bench;
	struct pfw_bench_room room; /**< with the corpus and the runs' config */
	char program[PATH_MAX];
	struct pfw_bench_child torch;
	const char *no_torch; /**< why, or NULL */
	char why[256];        /**< why there was no answer */
};

/** One of our runs. */
struct pfw_bench_run {
	const struct pfw_bench_model *model;
	const char *dtype;
	const char *cpu; /**< PIPEFW_CPU, or NULL */
	uint32_t ranks;  /**< 1 or 2 */
	uint32_t microbatches;
	/* Of steps_start() alone. */
	uint32_t ranks_per_process, threads, steps;
};

/** The next model of this bench; NULL before the first, NULL after the last. */
const struct pfw_bench_model *
pfw_bench_model_next(const struct pfw_bench *bench,
		     const struct pfw_bench_model *model);

/** On failure there is nothing to close. */
int pfw_bench_steps_open(struct pfw_bench_steps *s, struct pfw_bench *bench,
			 struct pfw_error *err);
void pfw_bench_steps_close(struct pfw_bench_steps *s);

/** `pipefw run --json` of its config, with @p option where that is not NULL. */
int pfw_bench_steps_start(struct pfw_bench_steps *s,
			  const struct pfw_bench_run *run, const char *option,
			  struct pfw_bench_child *child, struct pfw_error *err);

/** Median seconds of a step, on one thread a rank. */
int pfw_bench_steps_ours(struct pfw_bench_steps *s,
			 const struct pfw_bench_run *run, double *seconds,
			 struct pfw_error *err);

/** How many steps either side takes a median of. */
uint32_t pfw_bench_steps_count(const struct pfw_bench_steps *s,
			       uint32_t microbatches);

/** Starts this program instead of what runs, or says why in no_torch. */
void pfw_bench_torch_open(struct pfw_bench_steps *s, const char *script);
/** The number that it answers with; -EINTR: asked to stop; or another -errno,
 *  and the reason in why.  @p patience is in seconds. */
int pfw_bench_torch_ask(struct pfw_bench_steps *s, const char *question,
			double patience, double *value);

#endif
