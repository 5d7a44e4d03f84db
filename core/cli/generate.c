/* pipefw generate: text from a saved model, through the pipeline. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/available.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "launch/launcher.h"
#include "model/checkpoint.h"
#include "runtime/rank.h"

#define PROMPT_MAX (1u << 20)
#define TOKENS_MAX 1000000
#define DEFAULT_RANKS 2u

static const char usage[] =
	"usage: pipefw generate DIR [option]...\n"
	"Continues a text with the model saved in DIR: a run's folder, its model/,\n"
	"or a folder in Hugging Face's form.\n"
	"  --prompt TEXT     what to continue (default: a line break)\n"
	"  --tokens N        how many tokens to add (default 200)\n"
	"  --temperature T   0: always the likeliest (default 0.8)\n"
	"  --top-k K         only of the K likeliest; 0: all (default 0)\n"
	"  --seed N          the same number, the same text (default 1)\n"
	"  --ranks P         pipeline ranks (default 2, fewer on one core)\n"
	"  --set PATH=VALUE  any other setting of pipefw.cfg(5)\n"
	"  --help            this text\n";

struct options {
	const char *dir, *prompt;
	long tokens, top_k;
	double temperature;
	int help;
};

struct generate {
	struct options opt;
	char model_dir[PATH_MAX], stage[64];
	struct pfw_sets sets;
	struct pfw_registry *registry;
	struct pfw_config *cfg;
	struct pfw_tokenizer *tokenizer;
	struct pfw_job *job;
	int32_t *prompt;
	int terminal;
};

static const struct option long_options[] = {
	{ "prompt", required_argument, NULL, 'p' },
	{ "tokens", required_argument, NULL, 'n' },
	{ "temperature", required_argument, NULL, 't' },
	{ "top-k", required_argument, NULL, 'k' },
	{ "seed", required_argument, NULL, 's' },
	{ "ranks", required_argument, NULL, 'r' },
	{ "set", required_argument, NULL, 'x' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int whole(const char *word, const char *name, long low, long high,
		 long *out, struct pfw_error *err)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(word, &end, 10);
	if (errno || end == word || *end || value < low || value > high)
		return pfw_error_set(err, EINVAL, "--%s must be a whole number "
				     "from %ld to %ld, found \"%.80s\"", name,
				     low, high, word);
	*out = value;
	return 0;
}

static int temperature(const char *word, double *out, struct pfw_error *err)
{
	char *end;
	double value = strtod(word, &end);

	if (end == word || *end || !isfinite(value) || value < 0)
		return pfw_error_set(err, EINVAL, "--temperature must be a "
				     "number, 0 or more, found \"%.80s\"", word);
	*out = value;
	return 0;
}

static int add_set(struct generate *g, const char *option, const char *path,
		   const char *value, struct pfw_error *err)
{
	if (!pfw_sets_add(&g->sets, option, path, value))
		return 0;
	return pfw_error_set(err, ENOMEM, "out of memory");
}

static int take_option(struct generate *g, int c, struct pfw_error *err)
{
	struct options *o = &g->opt;

	switch (c) {
	case 'p':
		o->prompt = optarg;
		return 0;
	case 'n':
		return whole(optarg, "tokens", 1, TOKENS_MAX, &o->tokens, err);
	case 't':
		return temperature(optarg, &o->temperature, err);
	case 'k':
		return whole(optarg, "top-k", 0, INT_MAX, &o->top_k, err);
	case 's':
		return add_set(g, "--seed", "run.seed", optarg, err);
	case 'r':
		return add_set(g, "--ranks", "pipeline.ranks", optarg, err);
	case 'x':
		return add_set(g, "--set", NULL, optarg, err);
	}
	o->help = 1;
	return 0;
}

static int parse(struct generate *g, int argc, char **argv,
		 struct pfw_error *err)
{
	struct options *o = &g->opt;
	int c, rc;

	o->prompt = "\n";
	o->tokens = 200;
	o->temperature = 0.8;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return pfw_option_refuse("generate", long_options, c,
						 argv, err);
		rc = take_option(g, c, err);
		if (rc)
			return rc;
	}
	if (o->help)
		return 0;
	if (optind != argc - 1)
		return pfw_error_set(err, EINVAL, "one folder of a saved model, "
				     "please; see pipefw generate --help");
	o->dir = argv[optind];
	return 0;
}

static int has_file(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return !pfw_path_join(path, sizeof(path), dir, name, NULL) &&
	       !access(path, R_OK);
}

/* What config.json says, or what lies beside it. */
static int open_tokenizer(struct generate *g, const char *name,
			  struct pfw_error *err)
{
	if (!*name && has_file(g->model_dir, "vocab.json") &&
	    has_file(g->model_dir, "merges.txt"))
		name = "gpt2";
	if (!*name)
		return pfw_error_set(err, ENOENT,
				     "%s: no vocab.json and merges.txt here, and "
				     "the model was not trained on bytes: copy "
				     "the two files from where the model comes "
				     "from",
				     g->model_dir);
	return pfw_tokenizer_open(name, g->model_dir, &g->tokenizer, err);
}

