/*
 * check.h: what a conformance suite is made of: checks, each run in a process
 * of its own, so that a plugin that crashes or hangs is one refused check.
 */
#ifndef PFW_CORE_CHECK_H
#define PFW_CORE_CHECK_H

#include <sys/types.h>

#include "plugin/registry.h"

#if defined(__GNUC__)
#define PFW_NORETURN __attribute__((noreturn))
#else
#define PFW_NORETURN
#endif

#define PFW_CHECK_HOLDS 0u
#define PFW_CHECK_REFUSED 1u
#define PFW_CHECK_SKIPPED 2u
#define PFW_CHECK_DIED 3u /**< the process: a signal, or exit() */
#define PFW_CHECK_HUNG 4u /**< past its deadline */

/** What came of a check; lies in memory that both processes see. */
struct pfw_verdict {
	uint32_t result;        /**< PFW_CHECK_* */
	char doing[256];        /**< what it was at, last */
	struct pfw_error found; /**< "" if it holds */
	double seconds;
};

struct pfw_subject; /* ends.h */

#define PFW_TRIAL_MAX_SETS 64u

/** A plugin in the hands of a check. */
struct pfw_trial {
	struct pfw_registry *registry; /**< for what it needs beside it */
	const struct pfw_loaded *plugin;
	const struct pfw_values *values;
	struct pfw_verdict *verdict;
	const struct pfw_subject *subject; /**< see pfw_trial_subject() */
	/** "name=value", as `values` was made of. */
	const char *sets[PFW_TRIAL_MAX_SETS];
	size_t n_sets;
};

/**
 * One promise of a header.  A check that comes back holds; it runs in a process
 * that is its own, so it need not free what it holds when it refuses.
 */
struct pfw_check {
	const char *name;
	const char *contract; /**< header, function or section: what it says */
	const char *advice;   /**< what to do, an imperative */
	uint32_t seconds;     /**< until it counts as hung */
	void (*run)(struct pfw_trial *t);
};

/** The promise is broken: what was found, as one sentence.  Ends the process. */
void pfw_trial_refuse(struct pfw_trial *t, const char *found, ...)
	PFW_PRINTF(2, 3) PFW_NORETURN;
/** It cannot be asked here, and why. */
void pfw_trial_skip(struct pfw_trial *t, const char *why, ...)
	PFW_PRINTF(2, 3) PFW_NORETURN;
/** Zeroed memory; without any the check is left out.  It lives as long as the
 *  trial's process, or until free(). */
void *pfw_trial_alloc(struct pfw_trial *t, size_t bytes);
/** What comes next, "planning p=4 v=1 m=8": said if the process dies in it. */
void pfw_trial_doing(struct pfw_trial *t, const char *what, ...)
	PFW_PRINTF(2, 3);

/** Runs a part of a check in a process of its own, and ends this one where that one
 *  has refused, skipped or died: what a plugin has opened may not survive the next
 *  fork(). */
void pfw_trial_apart(struct pfw_trial *t,
		     void (*run)(struct pfw_trial *t, const void *arg),
		     const void *arg);

/** "0", "-EAGAIN", "-EINVAL": what a call gave, in words. */
const char *pfw_trial_code(int rc);

/**
 * Runs it in a process of its own and fills t->verdict.  Whatever that process
 * has started ends with it.  Fails only where no process can be made.
 */
int pfw_check_run(const struct pfw_check *check, struct pfw_trial *t,
		  struct pfw_error *err);

/** A verdict in shared memory; NULL: there is none. */
struct pfw_verdict *pfw_verdict_new(void);
void pfw_verdict_free(struct pfw_verdict *verdict);

#endif
