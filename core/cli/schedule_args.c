#include "cli/schedule_args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/schedule_job.h"

const char pfw_schedule_usage[] =
"usage: pipefw schedule NAME|FILE.csv [OPTION...]\n"
"       pipefw schedule compare [NAME|FILE.csv]... [OPTION...]\n"
"       pipefw schedule diff NAME|FILE.csv NAME|FILE.csv [OPTION...]\n"
"\n"
"Draws, checks and counts a schedule; or several in a table (every schedule there\n"
"is, where none is named); or says where two of them part.\n"
"\n"
"  -p RANKS -m MICROBATCHES   the shape; a file has its own, for what is beside\n"
"                             it too\n"
"  -v CHUNKS                  stages of each rank; 1, or 2 beside others, but 1\n"
"                             for those that take no more\n"
"  --set OPTION=VALUE         an option of the schedule\n"
"  --cost F=1,I=1,W=1         times of all layers of a rank: forward, and the\n"
"                             gradients of inputs and of weights; as multiples of\n"
"                             a unit, or with ns, us, ms or s; or each a list\n"
"                             such as F=1:1:1:3, for each p-th of the model\n"
"  --cost-from DIR            what a traced run took instead, stage by stage,\n"
"                             with its hop, ranks and micro-batches unless given\n"
"  --hop LATENCY[,BANDWIDTH]  from the end of a stage to its output's arrival;\n"
"                             a bandwidth such as 200Gb/s or 25GB/s wants --bytes\n"
"  --bytes N                  of a message, as in 8MiB\n"
"  --memory-cap N             most micro-batches of its layers a rank may keep\n"
"  --format FORMAT            text, csv (PyTorch's, compute only), json, svg or\n"
"                             trace (for Perfetto); text or json for compare\n"
"  --header                   csv begins with comment lines of our own\n";

enum {
	OPT_SET = 256, OPT_FORMAT, OPT_HEADER, OPT_COST, OPT_COST_FROM, OPT_HOP, OPT_BYTES,
	OPT_CAP, OPT_HELP,
};

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

struct unit {
	const char *word;
	double factor;
};

/*
 * A number and one of these units ("" among them: or none).  *used is that
 * unit's place.
 */
static int take_quantity(const char *text, size_t len, const struct unit *units,
			 double *out, size_t *used)
{
	char word[64], *end;
	double n;

	snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), text);
	n = strtod(word, &end);
	if (end == word || !isfinite(n) || n < 0)
		return -EINVAL;
	for (size_t i = 0; units[i].word; i++) {
		if (strcmp(end, units[i].word))
			continue;
		*out = n * units[i].factor;
		*used = i;
		return 0;
	}
	return -EINVAL;
}

/* "1.5", or "30us"; a suffix makes milliseconds the unit of everything. */
static int take_time(const char *what, const char *text, size_t len,
		     double *out, int *real, struct pfw_error *err)
{
	static const struct unit units[] = {
		{ "", 1 }, { "ns", 1e-6 }, { "us", 1e-3 }, { "ms", 1 },
		{ "s", 1e3 }, { NULL, 0 },
	};
	size_t used;

	if (take_quantity(text, len, units, out, &used) || *out > 1e6)
		return pfw_error_set(err, EINVAL, "%s must be a time such as "
				     "1.5 or 30us, found \"%.*s\"", what,
				     (int)(len < 63 ? len : 63), text);
	*real |= used > 0;
	return 0;
}

/* In bytes a millisecond. */
static int take_bandwidth(const char *text, double *out, struct pfw_error *err)
{
	static const struct unit units[] = {
		{ "Gb/s", 1e6 / 8 }, { "GB/s", 1e6 }, { "Mb/s", 1e3 / 8 },
		{ "MB/s", 1e3 }, { NULL, 0 },
	};
	size_t used;

	if (!take_quantity(text, strlen(text), units, out, &used) && *out > 0)
		return 0;
	return pfw_error_set(err, EINVAL, "a bandwidth is written as 200Gb/s or "
			     "25GB/s, found \"%.63s\"", text);
}

