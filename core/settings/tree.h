/*
 * tree.h: a config file as libconfig's tree, with --set worked into it, and the
 * place each setting came from.
 */
#ifndef PFW_CORE_TREE_H
#define PFW_CORE_TREE_H

#include <libconfig.h>

#include <pipefw/base.h>

struct pfw_tree;
struct pfw_set;

/** @p path may be NULL: an empty file; it must outlive the tree. */
int pfw_tree_open(const char *path, const struct pfw_set *sets, size_t n_sets,
		  struct pfw_tree **out, struct pfw_error *err);
void pfw_tree_close(struct pfw_tree *tree);
config_setting_t *pfw_tree_root(const struct pfw_tree *tree);

/** The setting "group.key"; NULL: it is not given. */
const config_setting_t *pfw_tree_find(const struct pfw_tree *tree,
				      const char *path);

/** Puts the setting into the tree, in place of what is there. */
int pfw_set_apply(config_setting_t *root, const struct pfw_set *set,
		  struct pfw_error *err);

/** The text behind '=' of the --set that made this setting; NULL: the file. */
const char *pfw_setting_text(const config_setting_t *setting);

/** Whether somebody typed it on the command line. */
int pfw_setting_typed(const config_setting_t *setting);

/** "FILE:LINE: ", or "--set PATH=VALUE: " or the like, and the sentence; @p at
 *  may be NULL for the file as a whole. */
int pfw_tree_refuse(const struct pfw_tree *tree, const config_setting_t *at,
		    struct pfw_error *err, int code, const char *fmt, ...)
	PFW_PRINTF(5, 6);
/** The same place in front of a sentence that is there already. */
int pfw_tree_blame(const struct pfw_tree *tree, const config_setting_t *at,
		   struct pfw_error *err);

/**
 * A relative path made absolute: from the folder of the file, or, in a --set,
 * from the working directory.  *out is the caller's to free().
 */
int pfw_tree_resolve(const struct pfw_tree *tree, const config_setting_t *at,
		     const char *path, char **out, struct pfw_error *err);

#endif
