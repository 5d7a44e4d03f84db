/*
 * values.h: option tables, and values checked against them.  The one place that
 * knows types, ranges and the words for both: config files, --set, tools'
 * options and plugins' defaults all come through here.
 */
#ifndef PFW_CORE_VALUES_H
#define PFW_CORE_VALUES_H

#include <pipefw/plugin.h>

#define PFW_VALUE_UNSET 0u
#define PFW_VALUE_DEFAULT 1u
#define PFW_VALUE_GIVEN 2u /**< by a config, a command line, a saved model */

struct pfw_value {
	uint32_t state; /**< PFW_VALUE_* */
	uint32_t n;     /**< elements of list */
	int64_t i;      /**< PFW_OPT_INT, PFW_OPT_BOOL */
	double f;
	char *s;        /**< PFW_OPT_STRING, PFW_OPT_CHOICE */
	double *list;
};

struct pfw_values {
	const struct pfw_option *options; /**< must outlive the values */
	uint32_t n;
	struct pfw_value v[];             /**< [n] */
};

/** Types of a literal: what a value looks like before it is checked. */
#define PFW_LITERAL_INT 1u
#define PFW_LITERAL_FLOAT 2u
#define PFW_LITERAL_BOOL 3u
#define PFW_LITERAL_STRING 4u
#define PFW_LITERAL_LIST 5u  /**< of numbers */
#define PFW_LITERAL_GROUP 6u /**< fits nothing */
#define PFW_LITERAL_OTHER 7u /**< a list of other things; fits nothing */

struct pfw_literal {
	uint32_t type;
	uint32_t n;
	int64_t i;
	double f;
	const char *s;
	const double *list;
};

/** Every option at its default; what has none is unset. */
int pfw_values_new(const struct pfw_option *options, uint32_t n,
		   struct pfw_values **out, struct pfw_error *err);
void pfw_values_free(struct pfw_values *values);

/**
 * Checks and takes a value.  The sentence is "WHAT.NAME must be ALLOWED, found
 * FOUND" (@p what "": no dot); the caller puts file and line in front.
 */
int pfw_values_set(struct pfw_values *values, const char *what, uint32_t index,
		   const struct pfw_literal *literal, struct pfw_error *err);
/** The same from a command line's text: the option's type says how to read it,
 *  and a string needs no quotes. */
int pfw_values_set_text(struct pfw_values *values, const char *what,
			uint32_t index, const char *text,
			struct pfw_error *err);

/** First option that must be given and is not; PFW_NONE: none. */
uint32_t pfw_values_missing(const struct pfw_values *values);

/** Index of an option; PFW_NONE. */
uint32_t pfw_option_find(const struct pfw_option *options, uint32_t n,
			 const char *name);
/** The option that @p word was probably meant to be, or NULL. */
const char *pfw_option_nearest(const struct pfw_option *options, uint32_t n,
			       const char *word);
/** Is the table sound?  Names, types, bounds, defaults, duplicates. */
int pfw_option_check_table(const struct pfw_option *options, uint32_t n,
			   struct pfw_error *err);
/** "int", "float", "bool", "string", "choice", "floats"; NULL. */
const char *pfw_option_type_name(uint32_t type);
/** "an integer from 1 to 8", "one of a, b, c", ... */
void pfw_option_allowed(const struct pfw_option *option, char *buf, size_t len);

#endif
