/* pipefw describe: the options of plugins and of the config's own groups. */
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <pipefw/json.h>
#include <string.h>

#include "cli/text.h"
#include "plugin/registry.h"
#include "settings/config.h"
#include "settings/values.h"

static const char help[] =
	"usage: pipefw describe [--json] PLUGIN|KIND:PLUGIN|PATH|GROUP\n\n"
	"Says what a plugin is and which options it takes: types, defaults, what\n"
	"is allowed.  Where several kinds have a plugin of that name, all are\n"
	"shown; KIND:PLUGIN names one (schedule, transport, filter, stage,\n"
	"device).  PATH is a plugin's file, with a slash.  GROUP is one of the\n"
	"config's own: run, model, pipeline, transport, device, optimizer, data.\n\n"
	"  --json    one JSON object a line: name, kind, version, summary, path,\n"
	"            options (name, type, default, required, allowed, choices,\n"
	"            min, max, path, help)\n";

/* What is described: a plugin, or a group of the core's. */
struct subject {
	const char *name, *kind, *summary;
	const char *version, *path; /* NULL: a group */
	const char *usage;
	const struct pfw_option *options;
	uint32_t n_options;
};

static const char *usage_of(uint32_t kind)
{
	static const char *const usages[] = {
		[PFW_KIND_SCHEDULE] = "pipeline = { schedule = { name = \"%s\"; "
				      "... }; };",
		[PFW_KIND_TRANSPORT] = "transport = { name = \"%s\"; ... };",
		[PFW_KIND_FILTER] = "transport = { filters = ( { name = \"%s\"; "
				    "... } ); };",
		[PFW_KIND_STAGE] = "model = { stage = \"%s\"; ... };",
		[PFW_KIND_DEVICE] = "device = { name = \"%s\"; ... };",
	};

	return usages[kind];
}

/* Without this the compiler cannot see that usages hold one %s each. */
static void print_usage(const char *usage, const char *name)
{
	const char *at = strstr(usage, "%s");

	printf("%.*s%s%s\n", (int)(at - usage), usage, name, at + 2);
}

static void print_option(const struct pfw_option *o, unsigned column)
{
	char allowed[512], text[1024];
	int path = (o->flags & PFW_OPTION_PATH) != 0;

	printf("  %-*s  ", (int)column - 4, o->name);
	pfw_text_wrap(stdout, column, o->help);
	pfw_option_allowed(o, allowed, sizeof(allowed));
	if (!o->def)
		snprintf(text, sizeof(text), "%s; not set unless given",
			 path ? "a path" : allowed);
	else if (!strcmp(o->def, "!"))
		snprintf(text, sizeof(text), "%s; must be given",
			 path ? "a path" : allowed);
	else
		snprintf(text, sizeof(text), "%s; default %s", allowed, o->def);
	printf("%*s", (int)column, "");
	pfw_text_wrap(stdout, column, text);
}

static void print_text(const struct subject *s)
{
	unsigned longest = 0, len;
	char heading[128];

	snprintf(heading, sizeof(heading), "%s %s%s%s", s->kind, s->name,
		 s->version ? ", version " : "", s->version ? s->version : "");
	pfw_text_heading(stdout, heading);
	printf("  ");
	pfw_text_wrap(stdout, 2, s->summary);
	if (s->path)
		printf("  file:   %s\n", s->path);
	printf("  config: ");
	print_usage(s->usage, s->name);
	for (uint32_t i = 0; i < s->n_options; i++) {
		len = (unsigned)strlen(s->options[i].name);
		longest = len > longest ? len : longest;
	}
	puts(s->n_options ? "" : "\nIt takes no options.");
	for (uint32_t i = 0; i < s->n_options; i++)
		print_option(&s->options[i], longest + 4);
}

static void print_member(const char *before, const char *name, const char *value)
{
	printf("%s\"%s\": ", before, name);
	if (value)
		pfw_json_print(stdout, value);
	else
		fputs("null", stdout);
}

static void print_bound(const char *name, const struct pfw_option *o, double x)
{
	printf(", \"%s\": ", name);
	if ((o->min == 0 && o->max == 0) || !isfinite(x) || fabs(x) >= 9.2e18)
		fputs("null", stdout);
	else
		printf("%.15g", x);
}

static void print_json_option(const struct pfw_option *o)
{
	int required = o->def && !strcmp(o->def, "!");
	char allowed[512];

	pfw_option_allowed(o, allowed, sizeof(allowed));
	print_member("{", "name", o->name);
	print_member(", ", "type", pfw_option_type_name(o->type));
	print_member(", ", "default", required ? NULL : o->def);
	printf(", \"required\": %s", required ? "true" : "false");
	print_member(", ", "allowed", allowed);
	print_member(", ", "choices", o->type == PFW_OPT_CHOICE ? o->choices
								: NULL);
	print_bound("min", o, o->min);
	print_bound("max", o, o->max);
	printf(", \"path\": %s",
	       o->flags & PFW_OPTION_PATH ? "true" : "false");
	print_member(", ", "help", o->help);
	putchar('}');
}

static void print_json(const struct subject *s)
{
	print_member("{", "name", s->name);
	print_member(", ", "kind", s->kind);
	print_member(", ", "version", s->version);
	print_member(", ", "summary", s->summary);
	print_member(", ", "path", s->path);
	fputs(", \"options\": [", stdout);
	for (uint32_t i = 0; i < s->n_options; i++) {
		fputs(i ? ", " : "", stdout);
		print_json_option(&s->options[i]);
	}
	puts("]}");
}

