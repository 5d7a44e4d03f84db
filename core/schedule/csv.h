/*
 * csv.h: PyTorch's text form of a schedule: a row for each rank, a cell for each
 * action ("3F7", or "(0F4;7B1)OVERLAP_F_B" for a pair), empty cells are idle.
 * The rows say where the stages are.  What is written is compute only; transfers
 * and reductions in what is read ("3SEND_F7") are passed over.
 *
 * Our own files may begin with comment lines that say what follows from the
 * rows, and a hash of them: a reader that knows them finds a damaged file.
 *
 *     # pipefw schedule 1
 *     # ranks 4 chunks 1 microbatches 8
 *     # placement 0 1 2 3
 *     # hash 0123456789abcdef
 */
#ifndef PFW_CORE_CSV_H
#define PFW_CORE_CSV_H

#include <stdio.h>

#include "schedule/program.h"

/** @p header: the comment lines as well. */
int pfw_csv_write(const struct pfw_schedule_plan *plan, int header, FILE *to,
		  struct pfw_error *err);

/**
 * Reads a plan; it is not verified yet, but has no action twice, and every
 * stage is on one rank.  Sentences begin "NAME:LINE:CELL: ".  @p text ends in a
 * NUL that @p len does not count.
 */
int pfw_csv_parse(const char *name, const char *text, size_t len,
		  struct pfw_schedule_plan **out, struct pfw_error *err);
/** The same of a file. */
int pfw_csv_read(const char *path, struct pfw_schedule_plan **out,
		 struct pfw_error *err);

/** Of lists and placement. */
uint64_t pfw_schedule_plan_hash(const struct pfw_schedule_plan *plan);

#endif
