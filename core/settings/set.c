/* A setting of the command line, put into the file's tree. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "settings/read.h"

/* Settings whose plain string is short for a group with this member. */
static const char *short_form(const config_setting_t *setting)
{
	static const char *const names[] = { "schedule", "transport", "device",
					     "local", "remote" };
	const char *name = config_setting_name(setting);

	if (!name)
		return NULL;
	if (!strcmp(name, "model"))
		return "stage";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return "name";
	return NULL;
}

static void hook(config_setting_t *setting, const struct pfw_set *set)
{
	config_setting_set_hook(setting, (void *)(uintptr_t)set);
}

/* transport = "shm" becomes transport = { name = "shm"; }. */
static config_setting_t *as_group(config_setting_t *setting,
				  const struct pfw_set *set)
{
	config_setting_t *parent = config_setting_parent(setting), *member;
	const char *key = short_form(setting);
	void *old = config_setting_get_hook(setting);
	unsigned line = config_setting_source_line(setting);
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
	member->line = line;
	hook(setting, set);
	return setting;
}

static int is_index(const char *word)
{
	size_t n = strspn(word, "0123456789");

	return n > 0 && n < 4 && (!word[n] || word[n] == '.');
}

/* Element @p word of a list; the one after the last is made. */
static config_setting_t *element(config_setting_t *list, const char *word,
				 const struct pfw_set *set)
{
	int n = config_setting_length(list);
	config_setting_t *made;

	if (!is_index(word) || atoi(word) > n)
		return NULL;
	if (atoi(word) < n)
		return config_setting_get_elem(list, (unsigned)atoi(word));
	made = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
	if (made)
		hook(made, set);
	return made;
}

/* The member @p word of @p parent as something that has members itself; what
 * is not there becomes a list where @p next, the rest of the path, counts. */
static config_setting_t *descend(config_setting_t *parent, const char *word,
				 const char *next, const struct pfw_set *set)
{
	config_setting_t *child;

	if (config_setting_is_list(parent))
		return element(parent, word, set);
	if (!config_setting_is_group(parent))
		return NULL;
	child = config_setting_get_member(parent, word);
	if (!child) {
		child = config_setting_add(parent, word, is_index(next) ?
					   CONFIG_TYPE_LIST : CONFIG_TYPE_GROUP);
		if (child)
			hook(child, set);
		return child;
	}
	if (config_setting_is_group(child) || config_setting_is_list(child))
		return child;
	return as_group(child, set);
}

/* A schedule is a plugin or a file, a transport's name has two words: to give one
 * takes the other away. */
static void make_room(config_setting_t *group, const char *word)
{
	const char *name = config_setting_name(group);

	if (name && !strcmp(name, "transport")) {
		if (!strcmp(word, "name"))
			config_setting_remove(group, "local");
		if (!strcmp(word, "local"))
			config_setting_remove(group, "name");
		return;
	}
	if (!name || strcmp(name, "schedule") != 0)
		return;
	while (!strcmp(word, "file") && config_setting_length(group))
		config_setting_remove_elem(group, 0);
	if (!strcmp(word, "name"))
		config_setting_remove(group, "file");
}

/* So it is with a key that may stand outside of its group. */
static void make_room_outside(config_setting_t *root, const char *path)
{
	const char *dot = strchr(path, '.'), *word = dot ? dot + 1 : path;
	const char *group = pfw_config_group_of(word);
	config_setting_t *at = root;

	if (!group)
		return;
	if (!dot)
		at = config_setting_get_member(root, group);
	else if (strncmp(path, group, (size_t)(dot - path)) || group[dot - path])
		return;
	if (at && config_setting_is_group(at))
		config_setting_remove(at, word);
}

/* @p word, in @p path, can be no member of @p at. */
static int refuse(const struct pfw_set *set, const config_setting_t *at,
		  const char *path, const char *word, struct pfw_error *err)
{
	char why[512], place[128];

	/* What stands before it, without the dot, is where @p at is. */
	snprintf(place, sizeof(place), "%.*s", word > path ?
		 (int)(word - path) - 1 : 0, path);
	path = place;

	if (!*word)
		snprintf(why, sizeof(why), "a name is missing in the path; it "
			 "is like run.steps or transport.filters.0.name");
	else if (config_setting_is_list(at) && is_index(word) &&
		 atoi(word) <= config_setting_length(at))
		snprintf(why, sizeof(why), "an element of %s is a group: give "
			 "its members, like %s.%s.name=NAME", path, path, word);
	else if (config_setting_is_list(at))
		snprintf(why, sizeof(why), "%s is a list of %d: say which, from "
			 "%s.0 on; %s.%d would be a new one", path,
			 config_setting_length(at), path, path,
			 config_setting_length(at));
	else if (config_setting_is_group(at) &&
		 config_setting_get_member(at, word))
		snprintf(why, sizeof(why), "%s%s%s is a value and has no "
			 "members", path, *path ? "." : "", word);
	else
		snprintf(why, sizeof(why), "\"%.80s\" is no name of a key", word);
	return pfw_error_set(err, EINVAL, "%s %.200s: %s",
			     set->option ? set->option : "", set->text, why);
}

/* A file's texts are UTF-8, and the run writes this one into a file. */
static int is_utf8(const char *text)
{
	size_t len = strlen(text), n;
	uint32_t c;

	for (; len; text += n, len -= n) {
		n = pfw_utf8_get(text, len, &c);
		if (!n)
			return 0;
	}
	return 1;
}

int pfw_set_apply(config_setting_t *root, const struct pfw_set *set,
		  struct pfw_error *err)
{
	config_setting_t *at = root, *child, *leaf = NULL;
	const char *equals = strchr(set->text, '=');
	char path[128], *word = path, *dot;

	if (!equals || equals == set->text ||
	    equals - set->text >= (int)sizeof(path))
		return pfw_error_set(err, EINVAL, "--set %.200s: not PATH=VALUE, "
				     "like run.steps=100", set->text);
	if (!is_utf8(equals))
		return pfw_error_set(err, EINVAL, "%s %.*s: its value has bytes "
				     "that are not UTF-8", set->option ?
				     set->option : "", (int)(equals - set->text),
				     set->text);
	snprintf(path, sizeof(path), "%.*s", (int)(equals - set->text),
		 set->text);
	while ((dot = strchr(word, '.'))) {
		*dot = '\0';
		child = descend(at, word, dot + 1, set);
		if (!child)
			return refuse(set, at, path, word, err);
		*dot = '.';
		at = child;
		word = dot + 1;
	}
	if (config_setting_is_group(at)) {
		make_room(at, word);
		make_room_outside(root, path);
		config_setting_remove(at, word);
		leaf = config_setting_add(at, word, CONFIG_TYPE_STRING);
	}
	if (!leaf || !config_setting_set_string(leaf, equals + 1))
		return refuse(set, at, path, word, err);
	hook(leaf, set);
	return 0;
}
