/*
 * together.h: --boot, --ranks and --secret: a run on several hosts.
 */
#ifndef PFW_CORE_TOGETHER_H
#define PFW_CORE_TOGETHER_H

#include "launch/meet.h"
#include "model/checkpoint.h"
#include "runtime/job.h"

struct pfw_together {
	const char *boot, *ranks, *secret; /**< as given, or NULL */
	struct pfw_endpoint at;
	struct pfw_secret key;
	uint32_t first, n;
};

/** Checks what was given against the job, and reads the secret. */
int pfw_together_check(struct pfw_together *t, uint32_t ranks,
		       struct pfw_error *err);
/** Is this the launcher of rank 0, or the only one? */
int pfw_together_leads(const struct pfw_together *t);
/** Until all have come.  @p file: as the user named the config. */
int pfw_together_meet(const struct pfw_together *t, const char *file,
		      const struct pfw_job *job,
		      const struct pfw_train_state *state,
		      void (*on_note)(void *context, const char *text),
		      void *context, struct pfw_meeting **out,
		      struct pfw_error *err);

#endif
