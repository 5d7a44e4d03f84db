/*
 * pipeline.h: rows of two ranks.
 */
#ifndef PFW_CORE_BENCH_PIPELINE_H
#define PFW_CORE_BENCH_PIPELINE_H

#include "bench/steps.h"

int pfw_bench_pipeline(struct pfw_bench_steps *s, struct pfw_error *err);

#endif
