#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

#define MOST_OPTIONS 32u
#define LONGEST 32u

int pfw_sets_add(struct pfw_sets *sets, const char *option, const char *path,
		 const char *value)
{
	struct pfw_set *more;
	char *text;

	more = realloc(sets->list, (sets->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	sets->list = more;
	if (asprintf(&text, "%s%s%s", path ? path : "", path ? "=" : "",
		     value) < 0)
		return -ENOMEM;
	more[sets->n++] = (struct pfw_set){ option, text };
	return 0;
}

void pfw_sets_clear(struct pfw_sets *sets)
{
	for (size_t i = 0; i < sets->n; i++)
		free((char *)(uintptr_t)sets->list[i].text);
	free(sets->list);
	memset(sets, 0, sizeof(*sets));
}

/* "--name", or "-n" of one that has only a letter. */
static void spell(const struct option *options, int val, char *buf, size_t len)
{
	snprintf(buf, len, "-%c", val);
	for (; options->name; options++)
		if (options->val == val)
			snprintf(buf, len, "--%s", options->name);
}

static int refuse_unknown(const char *command, const struct option *options,
			  const char *word, struct pfw_error *err)
{
	char spelt[MOST_OPTIONS][LONGEST];
	const char *words[MOST_OPTIONS], *near;
	char see[64];
	size_t n = 0;

	for (; options->name && n < MOST_OPTIONS; options++, n++) {
		snprintf(spelt[n], LONGEST, "--%s", options->name);
		words[n] = spelt[n];
	}
	near = pfw_nearest(word, words, n);
	snprintf(see, sizeof(see), "see pipefw %s --help", command);
	return pfw_error_set(err, EINVAL, "unknown option \"%.80s\"; %s%s%s",
			     word, near ? "did you mean \"" : see,
			     near ? near : "", near ? "\"?" : "");
}

int pfw_option_refuse(const char *command, const struct option *options, int c,
		      char *const *argv, struct pfw_error *err)
{
	char word[128];

	if (c == ':') {
		spell(options, optopt, word, sizeof(word));
		return pfw_error_set(err, EINVAL, "%s wants a value; see pipefw "
				     "%s --help", word, command);
	}
	/* A long option ends what it stands in; of letters there may be more. */
	snprintf(word, sizeof(word), "%s", argv[optind - 1]);
	word[strcspn(word, "=")] = '\0';
	if (!optopt)
		return refuse_unknown(command, options, word, err);
	if (!strncmp(word, "--", 2))
		return pfw_error_set(err, EINVAL, "%s takes no value, found "
				     "\"%.80s\"", word, argv[optind - 1]);
	snprintf(word, sizeof(word), "-%c", optopt);
	return refuse_unknown(command, options, word, err);
}
