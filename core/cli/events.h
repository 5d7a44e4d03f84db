/*
 * events.h: the JSON objects of a run.
 */
#ifndef PFW_CORE_EVENTS_H
#define PFW_CORE_EVENTS_H

#include "cli/progress.h"

void pfw_events_start(const struct pfw_progress *p);
void pfw_events_event(const struct pfw_progress *p,
		      const struct pfw_event *event);
void pfw_events_end(const struct pfw_progress *p,
		    const struct pfw_launch_result *result);

#endif
