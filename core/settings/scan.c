#include "settings/scan.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* A config of ours is four deep; libconfig's parser gives up at thousands. */
#define DEEPEST 32

/* A longer number than any type holds. */
#define LONGEST_NUMBER 400

struct scanner {
	const char *at, *end;
	const char *path;
	unsigned line;
	unsigned depth;
	int in_array;     /* after a '[' */
	char first[32];   /* number of that array; empty: none yet */
	int first_real;
	struct pfw_error *err;
};

/* Always -EINVAL. */
static int refuse(const struct scanner *s, const char *what)
{
	return pfw_error_set(s->err, EINVAL, "%s:%u: %s", s->path, s->line,
			     what);
}

static int is(const struct scanner *s, size_t ahead, char c)
{
	return (size_t)(s->end - s->at) > ahead && s->at[ahead] == c;
}

static void step(struct scanner *s)
{
	if (*s->at == '\n')
		s->line++;
	s->at++;
}

static void skip_line(struct scanner *s)
{
	while (s->at < s->end && *s->at != '\n')
		s->at++;
}

static int skip_comment(struct scanner *s)
{
	unsigned from = s->line;

	for (s->at += 2; s->at < s->end; step(s))
		if (is(s, 0, '*') && is(s, 1, '/')) {
			s->at += 2;
			return 0;
		}
	s->line = from;
	return refuse(s, "a comment begins with /* and does not end");
}

static int skip_string(struct scanner *s)
{
	for (s->at++; s->at < s->end && *s->at != '\n'; s->at++) {
		if (*s->at == '"') {
			s->at++;
			return 0;
		}
		if (*s->at != '\\' || s->at + 1 == s->end)
			continue;
		if (is(s, 1, 'x') && is(s, 2, '0') && is(s, 3, '0'))
			return refuse(s, "\\x00 would end the string");
		s->at += s->at[1] != '\n';
	}
	return refuse(s, "a string begins with \" and does not end on its line");
}

static size_t number_length(const struct scanner *s)
{
	const char *c = s->at + (*s->at == '+' || *s->at == '-');
	int hex = s->end - c > 2 && c[0] == '0' && (c[1] == 'x' || c[1] == 'X');

	while (c < s->end && (isalnum((unsigned char)*c) || *c == '.' ||
			      ((*c == '+' || *c == '-') && !hex &&
			       (c[-1] == 'e' || c[-1] == 'E'))))
		c++;
	return (size_t)(c - s->at);
}

/* An integer literal: what libconfig puts into 32 bits unless there is an L. */
static int check_integer(struct scanner *s, const char *word, const char *tail)
{
	long long n;

	errno = 0;
	n = strtoll(word, NULL, 0);
	if (errno == ERANGE)
		return pfw_error_set(s->err, EINVAL, "%s:%u: %s does not fit in "
				     "64 bits", s->path, s->line, word);
	if (!*tail && (n > INT_MAX || n < INT_MIN))
		return pfw_error_set(s->err, EINVAL, "%s:%u: %s does not fit in "
				     "32 bits; write %sL", s->path, s->line,
				     word, word);
	return 0;
}

/* libconfig takes no integer among numbers with a point, nor the reverse, and
 * would say no more than that something is mixed. */
static int check_array(struct scanner *s, const char *word, int real)
{
	const char *whole = real ? s->first : word;

	if (!s->in_array)
		return 0;
	if (!*s->first) {
		snprintf(s->first, sizeof(s->first), "%s", word);
		s->first_real = real;
		return 0;
	}
	if (real == s->first_real)
		return 0;
	return pfw_error_set(s->err, EINVAL, "%s:%u: an array has either whole "
			     "numbers alone or none, and here are %s and %s: "
			     "write %s.0", s->path, s->line, s->first, word,
			     whole);
}

static int check_number(struct scanner *s)
{
	static const char digits[] = "0123456789";
	static const char hex_digits[] = "0123456789abcdefABCDEF";
	size_t len = number_length(s), sign, span;
	char word[LONGEST_NUMBER];
	const char *tail;
	int rc = 0;

	if (len >= sizeof(word))
		return refuse(s, "a number of more than 399 characters");
	memcpy(word, s->at, len);
	word[len] = '\0';
	s->at += len;
	sign = word[0] == '+' || word[0] == '-';
	if (word[sign] == '0' && (word[sign + 1] == 'x' ||
				  word[sign + 1] == 'X')) {
		span = sign + 2 + strspn(word + sign + 2, hex_digits);
	} else {
		/* strtoll() would take it for octal, libconfig does not. */
		while (word[sign] == '0' && isdigit((unsigned char)word[sign + 1]))
			memmove(word + sign, word + sign + 1, len-- - sign);
		span = sign + strspn(word + sign, digits);
	}
	tail = word + span;
	if (!*tail)
		rc = check_array(s, word, 0);
	if (!*tail || !strcmp(tail, "L") || !strcmp(tail, "LL"))
		return rc ? rc : check_integer(s, word, tail);
	if (!isfinite(strtod(word, NULL)))
		return pfw_error_set(s->err, EINVAL, "%s:%u: %s is too large for "
				     "a number", s->path, s->line, word);
	return check_array(s, word, 1);
}

static int check_token(struct scanner *s)
{
	char c = *s->at;

	if (c == '#' || (c == '/' && is(s, 1, '/'))) {
		skip_line(s);
		return 0;
	}
	if (c == '/' && is(s, 1, '*'))
		return skip_comment(s);
	if (c == '"')
		return skip_string(s);
	if (c == '@')
		return refuse(s, "@include is not taken: a config is one file; "
			      "what varies can be given with --set");
	if (isalpha((unsigned char)c) || c == '*') {
		while (s->at < s->end && (isalnum((unsigned char)*s->at) ||
					  strchr("-_*", *s->at)))
			s->at++;
		return 0;
	}
	if (isdigit((unsigned char)c) || strchr("+-.", c))
		return check_number(s);
	if (strchr("{([", c) && ++s->depth > DEEPEST)
		return refuse(s, "groups and lists nested more than 32 deep");
	if (strchr("})]", c) && s->depth)
		s->depth--;
	if (strchr("{([})]", c)) {
		s->in_array = c == '[';
		*s->first = '\0';
	}
	step(s);
	return 0;
}

static int check_bytes(struct scanner *s)
{
	uint32_t c;
	size_t n;

	if (s->end - s->at >= 3 && !memcmp(s->at, "\xef\xbb\xbf", 3))
		return refuse(s, "begins with a byte order mark; save it as "
			      "UTF-8 without one");
	while (s->at < s->end) {
		if (!*s->at)
			return refuse(s, "a NUL byte: this is no text file");
		n = pfw_utf8_get(s->at, (size_t)(s->end - s->at), &c);
		if (!n)
			return refuse(s, "bytes that are not UTF-8");
		if (*s->at == '\n')
			s->line++;
		s->at += n;
	}
	return 0;
}

int pfw_config_scan(const char *text, size_t len, const char *path,
		    struct pfw_error *err)
{
	struct scanner s = { .at = text, .end = text + len, .path = path,
			     .line = 1, .err = err };
	int rc;

	rc = check_bytes(&s);
	s.at = text;
	s.line = 1;
	while (!rc && s.at < s.end)
		rc = check_token(&s);
	return rc;
}
