/*
 * summary.h: a job in words before it runs: the header, and --dry-run's tables.
 */
#ifndef PFW_CORE_SUMMARY_H
#define PFW_CORE_SUMMARY_H

#include <stdio.h>

#include "launch/binding.h"
#include "runtime/footprint.h"

void pfw_summary_header(const struct pfw_job *job, FILE *to);

/** What a job takes of this host. */
struct pfw_summary_host {
	struct pfw_binding binding;
	struct pfw_footprint footprint;
};

int pfw_summary_host_open(const struct pfw_job *job,
			  struct pfw_summary_host *out, struct pfw_error *err);
void pfw_summary_host_close(struct pfw_summary_host *host);

void pfw_summary_dry_run(const struct pfw_job *job,
			 const struct pfw_summary_host *host, FILE *to);
void pfw_summary_json(const struct pfw_job *job,
		      const struct pfw_summary_host *host, FILE *to);

#endif
