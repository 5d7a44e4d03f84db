/*
 * harness.h: a transport or filter by its name, for the tests of single ones.
 */
#ifndef PFW_TESTS_HARNESS_H
#define PFW_TESTS_HARNESS_H

#include "base/clock.h"
#include "conform/ends.h"
#include "plugin/registry.h"

#include <errno.h>

/** One transport or filter by name; @p options: "a=1 b=2". */
int subject_load(struct pfw_registry *reg, const char *name, const char *options,
		 const struct pfw_subject *below, struct pfw_subject *out,
		 struct pfw_error *err);
void subject_free(struct pfw_subject *s);

/** A folder of files for the time of a test. */
void scratch_make(char path[64]);
void scratch_remove(const char *path);

#endif
