/*
 * loader.h: one file in, one checked plugin out; for the registry alone.
 */
#ifndef PFW_CORE_LOADER_H
#define PFW_CORE_LOADER_H

#include "plugin/registry.h"

/**
 * Opens @p path, which must be a plugin of this kind and name, and copies what
 * it exports.  Every sentence begins with @p path.
 */
int pfw_plugin_load(const char *path, uint32_t kind, const char *name,
		    struct pfw_loaded **out, struct pfw_error *err);
void pfw_plugin_unload(struct pfw_loaded *loaded);

/** Checks @p theirs, abi first, and fills @p loaded->info and ->ops. */
int pfw_descriptor_copy(const struct pfw_plugin *theirs, const char *path,
			uint32_t kind, const char *name,
			struct pfw_loaded *loaded, struct pfw_error *err);

/** "pipefw-NAME-KIND.so" taken apart: 0 and the kind (0 for an unknown word),
 *  or -EINVAL if it has another form. */
int pfw_plugin_file_name(const char *file, uint32_t *kind, char *name,
			 size_t len);

/** Room that ops tables and names take here. */
#define PFW_PLUGIN_NAME_MAX 64u

#endif
