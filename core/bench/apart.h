/*
 * apart.h: a part of the bench in a process of its own.
 */
#ifndef PFW_CORE_BENCH_APART_H
#define PFW_CORE_BENCH_APART_H

#include "bench/bench.h"

/** Runs it in a child, which prints, and brings its error back: it may open what
 *  does not survive fork(), and this process forks again. */
int pfw_bench_apart(struct pfw_bench *bench,
		    int (*run)(struct pfw_bench *bench, struct pfw_error *err),
		    struct pfw_error *err);

#endif
