/* Single settings: typed, checked, or refused with the nearest right one. */
#include "settings/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

static int is_number(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 ||
	       type == CONFIG_TYPE_FLOAT;
}

static double number(const config_setting_t *s)
{
	if (config_setting_type(s) == CONFIG_TYPE_FLOAT)
		return config_setting_get_float(s);
	return (double)config_setting_get_int64(s);
}

/* Numbers of an array or a list into @p list, which has room for them. */
static void read_list(const config_setting_t *s, double *list,
		      struct pfw_literal *out)
{
	unsigned n = (unsigned)config_setting_length(s);
	const config_setting_t *e;

	out->type = PFW_LITERAL_LIST;
	out->n = n;
	out->list = list;
	for (unsigned i = 0; i < n; i++) {
		e = config_setting_get_elem(s, i);
		if (!is_number(e)) {
			out->type = PFW_LITERAL_OTHER;
			return;
		}
		list[i] = number(e);
	}
}

static void read_scalar(const config_setting_t *s, struct pfw_literal *out)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
		out->type = PFW_LITERAL_INT;
		out->i = config_setting_get_int(s);
		break;
	case CONFIG_TYPE_INT64:
		out->type = PFW_LITERAL_INT;
		out->i = config_setting_get_int64(s);
		break;
	case CONFIG_TYPE_FLOAT:
		out->type = PFW_LITERAL_FLOAT;
		out->f = config_setting_get_float(s);
		break;
	case CONFIG_TYPE_BOOL:
		out->type = PFW_LITERAL_BOOL;
		out->i = config_setting_get_bool(s);
		break;
	case CONFIG_TYPE_STRING:
		out->type = PFW_LITERAL_STRING;
		out->s = config_setting_get_string(s);
		break;
	default:
		out->type = PFW_LITERAL_GROUP;
		break;
	}
}

static int take(const char *what, const config_setting_t *setting,
		uint32_t index, struct pfw_values *values,
		struct pfw_error *err)
{
	const char *text = pfw_setting_text(setting);
	struct pfw_literal literal = { 0 };
	double *list;
	int rc;

	if (text)
		return pfw_values_set_text(values, what, index, text, err);
	if (!config_setting_is_array(setting) &&
	    !config_setting_is_list(setting)) {
		read_scalar(setting, &literal);
		return pfw_values_set(values, what, index, &literal, err);
	}
	list = calloc((size_t)config_setting_length(setting) + 1, sizeof(*list));
	if (!list)
		return pfw_error_set(err, ENOMEM, "out of memory");
	read_list(setting, list, &literal);
	rc = pfw_values_set(values, what, index, &literal, err);
	free(list);
	return rc;
}

/* A path is not empty, and holds nothing that would break a line of a log. */
static int take_path(struct pfw_reader *r, const char *what,
		     const config_setting_t *setting, uint32_t index,
		     struct pfw_values *values)
{
	char **at = &values->v[index].s, *path;
	int rc, bad = !**at;

	for (const char *c = *at; *c; c++)
		bad |= (unsigned char)*c < ' ' || *c == 0x7f;
	if (bad)
		return pfw_error_set(r->err, EINVAL, "%s.%s must be a path "
				     "without control characters, not empty",
				     what, values->options[index].name);
	rc = pfw_tree_resolve(r->tree, setting, *at, &path, r->err);
	if (rc)
		return rc;
	free(*at);
	*at = path;
	return 0;
}

int pfw_read_value(struct pfw_reader *r, const char *what,
		   const config_setting_t *setting, uint32_t index,
		   struct pfw_values *values)
{
	int rc = take(what, setting, index, values, r->err);

	if (!rc && (values->options[index].flags & PFW_OPTION_PATH))
		rc = take_path(r, what, setting, index, values);
	if (rc)
		pfw_tree_blame(r->tree, setting, r->err);
	return rc;
}

/* "group.key" of the core's group that has this key. */
static const struct pfw_group *elsewhere(const char *key)
{
	size_t n;
	const struct pfw_group *groups = pfw_config_groups(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(key, "name") != 0 &&
		    pfw_option_find(groups[i].options, groups[i].n_options,
				    key) != PFW_NONE)
			return &groups[i];
	return NULL;
}

#define MOST_KEYS 300u

int pfw_read_unknown(struct pfw_reader *r, const char *what,
		     const config_setting_t *setting,
		     const struct pfw_table *tables, size_t n)
{
	const char *name = config_setting_name(setting), *near;
	const char *words[MOST_KEYS];
	const struct pfw_group *other = elsewhere(name);
	size_t n_words = 0;

	for (size_t t = 0; t < n; t++)
		for (uint32_t i = 0; i < tables[t].n && n_words < MOST_KEYS; i++)
			words[n_words++] = tables[t].options[i].name;
	near = pfw_nearest(name, words, n_words);
	if (other)
		return pfw_tree_refuse(r->tree, setting, r->err, EINVAL, "%s has "
				       "no key \"%s\"; did you mean %s.%s?",
				       what, name, other->name, name);
	if (near)
		return pfw_tree_refuse(r->tree, setting, r->err, EINVAL, "%s has "
				       "no key \"%.80s\"; did you mean \"%s\"?",
				       what, name, near);
	return pfw_tree_refuse(r->tree, setting, r->err, EINVAL, "%s has no key "
			       "\"%.80s\"; see pipefw.cfg(5) or pipefw describe",
			       what, name);
}

int pfw_read_missing(struct pfw_reader *r, const char *what,
		     const config_setting_t *at, const struct pfw_values *values)
{
	uint32_t i = pfw_values_missing(values);
	const struct pfw_option *o;
	char allowed[256];

	if (i == PFW_NONE)
		return 0;
	o = &values->options[i];
	pfw_option_allowed(o, allowed, sizeof(allowed));
	return pfw_tree_refuse(r->tree, at, r->err, EINVAL, "%s.%s must be "
			       "given: %s (%s)", what, o->name, allowed,
			       o->help);
}
