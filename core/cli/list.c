/* pipefw list: which plugins there are, and why some cannot be used. */
#include "cli/cli.h"

#include <errno.h>
#include <pipefw/json.h>
#include <string.h>

#include "cli/text.h"
#include "plugin/registry.h"

static const char help[] =
	"usage: pipefw list [--json] [schedules|transports|filters|stages|"
	"devices]\n\n"
	"Lists the plugins in PIPEFW_PLUGIN_DIR, else in the folder that pipefw\n"
	"was installed with; for each that cannot run here, why not.\n\n"
	"  --json    one JSON object a line: kind, name, version, summary, path,\n"
	"            usable, problem, found\n";

/* Whether the machine has what it needs; *why is "" then. */
static int probe(const struct pfw_loaded *l, char *why, size_t len)
{
	*why = '\0';
	switch (l->info.kind) {
	case PFW_KIND_TRANSPORT:
	case PFW_KIND_FILTER:
		return l->ops.transport.probe ? l->ops.transport.probe(why, len)
					      : 0;
	case PFW_KIND_DEVICE:
		return l->ops.device.probe ? l->ops.device.probe(why, len) : 0;
	}
	return 0;
}

/* What keeps it from running, and 0; or what it found, "" for nothing. */
static int usable(const struct pfw_listed *item, char *why, size_t len)
{
	if (!item->loaded) {
		snprintf(why, len, "%s", item->problem);
		return 0;
	}
	if (!probe(item->loaded, why, len))
		return 1;
	if (!*why)
		snprintf(why, len, "it cannot run on this machine");
	return 0;
}

static void print_member(const char *name, const char *value)
{
	printf(", \"%s\": ", name);
	if (value)
		pfw_json_print(stdout, value);
	else
		fputs("null", stdout);
}

static void print_json(const struct pfw_listed *item)
{
	const struct pfw_loaded *l = item->loaded;
	const char *kind = pfw_kind_name(item->kind);
	char why[1024];
	int runs = usable(item, why, sizeof(why));

	fputs("{\"name\": ", stdout);
	pfw_json_print(stdout, item->name);
	print_member("kind", kind);
	print_member("version", l ? l->info.version : NULL);
	print_member("summary", l ? l->info.summary : NULL);
	print_member("path", item->path);
	printf(", \"usable\": %s", runs ? "true" : "false");
	print_member("problem", runs ? NULL : why);
	print_member("found", runs && *why ? why : NULL);
	puts("}");
}

static void print_text(const struct pfw_listed *item)
{
	const struct pfw_loaded *l = item->loaded;
	char why[1024];
	int runs = usable(item, why, sizeof(why));

	printf("  %-16s ", item->name);
	if (l) {
		printf("%-8s ", l->info.version);
		pfw_text_wrap(stdout, 28, l->info.summary);
	} else {
		printf("cannot be loaded: ");
		pfw_text_wrap(stdout, 19, why);
	}
	if (l && *why) {
		printf("%28s%s", "", runs ? "found: " : "cannot run here: ");
		pfw_text_wrap(stdout, 28, why);
	}
}

static void print_all(const struct pfw_listed *list, size_t n, uint32_t kind,
		      int json)
{
	uint32_t last = PFW_NONE;
	char heading[64];

	for (size_t i = 0; i < n; i++) {
		if (kind && list[i].kind != kind)
			continue;
		if (json) {
			print_json(&list[i]);
			continue;
		}
		if (list[i].kind != last) {
			if (last != PFW_NONE)
				putchar('\n');
			last = list[i].kind;
			snprintf(heading, sizeof(heading), "%ss",
				 last ? pfw_kind_name(last) : "other file");
			pfw_text_heading(stdout, heading);
		}
		print_text(&list[i]);
	}
}

/* "schedules" or "schedule"; 0: no kind. */
static uint32_t kind_of(const char *word)
{
	char one[32];
	size_t len = strlen(word);

	if (len >= sizeof(one))
		return 0;
	strcpy(one, word);
	if (len && one[len - 1] == 's')
		one[len - 1] = '\0';
	return pfw_kind_from_name(one);
}

static int list_kind(uint32_t kind, int json)
{
	struct pfw_registry *reg;
	struct pfw_listed *list;
	struct pfw_error err = { 0 };
	size_t n;

	if (pfw_registry_open(NULL, &reg, &err)) {
		fprintf(stderr, "pipefw list: %s\n", err.text);
		return PFW_EXIT_RESOURCES;
	}
	if (pfw_registry_list(reg, &list, &n, &err)) {
		fprintf(stderr, "pipefw list: %s\n", err.text);
		pfw_registry_close(reg);
		return PFW_EXIT_RESOURCES;
	}
	print_all(list, n, kind, json);
	if (n == 0)
		fprintf(stderr, "pipefw list: no plugin in %s\n",
			pfw_registry_dirs(reg));
	pfw_listed_free(list, n);
	pfw_registry_close(reg);
	return n ? PFW_EXIT_OK : PFW_EXIT_PLUGIN;
}

int pfw_cli_list(int argc, char **argv)
{
	static const char *const words[] = {
		"--json", "--help", "schedules", "transports", "filters",
		"stages", "devices",
	};
	uint32_t kind = 0;
	int json = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return PFW_EXIT_OK;
		}
		if (!strcmp(argv[i], "--json"))
			json = 1;
		else if (!kind && (kind = kind_of(argv[i])))
			continue;
		else
			return pfw_text_unknown("list", *argv[i] == '-' ?
						"option" : kind ?
						"second word" : "kind", argv[i],
						words, kind ? 0 : sizeof(words) /
						sizeof(words[0]));
	}
	return list_kind(kind, json);
}
