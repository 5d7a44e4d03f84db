#include "settings/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "settings/config.h"
#include "settings/scan.h"

#define MOST_BYTES (1u << 20)

struct pfw_tree {
	config_t config;
	const char *path; /* of the file, as given; NULL: none */
	char *cwd;
	char *folder;     /* of the file, absolute */
	struct pfw_set *sets; /* our own copies; settings are hooked to them */
	size_t n_sets;
};

config_setting_t *pfw_tree_root(const struct pfw_tree *tree)
{
	return config_root_setting(&tree->config);
}

const config_setting_t *pfw_tree_find(const struct pfw_tree *tree,
				      const char *path)
{
	return config_lookup(&tree->config, path);
}

/* What on the command line made it; NULL: the file. */
static const struct pfw_set *origin(const config_setting_t *setting)
{
	return config_setting_get_hook(setting);
}

const char *pfw_setting_text(const config_setting_t *setting)
{
	const struct pfw_set *set = origin(setting);

	return set ? strchr(set->text, '=') + 1 : NULL;
}

int pfw_setting_typed(const config_setting_t *setting)
{
	const struct pfw_set *set = origin(setting);

	return set && set->option;
}

/* Nothing that comes from outside may be a command to the terminal. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* "--set PATH=VALUE: "; of an option that is short for a path, "--steps N: ";
 * nothing of what nobody typed. */
static void where_set(const struct pfw_set *set, char *buf, size_t len)
{
	const char *text = set->text;

	*buf = '\0';
	if (!set->option)
		return;
	if (strcmp(set->option, "--set") != 0)
		text = strchr(text, '=') + 1;
	snprintf(buf, len, "%s %.200s: ", set->option, text);
	make_printable(buf);
}

static void where(const struct pfw_tree *tree, const config_setting_t *at,
		  char *buf, size_t len)
{
	if (at && origin(at))
		where_set(origin(at), buf, len);
	else if (at && tree->path && config_setting_source_line(at))
		snprintf(buf, len, "%s:%u: ", tree->path,
			 config_setting_source_line(at));
	else if (tree->path)
		snprintf(buf, len, "%s: ", tree->path);
	else
		*buf = '\0';
}

int pfw_tree_blame(const struct pfw_tree *tree, const config_setting_t *at,
		   struct pfw_error *err)
{
	char place[512];

	where(tree, at, place, sizeof(place));
	pfw_error_prefix(err, "%s", place);
	return err ? -err->code : -EINVAL;
}

int pfw_tree_refuse(const struct pfw_tree *tree, const config_setting_t *at,
		    struct pfw_error *err, int code, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pfw_error_set(err, code, "%s", text);
	pfw_tree_blame(tree, at, err);
	return -code;
}

int pfw_tree_resolve(const struct pfw_tree *tree, const config_setting_t *at,
		     const char *path, char **out, struct pfw_error *err)
{
	const char *base = at && origin(at) ? tree->cwd : tree->folder;
	char full[PATH_MAX];
	int rc;

	if (*path == '/')
		*full = '\0';
	else if ((rc = pfw_path_join(full, sizeof(full), base, path, err)))
		return rc;
	*out = strdup(*path == '/' ? path : full);
	return *out ? 0 : pfw_error_set(err, ENOMEM, "out of memory");
}

/* The line that libconfig stumbled over, for people to look at. */
static void quote_line(const char *text, int line, char *buf, size_t len)
{
	size_t n;

	while (--line > 0 && (text = strchr(text, '\n')))
		text++;
	if (!text)
		text = "";
	text += strspn(text, " \t\r");
	n = strcspn(text, "\r\n");
	if (*text)
		snprintf(buf, len, "at or before \"%.*s\"",
			 (int)(n < 60 ? n : 60), text);
	else
		snprintf(buf, len, "at the end of the file");
	make_printable(buf);
}

