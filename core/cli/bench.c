/* pipefw bench: figures of this machine, pipefw and its peers. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "cli/cli.h"
#include "cli/text.h"

static const char usage[] =
	"usage: pipefw bench [compute|transport [NAME]|train|memory]...\n"
	"                    [option]...\n"
	"Times pipefw beside its peers on this machine, and weighs its runs: no word\n"
	"means everything.\n"
	"  --rounds N     rounds that a median is taken of, 1 to 99 (default 5)\n"
	"  --quick        the smallest models and matrices, few steps\n"
	"  --device NAME  the device plugin (default cpu)\n"
	"  --json         one object a line on standard output\n"
	"  --help         this text\n"
	"NAME is a transport's (default shm).\n"
	"PIPEFW_PYTHON names a Python that has PyTorch (default python3).\n";

enum { COMPUTE, TRANSPORT, TRAIN, MEMORY };

static const struct part {
	const char *name;
	int (*run)(struct pfw_bench *bench, struct pfw_error *err);
} parts[] = {
	[COMPUTE] = { "compute", pfw_bench_compute },
	[TRANSPORT] = { "transport", pfw_bench_transport },
	[TRAIN] = { "train", pfw_bench_train },
	[MEMORY] = { "memory", pfw_bench_memory },
};

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static const struct option long_options[] = {
	{ "rounds", required_argument, NULL, 'r' },
	{ "quick", no_argument, NULL, 'q' },
	{ "device", required_argument, NULL, 'd' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct options {
	struct pfw_bench bench;
	unsigned wanted; /* a bit a part */
	int help;
};

static int set_rounds(struct pfw_bench *bench, const char *word)
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);

	if (*end || end == word || *word == '-' || n < 1 ||
	    n > PFW_BENCH_MAX_ROUNDS) {
		fprintf(stderr, "pipefw bench: --rounds %s: must be an integer "
			"from 1 to %u\n", word, PFW_BENCH_MAX_ROUNDS);
		return -EINVAL;
	}
	bench->rounds = (uint32_t)n;
	return 0;
}

static int take_part(struct options *o, const char *word)
{
	const char *words[N_PARTS];

	for (size_t i = 0; i < N_PARTS; i++) {
		words[i] = parts[i].name;
		if (!strcmp(word, words[i])) {
			o->wanted |= 1u << i;
			return 0;
		}
	}
	pfw_text_unknown("bench", "part", word, words, N_PARTS);
	return -EINVAL;
}

/* The word after "transport" is a transport's name, if no part's. */
static int take_word(struct options *o, const char *word, const char *before)
{
	for (size_t i = 0; i < N_PARTS; i++)
		if (!strcmp(word, parts[i].name))
			return take_part(o, word);
	if (strcmp(before, "transport"))
		return take_part(o, word);
	o->bench.transport = word;
	return 0;
}

static int parse(struct options *o, int argc, char **argv)
{
	int c, rc = 0;

	optind = 0;
	while (!rc && (c = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		switch (c) {
		case 'r':
			rc = set_rounds(&o->bench, optarg);
			break;
		case 'q':
			o->bench.quick = 1;
			break;
		case 'd':
			o->bench.device = optarg;
			break;
		case 'j':
			o->bench.json = 1;
			break;
		case 'h':
			o->help = 1;
			break;
		default:
			rc = -EINVAL;
		}
	for (int i = optind; !rc && i < argc; i++)
		rc = take_word(o, argv[i], i > optind ? argv[i - 1] : "");
	return rc;
}

static int is_wanted(const struct options *o, size_t part)
{
	return !o->wanted || o->wanted & 1u << part;
}

/* Before anything is measured; the parts take what they need themselves. */
static int check_plugins(const struct options *o, struct pfw_error *err)
{
	const struct pfw_bench *bench = &o->bench;
	const struct pfw_loaded *plugin;
	int rc = pfw_registry_get(bench->registry, PFW_KIND_DEVICE,
				  bench->device, &plugin, err);

	if (!rc && is_wanted(o, TRANSPORT))
		rc = pfw_registry_get(bench->registry, PFW_KIND_TRANSPORT,
				      bench->transport, &plugin, err);
	return rc;
}

int pfw_cli_bench(int argc, char **argv)
{
	const char *python = getenv("PIPEFW_PYTHON");
	struct options o = { .bench = { .rounds = 5, .device = "cpu",
				      .transport = "shm" } };
	struct pfw_error err = { 0 };
	int rc, status = PFW_EXIT_PLUGIN;

	if (parse(&o, argc, argv))
		return PFW_EXIT_CONFIG;
	if (o.help) {
		fputs(usage, stdout);
		return PFW_EXIT_OK;
	}
	o.bench.python = python && *python ? python : "python3";
	rc = pfw_registry_open(NULL, &o.bench.registry, &err);
	if (!rc)
		rc = check_plugins(&o, &err);
	if (!rc)
		status = PFW_EXIT_INTERNAL;
	for (size_t i = 0; !rc && i < N_PARTS; i++)
		if (is_wanted(&o, i))
			rc = parts[i].run(&o.bench, &err);
	if (rc)
		fprintf(stderr, "pipefw bench: %s\n", err.text);
	pfw_registry_close(o.bench.registry);
	return rc ? status : PFW_EXIT_OK;
}
