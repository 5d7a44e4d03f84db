/* pipefw conform: a plugin held to what its header promises. */
#include "cli/cli.h"

#include <errno.h>
#include <pipefw/json.h>
#include <string.h>

#include "cli/text.h"
#include "conform/conform.h"
#include "plugin/loader.h"
#include "settings/config.h"

static const char help[] =
	"usage: pipefw conform [--json] [--check NAME] [--set OPTION=VALUE]... "
	"PLUGIN\n\n"
	"Asks of a plugin what its header promises, each check in a process of its\n"
	"own: a schedule, a transport, a filter (on the first transport that can\n"
	"run here) or a stage.  PLUGIN is a path with a slash, a name, or\n"
	"KIND:NAME.  The exit status is 3 if anything is refused.\n\n"
	"  --json    one JSON object a check: plugin, kind, check, result (holds,\n"
	"            refused, skipped, died or hung), found, contract, advice,\n"
	"            seconds\n"
	"  --check   that check alone\n"
	"  --set     an option of the plugin\n";

struct job {
	struct pfw_loading loading;
	int json;
	const char *word;
	const char *only; /* the name of a check; NULL: all */
	size_t counts[PFW_CHECK_HUNG + 1];
	size_t not_asked;
};

static const char *result_word(const struct job *job, uint32_t result)
{
	static const char *const words[][2] = {
		[PFW_CHECK_HOLDS] = { "holds", "holds" },
		[PFW_CHECK_REFUSED] = { "REFUSED", "refused" },
		[PFW_CHECK_SKIPPED] = { "skipped", "skipped" },
		[PFW_CHECK_DIED] = { "DIED", "died" },
		[PFW_CHECK_HUNG] = { "HUNG", "hung" },
	};

	return words[result][job->json];
}

static void print_member(const char *name, const char *value)
{
	printf(", \"%s\": ", name);
	if (value && *value)
		pfw_json_print(stdout, value);
	else
		fputs("null", stdout);
}

static void print_json(const struct job *job, const struct pfw_check *check)
{
	const struct pfw_verdict *v = job->loading.trial.verdict;
	int bad = v->result != PFW_CHECK_HOLDS && v->result != PFW_CHECK_SKIPPED;

	fputs("{\"plugin\": ", stdout);
	pfw_json_print(stdout, job->word);
	print_member("kind", pfw_kind_name(job->loading.kind));
	print_member("check", check->name);
	print_member("result", result_word(job, v->result));
	print_member("found", v->found.text);
	print_member("contract", check->contract);
	print_member("advice", bad ? check->advice : NULL);
	printf(", \"seconds\": %.3f}\n", v->seconds);
}

static void print_part(const char *name, const char *text)
{
	printf("            %-9s ", name);
	pfw_text_wrap(stdout, 22, text);
}

static void print_text(const struct job *job, const struct pfw_check *check)
{
	const struct pfw_verdict *v = job->loading.trial.verdict;

	printf("  %-8s  %s\n", result_word(job, v->result), check->name);
	if (v->result == PFW_CHECK_HOLDS)
		return;
	if (v->result == PFW_CHECK_SKIPPED) {
		print_part("because", v->found.text);
		return;
	}
	print_part("found", v->found.text);
	print_part("contract", check->contract);
	if (v->result == PFW_CHECK_DIED)
		print_part("", "pipefw/base.h: it never aborts and never exits");
	print_part("to do", check->advice);
	if (v->result == PFW_CHECK_DIED)
		print_part("", "look at it by gdb -ex 'set follow-fork-mode "
			   "child' -ex run --args pipefw conform ...");
}

/* Runs one; an exit status where no process could be made. */
static int run_one(struct job *job, const struct pfw_check *check, int quiet)
{
	struct pfw_verdict *v = job->loading.trial.verdict;
	struct pfw_error err = { 0 };

	if (pfw_check_run(check, &job->loading.trial, &err)) {
		fprintf(stderr, "pipefw conform: %s\n", err.text);
		return PFW_EXIT_RESOURCES;
	}
	if (quiet)
		return 0;
	job->counts[v->result]++;
	if (job->json)
		print_json(job, check);
	else
		print_text(job, check);
	fflush(stdout);
	return 0;
}

static size_t n_bad(const struct job *job)
{
	return job->counts[PFW_CHECK_REFUSED] + job->counts[PFW_CHECK_DIED] +
	       job->counts[PFW_CHECK_HUNG];
}

static void print_counts(const struct job *job)
{
	if (job->json)
		return;
	printf("%zu hold, %zu refused", job->counts[PFW_CHECK_HOLDS],
	       n_bad(job));
	if (job->counts[PFW_CHECK_SKIPPED])
		printf(", %zu skipped", job->counts[PFW_CHECK_SKIPPED]);
	if (job->not_asked)
		printf(", %zu not asked before these hold", job->not_asked);
	putchar('\n');
}

#define MOST_CHECKS 64u

static int check_only(const struct job *job, const struct pfw_suite *suite)
{
	const char *words[MOST_CHECKS];
	size_t n = 0;

	for (size_t i = 0; job->only && i < suite->n; i++) {
		if (!strcmp(suite->checks[i]->name, job->only))
			return 0;
		if (n < MOST_CHECKS)
			words[n++] = suite->checks[i]->name;
	}
	return job->only ? pfw_text_unknown("conform", "check", job->only, words,
					    n) : 0;
}

