#include "cli/schedule_args.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char pfw_schedule_usage[] =
"usage: pipefw schedule NAME -p RANKS -m MICROBATCHES [-v CHUNKS]\n"
"           [--set OPTION=VALUE]...\n"
"       pipefw schedule FILE.csv\n"
"options of both:\n"
"           [--cost F=1,I=1,W=1] [--hop TIME] [--format text|csv] [--header]\n"
"\n"
"Draws a schedule as it runs: one row for each rank, F forward, B backward,\n"
"I and W its two halves (input and weight gradients).  Costs are those of all\n"
"layers of a rank, as multiples of a unit or with ns, us, ms or s.  The csv form\n"
"is PyTorch's, compute only; --header adds comment lines of our own.\n";

enum { OPT_SET = 256, OPT_FORMAT, OPT_HEADER, OPT_COST, OPT_HOP, OPT_HELP };

static int take_count(const char *what, const char *text, uint32_t *out,
		      struct pfw_error *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || !n ||
	    n > 1u << 26)
		return pfw_error_set(err, EINVAL, "%s must be an integer from 1 "
				     "to %u, found \"%s\"", what, 1u << 26, text);
	*out = (uint32_t)n;
	return 0;
}

/* "1.5", or "30us"; a suffix makes milliseconds the unit of everything. */
static int take_time(const char *what, const char *text, size_t len,
		     double *out, int *real, struct pfw_error *err)
{
	static const struct {
		const char *word;
		double ms;
	} units[] = { { "ns", 1e-6 }, { "us", 1e-3 }, { "ms", 1 }, { "s", 1e3 } };
	char word[64], *end;
	double t = -1;

	snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), text);
	t = strtod(word, &end);
	for (size_t i = 0; end != word && *end && i < 4; i++) {
		if (strcmp(end, units[i].word))
			continue;
		t *= units[i].ms;
		*real = 1;
		end += strlen(end);
	}
	if (end == word || *end || !isfinite(t) || t < 0 || t > 1e6)
		return pfw_error_set(err, EINVAL, "%s must be a time such as "
				     "1.5 or 30us, found \"%s\"", what, word);
	*out = t;
	return 0;
}

/* "F=1,I=1.2,W=0.8", any of them, any order. */
static int take_costs(const char *text, struct pfw_schedule_args *args,
		      int *real, struct pfw_error *err)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		double *to = *text == 'F' ? &args->forward :
			     *text == 'I' ? &args->input :
			     *text == 'W' ? &args->weight : NULL;
		int rc;

		if (!to || text[1] != '=')
			return pfw_error_set(err, EINVAL, "--cost takes F, I "
					     "and W, as in F=1,I=1.2,W=0.8; "
					     "found \"%.*s\"", (int)len, text);
		rc = take_time("--cost", text + 2, len - 2, to, real, err);
		if (rc)
			return rc;
		text += len + (text[len] == ',');
	}
	return 0;
}

static int take_option(int option, struct pfw_schedule_args *args, int *real,
		       struct pfw_error *err)
{
	switch (option) {
	case 'p':
		return take_count("-p (ranks)", optarg, &args->ranks, err);
	case 'v':
		return take_count("-v (chunks per rank)", optarg, &args->chunks,
				  err);
	case 'm':
		return take_count("-m (micro-batches)", optarg,
				  &args->microbatches, err);
	case OPT_SET:
		if (args->n_sets == PFW_MAX_SETS)
			return pfw_error_set(err, EINVAL, "--set is given more "
					     "than %u times", PFW_MAX_SETS);
		args->sets[args->n_sets++] = optarg;
		return 0;
	case OPT_FORMAT:
		args->format = optarg;
		if (!strcmp(optarg, "text") || !strcmp(optarg, "csv"))
			return 0;
		return pfw_error_set(err, EINVAL, "--format must be text or csv, "
				     "found \"%s\"", optarg);
	case OPT_COST:
		args->costs_given = 1;
		return take_costs(optarg, args, real, err);
	case OPT_HOP:
		args->costs_given = 1;
		return take_time("--hop", optarg, strlen(optarg), &args->hop,
				 real, err);
	case OPT_HEADER:
		args->header = 1;
		return 0;
	default: /* OPT_HELP */
		args->help = 1;
		return 0;
	}
}

static int ends_with(const char *word, const char *end)
{
	size_t n = strlen(word), k = strlen(end);

	return n > k && !strcmp(word + n - k, end);
}

static int check_complete(const struct pfw_schedule_args *args,
			  struct pfw_error *err)
{
	if (!args->name)
		return pfw_error_set(err, EINVAL, "which schedule? \"pipefw "
				     "list\" has their names");
	if (args->is_file)
		return 0;
	if (!args->ranks)
		return pfw_error_set(err, EINVAL, "-p is missing: the number of "
				     "ranks");
	if (!args->microbatches)
		return pfw_error_set(err, EINVAL, "-m is missing: the number of "
				     "micro-batches in a step");
	return 0;
}

int pfw_schedule_args_parse(int argc, char **argv,
			    struct pfw_schedule_args *out,
			    struct pfw_error *err)
{
	static const struct option options[] = {
		{ "set", required_argument, NULL, OPT_SET },
		{ "format", required_argument, NULL, OPT_FORMAT },
		{ "header", no_argument, NULL, OPT_HEADER },
		{ "cost", required_argument, NULL, OPT_COST },
		{ "hop", required_argument, NULL, OPT_HOP },
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	struct pfw_schedule_args args = {
		.format = "text",
		.forward = 1, .input = 1, .weight = 1,
		.unit_name = "F",
	};
	int option, real = 0, rc;

	optind = 0; /* starts anew, with glibc and musl */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "p:v:m:", options, NULL)) >= 0) {
		if (option == '?')
			return pfw_error_set(err, EINVAL, "\"%s\" is no option, "
					     "or wants a value",
					     argv[optind - 1]);
		rc = take_option(option, &args, &real, err);
		if (rc)
			return rc;
	}
	args.name = argv[optind];
	if (args.name && argv[optind + 1])
		return pfw_error_set(err, EINVAL, "one schedule at a time, found "
				     "\"%s\" after \"%s\"", argv[optind + 1],
				     args.name);
	args.is_file = args.name && ends_with(args.name, ".csv");
	rc = args.help ? 0 : check_complete(&args, err);
	if (rc)
		return rc;
	args.real_time = real;
	if (real || args.forward != 1)
		args.unit_name = real ? "ms" : "units";
	*out = args;
	return 0;
}
