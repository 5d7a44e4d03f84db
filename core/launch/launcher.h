/*
 * launcher.h: starts the ranks on this host, serves their boot, and sees to it
 * that all end when one does.
 */
#ifndef PFW_CORE_LAUNCHER_H
#define PFW_CORE_LAUNCHER_H

#include "launch/binding.h"
#include "launch/boot.h"

struct pfw_meeting;
struct pfw_program;

struct pfw_launch {
	uint32_t ranks;             /**< of the whole run */
	uint32_t ranks_per_process; /**< threads of one process; >= 1 */
	uint32_t threads;           /**< as in struct pfw_binding_wish */
	int sleeps;                 /**< ranks leave their core as they work */
	double timeout;             /**< s: as run.timeout */
	/** What the ranks do in a step: names a message that was lost.  NULL:
	 *  not known. */
	const struct pfw_program *program;
	/** Begun: the other hosts' launchers, and which ranks are this one's.
	 *  NULL: all are.  At a guest only on_note is called. */
	struct pfw_meeting *meeting;
	/** Runs on each rank; gives its exit status, 0: well.  Before another
	 *  status it tells PFW_EVENT_FAIL. */
	int (*rank_main)(void *context, struct pfw_boot *boot);
	/** In the launcher, for every event but FAIL. */
	void (*on_event)(void *context, const struct pfw_event *event);
	/** In the launcher: words for people (SIGUSR2's answer, "stopping"). */
	void (*on_note)(void *context, const char *text);
	void *context;
};

struct pfw_launch_result {
	int status;       /**< exit status, 0: all ranks ended well */
	int signal;       /**< that asked for an orderly end; 0: none */
	char text[8192];  /**< with status != 0: a paragraph that explains it */
};

/**
 * Forks, serves, waits for all.  On return no process of the run is left.  -errno
 * with a sentence when the ranks could not be started; else 0, see @p result.
 */
int pfw_launch(const struct pfw_launch *how, struct pfw_launch_result *result,
	       struct pfw_error *err);

#endif
