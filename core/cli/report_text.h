/*
 * report_text.h: the report for a terminal.
 */
#ifndef PFW_CORE_REPORT_TEXT_H
#define PFW_CORE_REPORT_TEXT_H

#include "report/report.h"

int pfw_report_text(const struct pfw_report *r, FILE *to,
		    struct pfw_error *err);

#endif
