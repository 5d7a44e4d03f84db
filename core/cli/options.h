/*
 * options.h: what the commands' command lines have in common.
 */
#ifndef PFW_CORE_CLI_OPTIONS_H
#define PFW_CORE_CLI_OPTIONS_H

#include <getopt.h>

#include "settings/config.h"

/** Settings from the command line; the texts are our own. */
struct pfw_sets {
	struct pfw_set *list;
	size_t n;
};

/** Adds "@p path=@p value"; @p path NULL: @p value is the whole text.
 *  @p option: see struct pfw_set. */
int pfw_sets_add(struct pfw_sets *sets, const char *option, const char *path,
		 const char *value);
void pfw_sets_clear(struct pfw_sets *sets);

/**
 * What getopt_long() stumbled over, as a sentence with the nearest right
 * option.  @p c is what it gave: '?', or ':' for a value that is missing (its
 * string of short options begins with ':', opterr is 0).  Always -EINVAL.
 */
int pfw_option_refuse(const char *command, const struct option *options, int c,
		      char *const *argv, struct pfw_error *err);

#endif
