/*
 * run_dir.h: the one folder that a run leaves.
 */
#ifndef PFW_CORE_RUN_DIR_H
#define PFW_CORE_RUN_DIR_H

#include <stdio.h>

#include <pipefw/schedule.h>

#include "settings/config.h"

/**
 * Makes @p dir (its parents too).  One that is there is refused, unless
 * @p overwrite (what an earlier run left in it is removed; a folder that is not
 * a run's is refused all the same), or @p resuming goes on in the same folder.
 */
int pfw_run_dir_make(const char *dir, int overwrite, int resuming,
		     struct pfw_error *err);
/** Refuses a folder to be emptied that holds @p path, which @p key names and the
 *  run will read. */
int pfw_run_dir_spares(const char *dir, const char *key, const char *path,
		       struct pfw_error *err);
/** config.cfg and the open events.jsonl; schedule.csv where a file gave the
 *  schedule, or @p costs (else NULL) did. */
int pfw_run_dir_fill(const char *dir, const struct pfw_config *cfg,
		     const struct pfw_costs *costs, FILE **log,
		     struct pfw_error *err);

#endif