/* Blank lines stand between subjects. */
static void print_subject(const struct subject *s, int json, int first)
{
	if (json) {
		print_json(s);
		return;
	}
	if (!first)
		putchar('\n');
	print_text(s);
}

static void print_plugin(const struct pfw_loaded *l, int json, int first)
{
	const struct subject s = {
		.name = l->info.name,
		.kind = pfw_kind_name(l->info.kind),
		.summary = l->info.summary,
		.version = l->info.version,
		.path = l->path,
		.usage = usage_of(l->info.kind),
		.options = l->info.options,
		.n_options = l->info.n_options,
	};

	print_subject(&s, json, first);
}

static int describe_group(const char *word, int json)
{
	size_t n;
	const struct pfw_group *g = pfw_config_groups(&n);

	for (size_t i = 0; i < n; i++) {
		const struct subject s = {
			.name = g[i].name,
			.kind = "group",
			.summary = g[i].summary,
			.usage = "%s = { ... };",
			.options = g[i].options,
			.n_options = g[i].n_options,
		};

		if (strcmp(g[i].name, word) != 0)
			continue;
		print_subject(&s, json, 1);
		return 1;
	}
	return 0;
}

static int fail(const struct pfw_error *err)
{
	fprintf(stderr, "pipefw describe: %s\n", err->text);
	return PFW_EXIT_PLUGIN;
}

/* Which kind a plugin's file is for: the word before ".so". */
static uint32_t kind_of_path(const char *path)
{
	const char *dash = strrchr(path, '-');
	char word[16];

	if (!dash || strlen(dash) < 4 || strlen(dash) - 4 >= sizeof(word))
		return 0;
	snprintf(word, sizeof(word), "%.*s", (int)strlen(dash) - 4, dash + 1);
	return pfw_kind_from_name(word);
}

static int describe_one(struct pfw_registry *reg, uint32_t kind,
			const char *name, int json)
{
	const struct pfw_loaded *l;
	struct pfw_error err = { 0 };

	if (pfw_registry_get(reg, kind, name, &l, &err))
		return fail(&err);
	print_plugin(l, json, 1);
	return PFW_EXIT_OK;
}

#define MOST_WORDS 256u

/* Every kind's plugin of this name; one that cannot be loaded says why. */
static int describe_name(struct pfw_registry *reg, const char *name, int json)
{
	const char *words[MOST_WORDS];
	struct pfw_error err = { 0 };
	struct pfw_listed *list;
	size_t n, n_groups, n_words = 0, found = 0;
	const struct pfw_group *g = pfw_config_groups(&n_groups);
	int rc = PFW_EXIT_OK;

	if (pfw_registry_list(reg, &list, &n, &err))
		return fail(&err);
	for (size_t i = 0; i < n; i++) {
		if (n_words < MOST_WORDS / 2)
			words[n_words++] = list[i].name;
		if (strcmp(list[i].name, name) != 0 || !list[i].kind)
			continue;
		if (list[i].loaded)
			print_plugin(list[i].loaded, json, found == 0);
		else
			rc = PFW_EXIT_PLUGIN;
		if (!list[i].loaded)
			fprintf(stderr, "pipefw describe: %s\n",
				list[i].problem);
		found++;
	}
	for (size_t i = 0; i < n_groups; i++)
		words[n_words++] = g[i].name;
	if (!found)
		rc = pfw_text_unknown("describe", "plugin or group", name,
				      words, n_words);
	pfw_listed_free(list, n);
	return rc;
}

static int describe(struct pfw_registry *reg, const char *word, int json)
{
	const char *colon = strchr(word, ':');
	char kind[32];
	uint32_t k;

	if (strchr(word, '/')) {
		k = kind_of_path(word);
		return describe_one(reg, k ? k : PFW_KIND_SCHEDULE, word, json);
	}
	if (!colon)
		return describe_group(word, json) ?
			PFW_EXIT_OK : describe_name(reg, word, json);
	snprintf(kind, sizeof(kind), "%.*s", (int)(colon - word), word);
	k = pfw_kind_from_name(kind);
	if (k)
		return describe_one(reg, k, colon + 1, json);
	return pfw_text_unknown("describe", "kind", kind,
				(const char *const[]){ "schedule", "transport",
				"filter", "stage", "device" }, 5);
}

int pfw_cli_describe(int argc, char **argv)
{
	static const char *const options[] = { "--json", "--help" };
	struct pfw_error err = { 0 };
	struct pfw_registry *reg;
	const char *word = NULL;
	int json = 0, rc;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return PFW_EXIT_OK;
		}
		if (!strcmp(argv[i], "--json"))
			json = 1;
		else if (*argv[i] == '-')
			return pfw_text_unknown("describe", "option", argv[i],
						options, 2);
		else if (!word)
			word = argv[i];
		else
			return pfw_text_unknown("describe", "second word",
						argv[i], NULL, 0);
	}
	if (!word) {
		fputs(help, stderr);
		return PFW_EXIT_CONFIG;
	}
	if (pfw_registry_open(NULL, &reg, &err))
		return fail(&err);
	rc = describe(reg, word, json);
	pfw_registry_close(reg);
	return rc;
}