static int take_bytes(const char *text, double *out, struct pfw_error *err)
{
	static const struct unit units[] = {
		{ "", 1 }, { "KiB", 1024 }, { "MiB", 1048576 },
		{ "GiB", 1073741824 }, { "kB", 1e3 }, { "MB", 1e6 },
		{ "GB", 1e9 }, { NULL, 0 },
	};
	size_t used;

	if (!take_quantity(text, strlen(text), units, out, &used) && *out < 1e15)
		return 0;
	return pfw_error_set(err, EINVAL, "--bytes must be a size such as 8MiB, "
			     "found \"%.63s\"", text);
}

/* "1", or "1:1:2": a time for each part of the model. */
static int take_parts(const char *text, size_t len, struct pfw_cost_list *out,
		      int *real, struct pfw_error *err)
{
	const char *end = text + len;

	out->n = 0;
	do {
		size_t n = strcspn(text, ":,");
		int rc;

		if (out->n == PFW_MAX_PARTS)
			return pfw_error_set(err, E2BIG, "--cost has more than "
					     "%u times for one type",
					     PFW_MAX_PARTS);
		rc = take_time("--cost", text, n, &out->part[out->n++], real,
			       err);
		if (rc)
			return rc;
		text += n + 1;
	} while (text <= end);
	return 0;
}

/* "F=1,I=1.2,W=0.8", any of them, any order. */
static int take_costs(const char *text, struct pfw_schedule_args *args,
		      int *real, struct pfw_error *err)
{
	static const char letters[] = "FIW";
	unsigned seen = 0;

	do {
		size_t len = strcspn(text, ",");
		const char *letter = memchr(letters, *text, 3);
		unsigned bit;
		int rc;

		if (!letter || text[1] != '=')
			return pfw_error_set(err, EINVAL, "--cost takes F, I "
					     "and W, as in F=1,I=1.2,W=0.8; "
					     "found \"%.*s\"", (int)len, text);
		bit = 1u << (letter - letters);
		if (seen & bit)
			return pfw_error_set(err, EINVAL, "--cost has %c= "
					     "twice: for each p-th of the "
					     "model write %c=1:1:1:3", *letter,
					     *letter);
		seen |= bit;
		rc = take_parts(text + 2, len - 2,
				&args->costs[letter - letters], real, err);
		if (rc)
			return rc;
		text += len + (text[len] == ',');
	} while (*text);
	return 0;
}

/* What makes the time of a message, once both are known. */
struct link {
	double bandwidth; /* bytes a ms; 0: no limit */
	double bytes;
};

static int take_option(int option, struct pfw_schedule_args *args, int *real,
		       struct link *link, struct pfw_error *err)
{
	size_t len;

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
		return 0;
	case OPT_CAP:
		return take_count("--memory-cap", optarg, &args->memory_cap, err);
	case OPT_COST:
		args->costs_given = 1;
		args->costs_listed = 1;
		return take_costs(optarg, args, real, err);
	case OPT_COST_FROM:
		args->costs_given = *real = 1;
		args->cost_from = optarg;
		return 0;
	case OPT_HOP:
		args->costs_given = args->hop_given = 1;
		len = strcspn(optarg, ",");
		if (optarg[len] &&
		    take_bandwidth(optarg + len + 1, &link->bandwidth, err))
			return -EINVAL;
		return take_time("--hop", optarg, len, &args->hop, real, err);
	case OPT_BYTES:
		return take_bytes(optarg, &link->bytes, err);
	case OPT_HEADER:
		args->header = 1;
		return 0;
	default: /* OPT_HELP */
		args->help = 1;
		return 0;
	}
}

/* Which formats a command has. */
static int check_format(const struct pfw_schedule_args *args,
			struct pfw_error *err)
{
	static const struct {
		const char *allowed;
		const char *words[6];
	} formats[] = {
		[PFW_SCHEDULE_SHOW] = { "text, csv, json, svg or trace",
			{ "text", "csv", "json", "svg", "trace" } },
		[PFW_SCHEDULE_COMPARE] = { "text or json", { "text", "json" } },
		[PFW_SCHEDULE_DIFF] = { "text", { "text" } },
	};
	const char *const *words = formats[args->command].words;

	if (args->header && strcmp(args->format, "csv"))
		return pfw_error_set(err, EINVAL, "--header is for --format csv");
	for (size_t i = 0; words[i]; i++)
		if (!strcmp(args->format, words[i]))
			return 0;
	return pfw_error_set(err, EINVAL, "--format must be %s, found \"%s\"",
			     formats[args->command].allowed, args->format);
}

