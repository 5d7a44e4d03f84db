/*
 * trace.h: what a rank really did, action by action.
 *
 * Recorded into memory that the launcher shares with its ranks, written when training
 * is over, or by the launcher for ranks that have ended otherwise:
 * RUN/trace/rank-N.tsv, a line for each action with the same ids that the
 * simulator uses:
 *
 *   step  action  begin  start  end  left  waited_for  kind
 *
 * begin: the rank came to it; start: it had what it needed; end: it was done;
 * left: what it made was handed over (CLOCK_MONOTONIC, ns).  waited_for: the rank it waited for longest, or "-";
 * kind: "message" or "slot" with the channel's kind, or "-".
 */
#ifndef PFW_CORE_TRACE_H
#define PFW_CORE_TRACE_H

#include <pipefw/base.h>

struct pfw_trace_record {
	uint64_t step;
	uint32_t type, stage, microbatch;
	uint32_t peer;   /**< PFW_NONE: it waited for nobody */
	uint32_t wait;   /**< PFW_WAIT_MESSAGE, PFW_WAIT_SLOT */
	uint32_t kind;   /**< of the channel */
	uint64_t begin, start, end, left;
};

struct pfw_trace;

/** Room for @p n records, which processes started from now on share; what comes
 *  after is counted and left out. */
int pfw_trace_open(uint64_t n, struct pfw_trace **out, struct pfw_error *err);
/** So many will come, and their pages are there before they are timed. */
void pfw_trace_begin(struct pfw_trace *trace, uint64_t n);
/** It has records that are not written; NULL has none. */
int pfw_trace_is_due(const struct pfw_trace *trace);
/** Takes NULL. */
void pfw_trace_close(struct pfw_trace *trace);
void pfw_trace_add(struct pfw_trace *trace,
		   const struct pfw_trace_record *record);
/** Into RUN_DIR/trace/, which is made. */
int pfw_trace_write(struct pfw_trace *trace, const char *run_dir,
		    uint32_t rank, struct pfw_error *err);

/** Reads such a file back; *out is the caller's to free(). */
int pfw_trace_read(const char *run_dir, uint32_t rank,
		   struct pfw_trace_record **out, size_t *n,
		   struct pfw_error *err);

#endif
