#include "settings/values.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/config.h"
#include "settings/literal.h"

int pfw_values_new(const struct pfw_option *options, uint32_t n,
		   struct pfw_values **out, struct pfw_error *err)
{
	struct pfw_values *values;
	const char *def;
	int rc;

	values = calloc(1, sizeof(*values) + n * sizeof(values->v[0]));
	if (!values)
		return pfw_error_set(err, ENOMEM, "out of memory for options");
	values->options = options;
	values->n = n;
	for (uint32_t i = 0; i < n; i++) {
		def = options[i].def;
		if (!def || !strcmp(def, "!"))
			continue;
		rc = pfw_values_set_text(values, "", i, def, err);
		if (rc) {
			pfw_error_prefix(err, "the default of ");
			pfw_values_free(values);
			return rc;
		}
		values->v[i].state = PFW_VALUE_DEFAULT;
	}
	*out = values;
	return 0;
}

void pfw_values_free(struct pfw_values *values)
{
	if (!values)
		return;
	for (uint32_t i = 0; i < values->n; i++) {
		free(values->v[i].s);
		free(values->v[i].list);
	}
	free(values);
}

static void describe_list(const struct pfw_literal *l, char *buf, size_t len)
{
	size_t at = (size_t)snprintf(buf, len, "[");

	for (uint32_t i = 0; i < l->n && at + 32 < len; i++)
		at += (size_t)snprintf(buf + at, len - at, "%s%.10g",
				       i ? ", " : "", l->list[i]);
	snprintf(buf + at, len - at, "]");
}