static int parse(struct pfw_tree *tree, const char *text, struct pfw_error *err)
{
	const char *what;
	char quoted[96];
	int line;

	if (config_read_string(&tree->config, text))
		return 0;
	line = config_error_line(&tree->config);
	what = config_error_text(&tree->config);
	quote_line(text, line, quoted, sizeof(quoted));
	if (strstr(what, "duplicate"))
		return pfw_error_set(err, EINVAL, "%s:%d: a key is given a "
				     "second time %s; leave one of them out",
				     tree->path, line, quoted);
	return pfw_error_set(err, EINVAL, "%s:%d: %s %s; what is allowed: NAME "
			     "= VALUE; or NAME = { ... }; where a value is like "
			     "1, 0.5, true, \"text\" or [1, 2]", tree->path,
			     line, what, quoted);
}

static int load(struct pfw_tree *tree, struct pfw_error *err)
{
	char *text;
	size_t len;
	int rc;

	rc = pfw_file_load(tree->path, MOST_BYTES, &text, &len, err);
	if (rc)
		return rc;
	rc = pfw_config_scan(text, len, tree->path, err);
	if (!rc)
		rc = parse(tree, text, err);
	free(text);
	return rc;
}

static int find_folders(struct pfw_tree *tree, struct pfw_error *err)
{
	char cwd[PATH_MAX], folder[PATH_MAX], *slash;
	int rc;

	if (!getcwd(cwd, sizeof(cwd)))
		return pfw_error_set(err, errno, "working directory: %s",
				     strerror(errno));
	strcpy(folder, cwd);
	if (tree->path && (slash = strrchr(tree->path, '/'))) {
		if (*tree->path == '/')
			rc = pfw_path_join(folder, sizeof(folder), "",
					   tree->path + 1, err);
		else
			rc = pfw_path_join(folder, sizeof(folder), cwd,
					   tree->path, err);
		if (rc)
			return rc;
		*strrchr(folder, '/') = '\0';
	}
	tree->cwd = strdup(cwd);
	tree->folder = strdup(folder);
	if (!tree->cwd || !tree->folder)
		return pfw_error_set(err, ENOMEM, "out of memory");
	return 0;
}

static int copy_sets(struct pfw_tree *tree, const struct pfw_set *sets,
		     size_t n, struct pfw_error *err)
{
	char *text;

	tree->sets = calloc(n + 1, sizeof(*tree->sets));
	if (!tree->sets)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (; tree->n_sets < n; tree->n_sets++) {
		text = strdup(sets[tree->n_sets].text);
		if (!text)
			return pfw_error_set(err, ENOMEM, "out of memory");
		tree->sets[tree->n_sets].option = sets[tree->n_sets].option;
		tree->sets[tree->n_sets].text = text;
	}
	return 0;
}

int pfw_tree_open(const char *path, const struct pfw_set *sets, size_t n_sets,
		  struct pfw_tree **out, struct pfw_error *err)
{
	struct pfw_tree *tree = calloc(1, sizeof(*tree));
	int rc;

	if (!tree)
		return pfw_error_set(err, ENOMEM, "out of memory");
	config_init(&tree->config);
	tree->path = path;
	rc = find_folders(tree, err);
	if (!rc)
		rc = copy_sets(tree, sets, n_sets, err);
	if (!rc && path)
		rc = load(tree, err);
	for (size_t i = 0; i < n_sets && !rc; i++)
		rc = pfw_set_apply(pfw_tree_root(tree), &tree->sets[i], err);
	if (rc)
		pfw_tree_close(tree);
	else
		*out = tree;
	return rc;
}

void pfw_tree_close(struct pfw_tree *tree)
{
	if (!tree)
		return;
	config_destroy(&tree->config);
	for (size_t i = 0; i < tree->n_sets; i++)
		free((char *)(uintptr_t)tree->sets[i].text);
	free(tree->sets);
	free(tree->cwd);
	free(tree->folder);
	free(tree);
}
