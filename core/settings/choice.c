/* Groups that choose a plugin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/literal.h"
#include "settings/read.h"

void pfw_choice_clear(struct pfw_choice *choice)
{
	pfw_values_free(choice->values);
	free(choice->word);
	memset(choice, 0, sizeof(*choice));
}

const char *pfw_setting_string(const config_setting_t *setting,
			       char buf[PFW_LITERAL_STRING_MAX])
{
	const char *given = pfw_setting_text(setting);
	struct pfw_literal l;

	if (given && !pfw_literal_read(given, PFW_OPT_STRING, &l, NULL, buf))
		return buf;
	return config_setting_get_string(setting);
}

/* The plugin's name as it is written: *word is the caller's to free(), *at the
 * setting it stands in. */
static int read_word(struct pfw_reader *r, const char *what, const char *key,
		     const config_setting_t *setting, const char *def,
		     const config_setting_t **at, char **word)
{
	const char *text = def;
	char string[PFW_LITERAL_STRING_MAX];

	*at = setting;
	if (setting && config_setting_is_group(setting)) {
		*at = config_setting_get_member(setting, key);
		if (!*at && !def)
			return pfw_tree_refuse(r->tree, setting, r->err, EINVAL,
					       "%s.%s must be given: the name "
					       "of a plugin", what, key);
	}
	if (*at && config_setting_type(*at) != CONFIG_TYPE_STRING)
		return pfw_tree_refuse(r->tree, *at, r->err, EINVAL, "%s must be "
				       "the name of a plugin, or a group with "
				       "%s = \"NAME\"", what, key);
	if (*at)
		text = pfw_setting_string(*at, string);
	if (strchr(text, '/'))
		return pfw_tree_resolve(r->tree, *at, text, word, r->err);
	*word = strdup(text);
	return *word ? 0 : pfw_error_set(r->err, ENOMEM, "out of memory");
}

/* The members of a plugin's group that are neither its name nor the core's. */
static int read_options(struct pfw_reader *r, const char *what, const char *key,
			const config_setting_t *group,
			const struct pfw_table *core, struct pfw_choice *choice)
{
	const struct pfw_plugin *p = &choice->plugin->info;
	const struct pfw_option name = { .name = key };
	const struct pfw_table tables[] = {
		{ p->options, p->n_options }, *core, { &name, 1 },
	};
	const config_setting_t *s;
	const char *word;
	uint32_t index;
	int rc;

	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		s = config_setting_get_elem(group, i);
		word = config_setting_name(s);
		if (!strcmp(word, key) ||
		    pfw_option_find(core->options, core->n, word) != PFW_NONE)
			continue;
		index = pfw_option_find(p->options, p->n_options, word);
		if (index == PFW_NONE)
			return pfw_read_unknown(r, what, s, tables, 3);
		rc = pfw_read_value(r, what, s, index, choice->values);
		if (rc)
			return rc;
	}
	return 0;
}

int pfw_read_choice(struct pfw_reader *r, uint32_t kind, const char *what,
		    const char *key, const config_setting_t *setting,
		    const char *def, const struct pfw_table *core,
		    struct pfw_choice *out)
{
	struct pfw_choice c = { 0 };
	const config_setting_t *at;
	int rc;

	rc = read_word(r, what, key, setting, def, &at, &c.word);
	if (rc)
		return rc;
	rc = pfw_registry_get(r->registry, kind, c.word, &c.plugin, r->err);
	if (rc) {
		if (rc != -ENOMEM)
			r->err->code = ELIBACC;
		rc = pfw_tree_blame(r->tree, at ? at : setting, r->err);
	}
	if (!rc)
		rc = pfw_values_new(c.plugin->info.options,
				    c.plugin->info.n_options, &c.values,
				    r->err);
	if (!rc && setting && config_setting_is_group(setting))
		rc = read_options(r, what, key, setting, core, &c);
	if (rc)
		pfw_choice_clear(&c);
	else
		*out = c;
	return rc;
}

static int read_schedule_file(struct pfw_reader *r,
			      const config_setting_t *group,
			      const config_setting_t *file, char **out)
{
	char string[PFW_LITERAL_STRING_MAX];
	const config_setting_t *s;

	if (config_setting_type(file) != CONFIG_TYPE_STRING ||
	    !*pfw_setting_string(file, string))
		return pfw_tree_refuse(r->tree, file, r->err, EINVAL,
				       "pipeline.schedule.file must be the path "
				       "of a schedule as comma-separated values");
	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		s = config_setting_get_elem(group, i);
		if (s != file)
			return pfw_tree_refuse(r->tree, s, r->err, EINVAL,
					       "pipeline.schedule has a file, "
					       "and a file has no %s: leave one "
					       "of them out",
					       config_setting_name(s));
	}
	return pfw_tree_resolve(r->tree, file, pfw_setting_string(file, string),
				out, r->err);
}

int pfw_read_schedule(struct pfw_reader *r, const config_setting_t *setting,
		      const char *def, struct pfw_choice *plugin, char **file)
{
	static const struct pfw_table none = { NULL, 0 };
	static const char what[] = "pipeline.schedule";
	const config_setting_t *s = NULL;
	int rc;

	if (setting && config_setting_is_group(setting))
		s = config_setting_get_member(setting, "file");
	if (s)
		return read_schedule_file(r, setting, s, file);
	rc = pfw_read_choice(r, PFW_KIND_SCHEDULE, what, "name", setting, def,
			     &none, plugin);
	return rc ? rc : pfw_read_missing(r, what, setting, plugin->values);
}