static int read_config(struct generate *g, struct pfw_error *err)
{
	char tokenizer[64];
	int rc = pfw_checkpoint_config(g->model_dir, g->stage, sizeof(g->stage),
				       tokenizer, sizeof(tokenizer), err);

	if (!rc && !*g->stage)
		rc = pfw_error_set(err, EINVAL,
				   "%s/config.json: no \"model_type\" in it, so "
				   "it is not known which stage plugin runs the "
				   "model",
				   g->model_dir);
	return rc ? rc : open_tokenizer(g, tokenizer, err);
}

/* What was not said on the command line; the earlier lose to the later. */
static int load_config(struct generate *g, struct pfw_error *err)
{
	uint32_t cores = pfw_cores();
	struct pfw_sets all = { 0 };
	char ranks[16];
	int rc;

	snprintf(ranks, sizeof(ranks), "%u",
		 cores < DEFAULT_RANKS ? cores : DEFAULT_RANKS);
	rc = pfw_sets_add(&all, NULL, "pipeline.ranks", ranks);
	rc |= pfw_sets_add(&all, NULL, "model.stage", g->stage);
	rc |= pfw_sets_add(&all, NULL, "run.init", g->model_dir);
	rc |= pfw_sets_add(&all, NULL, "pipeline.microbatches", "1");
	rc |= pfw_sets_add(&all, NULL, "pipeline.schedule", "gpipe");
	for (size_t i = 0; i < g->sets.n; i++)
		rc |= pfw_sets_add(&all, g->sets.list[i].option, NULL,
				   g->sets.list[i].text);
	if (rc)
		rc = pfw_error_set(err, ENOMEM, "out of memory");
	else
		rc = pfw_config_load(g->registry, NULL, all.list, all.n,
				     &g->cfg, err);
	pfw_sets_clear(&all);
	return rc;
}

static int encode_prompt(struct generate *g, struct pfw_error *err)
{
	size_t len = strlen(g->opt.prompt), n;
	int rc;

	if (!len || len > PROMPT_MAX)
		return pfw_error_set(err, EINVAL,
				     "--prompt: %s", len ? "longer than 1 MiB" :
				     "is empty: give at least one character");
	rc = pfw_tokenizer_encode(g->tokenizer, g->opt.prompt, len, &g->prompt,
				  &n, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		if ((uint32_t)g->prompt[i] >= g->job->model->vocab)
			return pfw_error_set(
				err, EINVAL,
				"the prompt has token %d, but the model knows "
				"%u: its tokenizer files are another model's",
				g->prompt[i], g->job->model->vocab);
	g->job->prompt = g->prompt;
	g->job->n_prompt = (uint32_t)n;
	return 0;
}

/* Before the first word is printed. */
static int check_saved(const struct generate *g, struct pfw_error *err)
{
	struct pfw_checkpoint_reader *reader;
	int rc = pfw_checkpoint_open_reader(g->model_dir, g->job->model, NULL,
					    &reader, err);

	if (!rc)
		pfw_checkpoint_close_reader(reader);
	return rc;
}

static int prepare(struct generate *g, struct pfw_error *err)
{
	struct pfw_job_options how = { .generate = 1 };
	int rc;

	if (pfw_checkpoint_model_dir(g->opt.dir, g->model_dir,
				     sizeof(g->model_dir), err))
		return PFW_EXIT_CHECKPOINT;
	if (pfw_registry_open(NULL, &g->registry, err))
		return PFW_EXIT_PLUGIN;
	if (read_config(g, err))
		return PFW_EXIT_CHECKPOINT;
	rc = load_config(g, err);
	if (rc)
		return pfw_cli_config_status(rc);
	how.cfg = g->cfg;
	rc = pfw_job_open(&how, &g->job, err);
	if (rc)
		return pfw_cli_config_status(rc);
	if (check_saved(g, err))
		return PFW_EXIT_CHECKPOINT;
	g->job->tokenizer = g->tokenizer;
	g->job->n_tokens = (uint32_t)g->opt.tokens;
	g->job->temperature = g->opt.temperature;
	g->job->top_k = (uint32_t)g->opt.top_k;
	return encode_prompt(g, err) ? PFW_EXIT_CONFIG : 0;
}

/* On a terminal, nothing of the text may be taken for a command to it. */
static void print_text(const struct generate *g, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (g->terminal && c != '\n' && c != '\t' &&
		    (c < 0x20 || c == 0x7f))
			c = '?';
		putchar(c);
	}
	fflush(stdout);
}