static int check_names(const struct pfw_schedule_args *args,
		       struct pfw_error *err)
{
	if (args->command == PFW_SCHEDULE_DIFF && args->n_names != 2)
		return pfw_error_set(err, EINVAL, "diff takes two schedules, "
				     "found %zu", args->n_names);
	if (args->command == PFW_SCHEDULE_SHOW && !args->n_names)
		return pfw_error_set(err, EINVAL, "which schedule? \"pipefw "
				     "list\" has their names");
	if (args->command == PFW_SCHEDULE_SHOW && args->n_names > 1)
		return pfw_error_set(err, EINVAL, "one schedule at a time, found "
				     "\"%s\" after \"%s\"; several are for "
				     "compare", args->names[1], args->names[0]);
	return 0;
}

static int check_shape(const struct pfw_schedule_args *args,
		       struct pfw_error *err)
{
	size_t files = 0;

	for (size_t i = 0; i < args->n_names; i++)
		files += (size_t)pfw_schedule_is_file(args->names[i]);
	if (files && args->n_sets)
		return pfw_error_set(err, EINVAL, "--set is for schedules; a "
				     "file has no options");
	/* A file's shape is that of what stands beside it. */
	if (files || args->cost_from)
		return 0;
	if (!args->ranks)
		return pfw_error_set(err, EINVAL, "-p is missing: the number of "
				     "ranks");
	if (!args->microbatches)
		return pfw_error_set(err, EINVAL, "-m is missing: the number of "
				     "micro-batches in a step");
	return 0;
}

/* "compare" and "diff" in front are commands; the rest are names. */
static int take_names(char **words, struct pfw_schedule_args *args,
		      struct pfw_error *err)
{
	if (*words && !strcmp(*words, "compare"))
		args->command = PFW_SCHEDULE_COMPARE;
	else if (*words && !strcmp(*words, "diff"))
		args->command = PFW_SCHEDULE_DIFF;
	for (words += args->command != PFW_SCHEDULE_SHOW; *words; words++) {
		if (args->n_names == PFW_MAX_NAMES)
			return pfw_error_set(err, EINVAL, "more than %u "
					     "schedules", PFW_MAX_NAMES);
		args->names[args->n_names++] = *words;
	}
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
		{ "cost-from", required_argument, NULL, OPT_COST_FROM },
		{ "hop", required_argument, NULL, OPT_HOP },
		{ "bytes", required_argument, NULL, OPT_BYTES },
		{ "memory-cap", required_argument, NULL, OPT_CAP },
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	struct pfw_schedule_args args = {
		.format = "text",
		.costs = { { { 1 }, 1 }, { { 1 }, 1 }, { { 1 }, 1 } },
		.unit_name = "F",
	};
	struct link link = { 0 };
	int option, real = 0, rc;

	optind = 0; /* starts anew, with glibc and musl */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":p:v:m:", options, NULL)) >= 0) {
		if (option == '?' || option == ':')
			return pfw_option_refuse("schedule", options, option,
						 argv, err);
		rc = take_option(option, &args, &real, &link, err);
		if (rc)
			return rc;
	}
	rc = take_names(argv + optind, &args, err);
	if (!rc && !args.help)
		rc = check_names(&args, err);
	if (!rc && !args.help)
		rc = check_shape(&args, err);
	if (!rc)
		rc = check_format(&args, err);
	if (!rc && !(link.bandwidth > 0) != !(link.bytes > 0))
		rc = pfw_error_set(err, EINVAL, "a bandwidth (--hop LATENCY,"
				   "BANDWIDTH) and --bytes are given together");
	if (!rc && args.cost_from && args.costs_listed)
		rc = pfw_error_set(err, EINVAL, "--cost and --cost-from: one or "
				   "the other");
	if (rc)
		return rc;
	if (link.bandwidth > 0) {
		args.message = link.bytes / link.bandwidth;
		real = 1;
	}
	args.real_time = real;
	if (real || args.costs[0].n > 1 || args.costs[0].part[0] != 1)
		args.unit_name = real ? "ms" : "units";
	*out = args;
	return 0;
}
