/*
 * report_text.h: the report for a terminal.
 */
#ifndef PFW_CORE_REPORT_TEXT_H
#define PFW_CORE_REPORT_TEXT_H

#include "report/report.h"

/** Several runs, a line each: how far the prediction was off. */
void pfw_report_table_head(FILE *to);
void pfw_report_table_row(const struct pfw_report *r, FILE *to);
void pfw_report_table_foot(FILE *to);

int pfw_report_text(const struct pfw_report *r, FILE *to,
		    struct pfw_error *err);

#endif