static void on_event(void *context, const struct pfw_event *event)
{
	struct generate *g = context;
	const char *text;
	size_t len;

	if (event->type != PFW_EVENT_TOKEN)
		return;
	text = pfw_tokenizer_token(g->tokenizer, event->code, &len);
	if (text)
		print_text(g, text, len);
}

static void on_note(void *context, const char *text)
{
	(void)context;
	fprintf(stderr, "%s\n", text);
}

static int rank_main(void *context, struct pfw_boot *boot)
{
	struct generate *g = context;

	return pfw_rank_main(g->job, boot);
}

static int generate(struct generate *g, struct pfw_error *err)
{
	struct pfw_launch how = {
		.ranks = g->cfg->pipeline.ranks,
		.ranks_per_process = g->cfg->pipeline.ranks_per_process,
		.threads = g->cfg->threads,
		.timeout = g->cfg->run.timeout,
		.rank_main = rank_main,
		.on_event = on_event,
		.on_note = on_note,
		.context = g,
	};
	struct pfw_launch_result *result = calloc(1, sizeof(*result));
	int status = PFW_EXIT_BOOT, rc;

	if (!result) {
		pfw_error_set(err, ENOMEM, "out of memory");
		return PFW_EXIT_RESOURCES;
	}
	rc = pfw_job_fits(g->job, pfw_available_bytes(), err);
	if (!rc)
		rc = pfw_job_ready(g->job, err);
	if (rc) {
		free(result);
		return pfw_cli_config_status(rc);
	}
	print_text(g, g->opt.prompt, strlen(g->opt.prompt));
	if (!pfw_launch(&how, result, err)) {
		putchar('\n');
		status = result->status;
		if (status)
			fprintf(stderr, "pipefw: FAILED: %s\n", result->text);
		else if (result->signal)
			status = 128 + result->signal;
	}
	free(result);
	return status;
}

static void close_generate(struct generate *g)
{
	free(g->prompt);
	pfw_job_close(g->job);
	pfw_config_free(g->cfg);
	pfw_tokenizer_close(g->tokenizer);
	pfw_registry_close(g->registry);
	pfw_sets_clear(&g->sets);
}

int pfw_cli_generate(int argc, char **argv)
{
	struct generate g = { .terminal = isatty(STDOUT_FILENO) };
	struct pfw_error err = { 0 };
	const char *speaker = "pipefw";
	int status = PFW_EXIT_CONFIG;

	if (parse(&g, argc, argv, &err)) {
		speaker = "pipefw generate";
	} else if (g.opt.help) {
		fputs(usage, stdout);
		status = PFW_EXIT_OK;
	} else {
		status = prepare(&g, &err);
		if (!status)
			status = generate(&g, &err);
	}
	if (err.code)
		fprintf(stderr, "%s: %s\n", speaker, err.text);
	close_generate(&g);
	return status;
}
