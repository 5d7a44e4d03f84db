/* Refusals found after the config was read, when all of it is looked at together:
 * which key is at fault, and where it stands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "settings/read.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"
#define LONGEST 64

/* What schedules call a shape. */
static const struct {
	const char *word, *path;
} shape[] = {
	{ "p", "pipeline.ranks" },
	{ "v", "pipeline.chunks" },
	{ "m", "pipeline.microbatches" },
};

/* What is to blame as far as the sentence has been read. */
struct suspect {
	const struct pfw_config *cfg;
	const char *home;
	const config_setting_t *at; /* NULL: nothing yet */
};

static void suspect(struct suspect *who, const char *path)
{
	const config_setting_t *s = pfw_config_find(who->cfg, path);

	if (s && !config_setting_is_group(s) &&
	    (!who->at ||
	     (pfw_setting_typed(s) && !pfw_setting_typed(who->at))))
		who->at = s;
}

/* A word of the sentence that ends at @p end. */
static void suspect_word(struct suspect *who, const char *word, const char *end)
{
	char path[2 * LONGEST + 2];
	size_t n = (size_t)(end - word);

	if (n > LONGEST)
		return;
	snprintf(path, sizeof(path), "%.*s", (int)n, word);
	if (strchr(path, '.')) {
		suspect(who, path);
		return;
	}
	if (end[strspn(end, " ")] != '=')
		return;
	for (size_t i = 0; i < sizeof(shape) / sizeof(shape[0]); i++)
		if (!strcmp(path, shape[i].word))
			suspect(who, shape[i].path);
	snprintf(path, sizeof(path), "%s.%.*s", who->home, (int)n, word);
	suspect(who, path);
}

/* Words are of letters and inner dots; parts of a file's path are none. */
static void suspect_words(struct suspect *who, const char *text)
{
	const char *end;

	while (*(text += strcspn(text, LETTERS "/"))) {
		if (*text == '/') {
			text += strcspn(text, " :;\"");
			continue;
		}
		end = text + strspn(text, LETTERS);
		while (*end == '.' && strspn(end + 1, LETTERS))
			end += 1 + strspn(end + 1, LETTERS);
		suspect_word(who, text, end);
		text = end;
	}
}

/* The name of a plugin, or the file, that @p home is or has. */
static void suspect_home(struct suspect *who)
{
	static const char *const names[] = { "name", "stage", "file" };
	char path[2 * LONGEST + 2];

	suspect(who, who->home);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s.%s", who->home, names[i]);
		suspect(who, path);
	}
}

/* The innermost group on the way to @p home that the file has. */
static void suspect_group(struct suspect *who)
{
	const config_setting_t *s;
	char path[LONGEST];
	char *dot = path;

	snprintf(path, sizeof(path), "%s", who->home);
	while (dot && !who->at) {
		s = pfw_config_find(who->cfg, path);
		if (s && !pfw_setting_text(s))
			who->at = s;
		dot = strrchr(path, '.');
		if (dot)
			*dot = '\0';
	}
}

void pfw_config_blame(const struct pfw_config *cfg, const char *home,
		      struct pfw_error *err)
{
	struct suspect who = { .cfg = cfg, .home = home };

	if (!err || err->code == ENOMEM)
		return;
	suspect_words(&who, err->text);
	suspect_home(&who);
	if (!who.at)
		suspect_group(&who);
	pfw_tree_blame(cfg->tree, who.at, err);
}
