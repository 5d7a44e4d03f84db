/*
 * templates.h: the files of etc/new/ as the program carries them.
 */
#ifndef PFW_CORE_TEMPLATES_H
#define PFW_CORE_TEMPLATES_H

#include <stddef.h>

/**
 * A file of a new project.  "example" in its text and its name stands for the
 * plugin's name, "@kind@" for its kind, "@build@" for the folder of a pipefw that
 * is not installed.
 */
struct pfw_template {
	const char *kind; /**< "": every kind's */
	const char *file;
	const char *text;
};

extern const struct pfw_template pfw_templates[];
extern const size_t pfw_n_templates;

#endif
