/*
 * conform.h: the conformance suites: what the public headers promise, asked of
 * a plugin.
 */
#ifndef PFW_CORE_CONFORM_H
#define PFW_CORE_CONFORM_H

#include "conform/check.h"

/** Checks of a kind, in the order they are run. */
struct pfw_suite {
	uint32_t kind; /**< PFW_KIND_* */
	const struct pfw_check *const *checks;
	size_t n;
	size_t n_basic; /**< the first ones: the rest rests on all of them */
};

/** NULL: there is none for this kind. */
const struct pfw_suite *pfw_suite_of(uint32_t kind);

extern const struct pfw_suite pfw_suite_schedule, pfw_suite_transport,
	pfw_suite_filter, pfw_suite_stage;

/** Is it loaded at all?  Asked before any other; the name to load, and what
 *  came of it, are the trial's. */
struct pfw_loading {
	struct pfw_trial trial; /**< the first member: the check gets it */
	uint32_t kind;
	const char *name;       /**< or a path */
};
extern const struct pfw_check pfw_check_loads;

#endif
