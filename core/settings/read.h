/*
 * read.h: from the tree of a config file to checked values; for config.c alone.
 */
#ifndef PFW_CORE_READ_H
#define PFW_CORE_READ_H

#include "settings/config.h"
#include "settings/literal.h"
#include "settings/tree.h"
#include "settings/values.h"

/** What every step of reading needs. */
struct pfw_reader {
	const struct pfw_tree *tree;
	struct pfw_registry *registry;
	struct pfw_error *err;
};

/** Where the key "group.key" is given, in its group or outside; NULL. */
const config_setting_t *pfw_config_find(const struct pfw_config *cfg,
					const char *path);

/** The group of a key that may stand outside of it as well; NULL: none such. */
const char *pfw_config_group_of(const char *name);

/** Takes one setting as option @p index; the sentence has its place. */
int pfw_read_value(struct pfw_reader *r, const char *what,
		   const config_setting_t *setting, uint32_t index,
		   struct pfw_values *values);

/** A string as it is written, or as a --set has it, quoted or not: then in
 *  @p buf.  NULL: it is not a string. */
const char *pfw_setting_string(const config_setting_t *setting,
			       char buf[PFW_LITERAL_STRING_MAX]);

/** Refuses a key that group @p what does not have; @p options are those it
 *  has, in @p n tables. */
struct pfw_table {
	const struct pfw_option *options;
	uint32_t n;
};
int pfw_read_unknown(struct pfw_reader *r, const char *what,
		     const config_setting_t *setting,
		     const struct pfw_table *tables, size_t n);

/**
 * Reads a plugin's name and options from @p setting: a string, or a group whose
 * member @p key is the name.  NULL: the plugin @p def, with its defaults.
 * @p core (may be empty) are keys of the group that are not the plugin's.
 */
int pfw_read_choice(struct pfw_reader *r, uint32_t kind, const char *what,
		    const char *key, const config_setting_t *setting,
		    const char *def, const struct pfw_table *core,
		    struct pfw_choice *out);
void pfw_choice_clear(struct pfw_choice *choice);

/** A schedule: a plugin, or the file that a group's only member names. */
int pfw_read_schedule(struct pfw_reader *r, const config_setting_t *setting,
		      const char *def, struct pfw_choice *plugin, char **file);

/** The transport and its filters; @p remote stays empty where there is but one. */
int pfw_read_transport(struct pfw_reader *r, const config_setting_t *setting,
		       const char *def, struct pfw_transport_choice *out,
		       struct pfw_transport_choice *remote);

/** The device, and those of the ranks that have another; after pipeline.ranks.
 *  @p core are keys of the group that are not the plugin's. */
int pfw_read_devices(struct pfw_reader *r, const config_setting_t *setting,
		     const char *def, const struct pfw_table *core,
		     struct pfw_config *cfg);

/** Options that must be given and are not; @p at is their group or NULL. */
int pfw_read_missing(struct pfw_reader *r, const char *what,
		     const config_setting_t *at,
		     const struct pfw_values *values);

/**
 * Takes the model's options from a saved one: the config.json in @p dir or in
 * its model/.  Nothing happens where there is none, or the stage reads none.
 */
int pfw_read_saved_model(struct pfw_reader *r, const char *dir,
			 struct pfw_choice *model);

#endif
