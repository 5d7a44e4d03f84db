/* Option tables themselves: looked up, checked, put into words. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "settings/config.h"
#include "settings/values.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_"

uint32_t pfw_option_find(const struct pfw_option *options, uint32_t n,
			 const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(options[i].name, name))
			return i;
	return PFW_NONE;
}

const char *pfw_option_nearest(const struct pfw_option *options, uint32_t n,
			       const char *word)
{
	const char *names[256];

	if (n > 256)
		n = 256;
	for (uint32_t i = 0; i < n; i++)
		names[i] = options[i].name;
	return pfw_nearest(word, names, n);
}

const char *pfw_option_type_name(uint32_t type)
{
	static const char *const names[] = {
		NULL, "int", "float", "bool", "string", "choice", "floats",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

/* A bound so near to 0 stands for "greater than 0". */
#define NEARLY_NONE 1e-20

static void range_text(const struct pfw_option *o, char *buf, size_t len)
{
	/* 2^63 and more: beyond what an integer can be. */
	double huge = o->type == PFW_OPT_INT ? 9.2e18 : HUGE_VAL;
	int above_0 = o->min > 0 && o->min < NEARLY_NONE;

	if ((o->min == 0 && o->max == 0) ||
	    (o->max >= huge && o->min <= -huge))
		*buf = '\0';
	else if (above_0 && o->max >= huge)
		snprintf(buf, len, " greater than 0");
	else if (above_0)
		snprintf(buf, len, " greater than 0, at most %.15g", o->max);
	else if (o->max >= huge)
		snprintf(buf, len, ", %.15g or more", o->min);
	else if (o->min <= -huge)
		snprintf(buf, len, ", %.15g or less", o->max);
	else
		snprintf(buf, len, " from %.15g to %.15g", o->min, o->max);
}

/* "one of a, b, c" from "a|b|c". */
static void choices_text(const char *choices, char *buf, size_t len)
{
	size_t n = (size_t)snprintf(buf, len, "one of ");

	for (const char *c = choices; *c && n + 3 < len; c++) {
		if (*c != '|') {
			buf[n++] = *c;
			continue;
		}
		buf[n++] = ',';
		buf[n++] = ' ';
	}
	buf[n] = '\0';
}

void pfw_option_allowed(const struct pfw_option *option, char *buf, size_t len)
{
	char range[96];

	range_text(option, range, sizeof(range));
	switch (option->type) {
	case PFW_OPT_INT:
		snprintf(buf, len, "an integer%s", range);
		break;
	case PFW_OPT_FLOAT:
		snprintf(buf, len, "a number%s", range);
		break;
	case PFW_OPT_BOOL:
		snprintf(buf, len, "true or false");
		break;
	case PFW_OPT_CHOICE:
		choices_text(option->choices, buf, len);
		break;
	case PFW_OPT_FLOATS:
		snprintf(buf, len, "a list of numbers%s", range);
		break;
	default:
		snprintf(buf, len, "a string");
		break;
	}
}

static int check_option(const struct pfw_option *o, struct pfw_error *err)
{
	struct pfw_values *values;
	struct pfw_error why = { 0 };
	int rc;

	if (!o->name || !*o->name || strspn(o->name, NAME_CHARS) !=
	    strlen(o->name) || (*o->name >= '0' && *o->name <= '9'))
		return pfw_error_set(err, EBADMSG, "an option is called \"%s\"; "
				     "names are of a-z, 0-9 and _",
				     o->name ? o->name : "");
	if (!pfw_option_type_name(o->type))
		return pfw_error_set(err, EBADMSG, "option %s has the unknown "
				     "type %u", o->name, o->type);
	if (!o->help || !*o->help)
		return pfw_error_set(err, EBADMSG, "option %s has no help",
				     o->name);
	if (o->type == PFW_OPT_CHOICE && (!o->choices || !*o->choices))
		return pfw_error_set(err, EBADMSG, "option %s has no choices",
				     o->name);
	if (isnan(o->min) || isnan(o->max) || o->min > o->max)
		return pfw_error_set(err, EBADMSG, "option %s has bounds %g to "
				     "%g", o->name, o->min, o->max);
	rc = pfw_values_new(o, 1, &values, &why);
	if (rc)
		return pfw_error_set(err, rc == -EINVAL ? EBADMSG : -rc, "%s",
				     why.text);
	pfw_values_free(values);
	return 0;
}

int pfw_option_check_table(const struct pfw_option *options, uint32_t n,
			   struct pfw_error *err)
{
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		rc = check_option(&options[i], err);
		if (rc)
			return rc;
		if (pfw_option_find(options, i, options[i].name) != PFW_NONE)
			return pfw_error_set(err, EBADMSG, "option %s is there "
					     "twice", options[i].name);
	}
	return 0;
}
