/*
 * devices.h: messages between two devices, whose slots are their memory.
 */
#ifndef PFW_CORE_BENCH_DEVICES_H
#define PFW_CORE_BENCH_DEVICES_H

#include "bench/bench.h"
#include "conform/ends.h"

/** Rows of @p subject on @p device; what cannot be measured is skipped, and why. */
int pfw_bench_devices(struct pfw_bench *bench, const struct pfw_subject *subject,
		      const struct pfw_loaded *device, struct pfw_error *err);

#endif
