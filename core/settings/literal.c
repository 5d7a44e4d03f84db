#include "settings/literal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS "0123456789"

static int read_int(const char *text, int64_t *out)
{
	const char *digits = text + (*text == '-' || *text == '+');
	int base = 10;
	char *end;
	long long n;

	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
		base = 16;
	/* strtoll would pass over blanks, and a second sign. */
	if (!isxdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, base);
	if (errno || end == digits)
		return -EINVAL;
	if (*end == 'L')
		end += end[1] == 'L' ? 2 : 1;
	if (*end)
		return -EINVAL;
	*out = n;
	return 0;
}

/* [sign] digits [. digits] [e [sign] digits], with a digit in the mantissa. */
static size_t float_span(const char *text)
{
	const char *c = text + (*text == '-' || *text == '+');
	size_t whole = strspn(c, DIGITS), part = 0, power;

	c += whole;
	if (*c == '.') {
		part = strspn(c + 1, DIGITS);
		c += 1 + part;
	}
	if (!whole && !part)
		return 0;
	if (*c == 'e' || *c == 'E') {
		size_t sign = c[1] == '-' || c[1] == '+';

		power = strspn(c + 1 + sign, DIGITS);
		if (!power)
			return 0;
		c += 1 + sign + power;
	}
	return (size_t)(c - text);
}

static int read_float(const char *text, size_t *len, double *out)
{
	double x;

	*len = float_span(text);
	if (!*len)
		return -EINVAL;
	x = strtod(text, NULL);
	if (!isfinite(x))
		return -EINVAL;
	*out = x;
	return 0;
}

/* "[a, b]", "a, b" or "a b". */
static int read_list(const char *text, double *list, uint32_t *n)
{
	const char *c = text + strspn(text, " \t");
	int bracket = *c == '[';
	size_t len;

	*n = 0;
	c += bracket;
	for (;;) {
		c += strspn(c, " \t");
		if (!*c || *c == ']')
			break;
		if (*n == PFW_LITERAL_LIST_MAX || read_float(c, &len, &list[*n]))
			return -EINVAL;
		c += len;
		if (*c && !strchr(" \t,]", *c))
			return -EINVAL;
		c += strspn(c, " \t");
		c += *c == ',';
		++*n;
	}
	if ((*c == ']') != bracket || (bracket && c[1]))
		return -EINVAL;
	return 0;
}

/* Quotes, if there are any, are taken off; \" and \\ are what they stand for. */
static int read_string(const char *text, char *string)
{
	size_t len = strlen(text), n = 0;

	if (len >= PFW_LITERAL_STRING_MAX)
		return -EINVAL;
	if (*text != '"') {
		memcpy(string, text, len + 1);
		return 0;
	}
	if (len < 2 || text[len - 1] != '"')
		return -EINVAL;
	for (size_t i = 1; i < len - 1; i++) {
		if (text[i] == '\\' && (text[i + 1] == '\\' ||
					(text[i + 1] == '"' && i + 2 < len)))
			i++;
		else if (text[i] == '"')
			return -EINVAL;
		string[n++] = text[i];
	}
	string[n] = '\0';
	return 0;
}

int pfw_literal_read(const char *text, uint32_t type, struct pfw_literal *out,
		     double list[PFW_LITERAL_LIST_MAX],
		     char string[PFW_LITERAL_STRING_MAX])
{
	struct pfw_literal l = { 0 };
	size_t len = 0;
	int rc = -EINVAL;

	switch (type) {
	case PFW_OPT_INT:
		l.type = PFW_LITERAL_INT;
		rc = read_int(text, &l.i);
		break;
	case PFW_OPT_FLOAT:
		l.type = PFW_LITERAL_FLOAT;
		rc = read_float(text, &len, &l.f);
		if (!rc && text[len])
			rc = -EINVAL;
		break;
	case PFW_OPT_BOOL:
		l.type = PFW_LITERAL_BOOL;
		l.i = !strcasecmp(text, "true");
		rc = l.i || !strcasecmp(text, "false") ? 0 : -EINVAL;
		break;
	case PFW_OPT_STRING:
	case PFW_OPT_CHOICE:
		l.type = PFW_LITERAL_STRING;
		l.s = string;
		rc = read_string(text, string);
		break;
	case PFW_OPT_FLOATS:
		l.type = PFW_LITERAL_LIST;
		l.list = list;
		rc = read_list(text, list, &l.n);
		break;
	}
	if (!rc)
		*out = l;
	return rc;
}