static void describe_literal(const struct pfw_literal *l, char *buf, size_t len)
{
	switch (l->type) {
	case PFW_LITERAL_INT:
		snprintf(buf, len, "%" PRId64, l->i);
		break;
	case PFW_LITERAL_FLOAT:
		/* 4.0 is no integer, and shall not look like one. */
		snprintf(buf, len, l->f == floor(l->f) && fabs(l->f) < 1e15 ?
			 "%.1f" : "%.10g", l->f);
		break;
	case PFW_LITERAL_BOOL:
		snprintf(buf, len, "%s", l->i ? "true" : "false");
		break;
	case PFW_LITERAL_STRING:
		if (strlen(l->s) > 80)
			snprintf(buf, len, "a string of %zu bytes", strlen(l->s));
		else
			snprintf(buf, len, "\"%s\"", l->s);
		break;
	case PFW_LITERAL_LIST:
		describe_list(l, buf, len);
		break;
	case PFW_LITERAL_GROUP:
		snprintf(buf, len, "a group");
		break;
	default:
		snprintf(buf, len, "a list");
		break;
	}
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static int refuse(const struct pfw_option *o, const char *what,
		  const char *found, struct pfw_error *err)
{
	char allowed[256];

	pfw_option_allowed(o, allowed, sizeof(allowed));
	return pfw_error_set(err, EINVAL, "%s%s%s must be %s, found %s", what,
			     *what ? "." : "", o->name, allowed, found);
}

static int in_range(const struct pfw_option *o, double x)
{
	if (!isfinite(x))
		return 0;
	return (o->min == 0 && o->max == 0) || (x >= o->min && x <= o->max);
}

static int is_choice(const struct pfw_option *o, const char *word)
{
	size_t len = strlen(word);

	for (const char *c = o->choices; c; c = strchr(c, '|')) {
		if (*c == '|')
			c++;
		if (!strncmp(c, word, len) && (c[len] == '|' || !c[len]))
			return len > 0;
	}
	return 0;
}

/* Whether the literal will do for the option, after an int became a float. */
static int fits(const struct pfw_option *o, const struct pfw_literal *l)
{
	switch (o->type) {
	case PFW_OPT_INT:
		return l->type == PFW_LITERAL_INT && in_range(o, (double)l->i);
	case PFW_OPT_FLOAT:
		return l->type == PFW_LITERAL_FLOAT && in_range(o, l->f);
	case PFW_OPT_BOOL:
		return l->type == PFW_LITERAL_BOOL;
	case PFW_OPT_STRING:
		return l->type == PFW_LITERAL_STRING;
	case PFW_OPT_CHOICE:
		return l->type == PFW_LITERAL_STRING && is_choice(o, l->s);
	case PFW_OPT_FLOATS:
		if (l->type != PFW_LITERAL_LIST)
			return 0;
		for (uint32_t i = 0; i < l->n; i++)
			if (!in_range(o, l->list[i]))
				return 0;
		return 1;
	}
	return 0;
}

static void *copy_of(const void *from, size_t bytes)
{
	void *to = malloc(bytes ? bytes : 1);

	if (to && bytes)
		memcpy(to, from, bytes);
	return to;
}

/* An integer will do for a number, a number for a list: of one, in @p one. */
static struct pfw_literal widened(const struct pfw_option *o,
				  const struct pfw_literal *literal, double *one)
{
	struct pfw_literal l = *literal;

	if (l.type != PFW_LITERAL_INT && l.type != PFW_LITERAL_FLOAT)
		return l;
	*one = l.type == PFW_LITERAL_INT ? (double)l.i : l.f;
	if (o->type == PFW_OPT_FLOAT) {
		l.type = PFW_LITERAL_FLOAT;
		l.f = *one;
	} else if (o->type == PFW_OPT_FLOATS) {
		l.type = PFW_LITERAL_LIST;
		l.n = 1;
		l.list = one;
	}
	return l;
}

int pfw_values_set(struct pfw_values *values, const char *what, uint32_t index,
		   const struct pfw_literal *literal, struct pfw_error *err)
{
	const struct pfw_option *o = &values->options[index];
	struct pfw_value new = { .state = PFW_VALUE_GIVEN };
	struct pfw_literal l;
	char found[128];
	double one;
	void *copy = NULL;

	l = widened(o, literal, &one);
	if (!fits(o, &l)) {
		describe_literal(literal, found, sizeof(found));
		return refuse(o, what, found, err);
	}
	new.i = l.i;
	new.f = l.f;
	if (l.type == PFW_LITERAL_STRING)
		new.s = copy = copy_of(l.s, strlen(l.s) + 1);
	if (l.type == PFW_LITERAL_LIST) {
		new.n = l.n;
		new.list = copy = copy_of(l.list, l.n * sizeof(*l.list));
	}
	if (!copy && (l.type == PFW_LITERAL_STRING ||
		      l.type == PFW_LITERAL_LIST))
		return pfw_error_set(err, ENOMEM, "out of memory for %s",
				     o->name);
	free(values->v[index].s);
	free(values->v[index].list);
	values->v[index] = new;
	return 0;
}

int pfw_values_set_text(struct pfw_values *values, const char *what,
			uint32_t index, const char *text, struct pfw_error *err)
{
	const struct pfw_option *o = &values->options[index];
	struct pfw_literal l = { 0 };
	double list[PFW_LITERAL_LIST_MAX];
	char string[PFW_LITERAL_STRING_MAX];
	char found[128];
	int rc;

	rc = pfw_literal_read(text, o->type, &l, list, string);
	if (!rc)
		return pfw_values_set(values, what, index, &l, err);
	l.type = PFW_LITERAL_STRING;
	l.s = text;
	describe_literal(&l, found, sizeof(found));
	return refuse(o, what, found, err);
}

uint32_t pfw_values_missing(const struct pfw_values *values)
{
	for (uint32_t i = 0; i < values->n; i++)
		if (values->v[i].state == PFW_VALUE_UNSET &&
		    values->options[i].def && !strcmp(values->options[i].def, "!"))
			return i;
	return PFW_NONE;
}

/* The value if it is set and of this type. */
static const struct pfw_value *value(const struct pfw_values *v,
				     const char *name, uint32_t type)
{
	uint32_t i = v ? pfw_option_find(v->options, v->n, name) : PFW_NONE;

	if (i == PFW_NONE || v->v[i].state == PFW_VALUE_UNSET)
		return NULL;
	if (type && v->options[i].type != type)
		return NULL;
	return &v->v[i];
}

int pfw_value_set(const struct pfw_values *v, const char *name)
{
	return value(v, name, 0) != NULL;
}

int64_t pfw_value_int(const struct pfw_values *v, const char *name)
{
	const struct pfw_value *x = value(v, name, PFW_OPT_INT);

	return x ? x->i : 0;
}

double pfw_value_float(const struct pfw_values *v, const char *name)
{
	const struct pfw_value *x = value(v, name, PFW_OPT_FLOAT);

	return x ? x->f : 0.0;
}

int pfw_value_bool(const struct pfw_values *v, const char *name)
{
	const struct pfw_value *x = value(v, name, PFW_OPT_BOOL);

	return x ? x->i != 0 : 0;
}

const char *pfw_value_string(const struct pfw_values *v, const char *name)
{
	const struct pfw_value *x = value(v, name, PFW_OPT_STRING);

	if (!x)
		x = value(v, name, PFW_OPT_CHOICE);
	return x ? x->s : NULL;
}

double pfw_value_floats(const struct pfw_values *v, const char *name,
			uint32_t i, uint32_t *n)
{
	const struct pfw_value *x = value(v, name, PFW_OPT_FLOATS);

	if (n)
		*n = x ? x->n : 0;
	return x && i < x->n ? x->list[i] : 0.0;
}

/* One "name=value". */
static int set_pair(struct pfw_values *values, const char *what,
		    const char *pair, struct pfw_error *err)
{
	const char *equals = strchr(pair, '='), *near;
	char name[64];
	uint32_t index;
	int len;

	if (!equals)
		return pfw_error_set(err, EINVAL,
				     "%s: \"%s\" is not NAME=VALUE", what, pair);
	len = (int)(equals - pair);
	if (len >= (int)sizeof(name))
		len = sizeof(name) - 1;
	snprintf(name, sizeof(name), "%.*s", len, pair);
	index = pfw_option_find(values->options, values->n, name);
	if (index != PFW_NONE)
		return pfw_values_set_text(values, what, index, equals + 1, err);
	near = pfw_option_nearest(values->options, values->n, name);
	if (near)
		return pfw_error_set(err, EINVAL, "%s has no option \"%s\"; did "
				     "you mean \"%s\"?", what, name, near);
	return pfw_error_set(err, EINVAL, "%s has no option \"%s\"", what, name);
}

int pfw_values_from_texts(const struct pfw_option *options, uint32_t n_options,
			  const char *what, const char *const *pairs, size_t n,
			  struct pfw_values **out, struct pfw_error *err)
{
	struct pfw_values *values;
	uint32_t missing;
	int rc;

	rc = pfw_values_new(options, n_options, &values, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < n && !rc; i++)
		rc = set_pair(values, what, pairs[i], err);
	missing = pfw_values_missing(values);
	if (!rc && missing != PFW_NONE)
		rc = pfw_error_set(err, EINVAL, "%s needs a value for %s", what,
				   options[missing].name);
	if (rc)
		pfw_values_free(values);
	else
		*out = values;
	return rc;
}