static int run_suite(struct job *job, const struct pfw_suite *suite)
{
	struct pfw_trial *t = &job->loading.trial;
	struct pfw_values *values;
	struct pfw_error err = { 0 };
	int status = check_only(job, suite);

	if (status)
		return status;
	if (pfw_values_from_texts(t->plugin->info.options,
				  t->plugin->info.n_options,
				  t->plugin->info.name, t->sets, t->n_sets,
				  &values, &err)) {
		fprintf(stderr, "pipefw conform: %s\n", err.text);
		return PFW_EXIT_CONFIG;
	}
	t->values = values;
	for (size_t i = 0; !status && i < suite->n; i++) {
		if (i == suite->n_basic && n_bad(job)) {
			job->not_asked = suite->n - i;
			break;
		}
		if (job->only && strcmp(suite->checks[i]->name, job->only) != 0)
			continue;
		status = run_one(job, suite->checks[i], 0);
	}
	pfw_values_free(values);
	return status;
}

/*
 * The plugin of this kind: *found 0 where there is none.  It is loaded in another
 * process first, for what it may do to its own.
 */
static int conform(struct job *job, uint32_t kind, const char *name, int *found)
{
	const struct pfw_suite *suite = pfw_suite_of(kind);
	struct pfw_trial *t = &job->loading.trial;
	int status;

	job->loading.kind = kind;
	job->loading.name = name;
	status = run_one(job, &pfw_check_loads, 1);
	*found = status || t->verdict->found.code != ENOENT ||
		 strchr(name, '/');
	if (status || !*found)
		return status;
	if (!suite) {
		fprintf(stderr, "pipefw conform: there is no suite for a %s: "
			"schedules, transports, filters and stages have one\n",
			pfw_kind_name(kind));
		return PFW_EXIT_CONFIG;
	}
	memset(job->counts, 0, sizeof(job->counts));
	job->not_asked = 0;
	if (!job->json)
		printf("%s %s\n", pfw_kind_name(kind), name);
	/* What is still in the buffer must not be in two processes. */
	fflush(stdout);
	status = run_one(job, &pfw_check_loads, 0);
	if (!status && t->verdict->result == PFW_CHECK_HOLDS &&
	    !pfw_registry_get(t->registry, kind, name, &t->plugin, NULL))
		status = run_suite(job, suite);
	if (!status) {
		print_counts(job);
		status = n_bad(job) ? PFW_EXIT_PLUGIN : PFW_EXIT_OK;
	}
	return status;
}

static int no_such(const char *word)
{
	fprintf(stderr, "pipefw conform: no plugin is called \"%.80s\"; "
		"`pipefw list` shows those that are found\n", word);
	return PFW_EXIT_PLUGIN;
}

/* Every kind's plugin of this name. */
static int conform_name(struct job *job)
{
	int status = PFW_EXIT_OK, any = 0, found, rc;

	for (uint32_t kind = PFW_KIND_SCHEDULE; kind <= PFW_KIND_DEVICE; kind++) {
		rc = conform(job, kind, job->word, &found);
		any |= found;
		if (rc)
			status = rc;
	}
	return any ? status : no_such(job->word);
}

static int conform_word(struct job *job)
{
	const char *slash = strrchr(job->word, '/');
	const char *colon = strchr(job->word, ':');
	char text[PFW_PLUGIN_NAME_MAX];
	uint32_t kind = 0;
	int found, rc;

	if (slash && (pfw_plugin_file_name(slash + 1, &kind, text,
					   sizeof(text)) || !kind)) {
		fprintf(stderr, "pipefw conform: %s: a plugin's file must be "
			"called pipefw-NAME-KIND.so, KIND one of schedule, "
			"transport, filter and stage\n", job->word);
		return PFW_EXIT_CONFIG;
	}
	if (slash)
		return conform(job, kind, job->word, &found);
	if (!colon)
		return conform_name(job);
	snprintf(text, sizeof(text), "%.*s", (int)(colon - job->word), job->word);
	kind = pfw_kind_from_name(text);
	if (!kind)
		return pfw_text_unknown("conform", "kind", text,
					(const char *const[]){ "schedule",
					"transport", "filter", "stage" }, 4);
	rc = conform(job, kind, colon + 1, &found);
	return found ? rc : no_such(job->word);
}

static int parse(struct job *job, int argc, char **argv)
{
	static const char *const options[] = { "--json", "--check", "--set",
					       "--help" };
	struct pfw_trial *t = &job->loading.trial;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			job->json = 1;
		else if (!strcmp(argv[i], "--check") && i + 1 < argc)
			job->only = argv[++i];
		else if (!strcmp(argv[i], "--set") && i + 1 < argc &&
			 t->n_sets < PFW_TRIAL_MAX_SETS)
			t->sets[t->n_sets++] = argv[++i];
		else if (*argv[i] == '-')
			return pfw_text_unknown("conform", "option", argv[i],
						options, 4);
		else if (!job->word)
			job->word = argv[i];
		else
			return pfw_text_unknown("conform", "second word",
						argv[i], NULL, 0);
	}
	if (job->word)
		return 0;
	fputs(help, stderr);
	return PFW_EXIT_CONFIG;
}

int pfw_cli_conform(int argc, char **argv)
{
	struct job job = { .json = 0 };
	struct pfw_trial *t = &job.loading.trial;
	struct pfw_error err = { 0 };
	int status;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return PFW_EXIT_OK;
	}
	status = parse(&job, argc, argv);
	if (status)
		return status;
	t->verdict = pfw_verdict_new();
	if (!t->verdict || pfw_registry_open(NULL, &t->registry, &err)) {
		fprintf(stderr, "pipefw conform: %s\n",
			t->verdict ? err.text : "no memory for the results");
		pfw_verdict_free(t->verdict);
		return PFW_EXIT_RESOURCES;
	}
	status = conform_word(&job);
	pfw_registry_close(t->registry);
	pfw_verdict_free(t->verdict);
	return status;
}
