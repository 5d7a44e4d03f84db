#include "settings/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "settings/scan.h"

#define MOST_BYTES (1u << 20)

struct pfw_tree {
	config_t config;
	const char *path; /* of the file, as given; NULL: none */
	char *cwd;
	char *folder;     /* of the file, absolute */
};

config_setting_t *pfw_tree_root(const struct pfw_tree *tree)
{
	return config_root_setting(&tree->config);
}

/* The whole text of the --set that made it. */
static const char *origin(const config_setting_t *setting)
{
	return config_setting_get_hook(setting);
}

const char *pfw_setting_text(const config_setting_t *setting)
{
	const char *set = origin(setting);

	return set ? strchr(set, '=') + 1 : NULL;
}

static void where(const struct pfw_tree *tree, const config_setting_t *at,
		  char *buf, size_t len)
{
	if (at && origin(at))
		snprintf(buf, len, "--set %.200s: ", origin(at));
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
	snprintf(buf, len, "%.*s", (int)(n < 60 ? n : 60), text);
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static int parse(struct pfw_tree *tree, const char *text, struct pfw_error *err)
{
	char quoted[64];
	int line;

	if (config_read_string(&tree->config, text))
		return 0;
	line = config_error_line(&tree->config);
	quote_line(text, line, quoted, sizeof(quoted));
	return pfw_error_set(err, EINVAL, "%s:%d: %s at or before \"%s\"; what "
			     "is allowed: NAME = VALUE; NAME = { ... };",
			     tree->path, line,
			     config_error_text(&tree->config), quoted);
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

/* Settings whose plain string is short for a group with this member. */
static const char *short_form(const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);

	if (!name)
		return NULL;
	if (!strcmp(name, "model"))
		return "stage";
	if (!strcmp(name, "schedule") || !strcmp(name, "transport") ||
	    !strcmp(name, "device"))
		return "name";
	return NULL;
}

/* transport = "shm" becomes transport = { name = "shm"; }. */
static config_setting_t *as_group(config_setting_t *setting, const char *set)
{
	config_setting_t *parent = config_setting_parent(setting), *member;
	const char *key = short_form(setting);
	void *old = config_setting_get_hook(setting);
	char name[32], word[256];

	if (!key || config_setting_type(setting) != CONFIG_TYPE_STRING)
		return NULL;
	snprintf(name, sizeof(name), "%s", config_setting_name(setting));
	snprintf(word, sizeof(word), "%s", config_setting_get_string(setting));
	config_setting_remove(parent, name);
	setting = config_setting_add(parent, name, CONFIG_TYPE_GROUP);
	member = setting ? config_setting_add(setting, key, CONFIG_TYPE_STRING)
			 : NULL;
	if (!member || !config_setting_set_string(member, word))
		return NULL;
	config_setting_set_hook(member, old);
	config_setting_set_hook(setting, (void *)(uintptr_t)set);
	return setting;
}

/* The member @p word of @p parent as something that has members itself. */
static config_setting_t *descend(config_setting_t *parent, const char *word,
				 const char *set)
{
	config_setting_t *child;

	if (config_setting_is_list(parent)) {
		if (strspn(word, "0123456789") != strlen(word) || strlen(word) > 3)
			return NULL;
		return config_setting_get_elem(parent, (unsigned)atoi(word));
	}
	if (!config_setting_is_group(parent))
		return NULL;
	child = config_setting_get_member(parent, word);
	if (!child) {
		child = config_setting_add(parent, word, CONFIG_TYPE_GROUP);
		if (child)
			config_setting_set_hook(child, (void *)(uintptr_t)set);
		return child;
	}
	if (config_setting_is_group(child) || config_setting_is_list(child))
		return child;
	return as_group(child, set);
}

/* A schedule is a plugin or a file: to name one takes the other away. */
static void make_room(config_setting_t *group, const char *word)
{
	const char *name = config_setting_name(group);

	if (!name || strcmp(name, "schedule") != 0)
		return;
	while (!strcmp(word, "file") && config_setting_length(group))
		config_setting_remove_elem(group, 0);
	if (!strcmp(word, "name"))
		config_setting_remove(group, "file");
}

static int apply_set(struct pfw_tree *tree, const char *set,
		     struct pfw_error *err)
{
	config_setting_t *at = pfw_tree_root(tree), *leaf = NULL;
	const char *equals = strchr(set, '=');
	char path[256], *word = path, *dot;

	if (!equals || equals == set || equals - set >= (int)sizeof(path))
		return pfw_error_set(err, EINVAL, "--set %.200s: not PATH=VALUE, "
				     "like run.steps=100", set);
	snprintf(path, sizeof(path), "%.*s", (int)(equals - set), set);
	while (at && (dot = strchr(word, '.'))) {
		*dot = '\0';
		at = descend(at, word, set);
		word = dot + 1;
	}
	if (at && config_setting_is_group(at)) {
		make_room(at, word);
		config_setting_remove(at, word);
		leaf = config_setting_add(at, word, CONFIG_TYPE_STRING);
	}
	if (!leaf || !config_setting_set_string(leaf, equals + 1))
		return pfw_error_set(err, EINVAL, "--set %.200s: there can be no "
				     "such key", set);
	config_setting_set_hook(leaf, (void *)(uintptr_t)set);
	return 0;
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

int pfw_tree_open(const char *path, const char *const *sets, size_t n_sets,
		  struct pfw_tree **out, struct pfw_error *err)
{
	struct pfw_tree *tree = calloc(1, sizeof(*tree));
	int rc;

	if (!tree)
		return pfw_error_set(err, ENOMEM, "out of memory");
	config_init(&tree->config);
	tree->path = path;
	rc = find_folders(tree, err);
	if (!rc && path)
		rc = load(tree, err);
	for (size_t i = 0; i < n_sets && !rc; i++)
		rc = apply_set(tree, sets[i], err);
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
	free(tree->cwd);
	free(tree->folder);
	free(tree);
}
