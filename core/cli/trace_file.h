/*
 * trace_file.h: a run's trace in the form that Perfetto and chrome://tracing
 * read (Trace Event Format, JSON object form).
 */
#ifndef PFW_CORE_TRACE_FILE_H
#define PFW_CORE_TRACE_FILE_H

#include <pipefw/base.h>

/** From RUN_DIR/trace/ to @p path: a row a rank, waits and actions apart; a rank
 *  that has recorded nothing has an empty one. */
int pfw_trace_file_write(const char *run_dir, uint32_t ranks, const char *path,
			 struct pfw_error *err);

#endif
