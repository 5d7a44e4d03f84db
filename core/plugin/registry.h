/*
 * registry.h: finds, checks and keeps plugins.
 */
#ifndef PFW_CORE_REGISTRY_H
#define PFW_CORE_REGISTRY_H

#include <pipefw/device.h>
#include <pipefw/schedule.h>
#include <pipefw/stage.h>
#include <pipefw/transport.h>

/** A loaded plugin: our own zero-filled copies of what it exports. */
struct pfw_loaded {
	struct pfw_plugin info; /**< .options has n_options of OUR option size */
	char *path;
	union {
		struct pfw_schedule_ops schedule;
		struct pfw_transport_ops transport; /**< filters too */
		struct pfw_stage_ops stage;
		struct pfw_device_ops device;
	} ops;
};

struct pfw_registry;

/**
 * @p dirs: colon-separated; NULL: $PIPEFW_PLUGIN_DIR (not in set-id
 * programs), else the build tree of a program that is not installed, else the
 * directory pipefw was installed with.
 */
int pfw_registry_open(const char *dirs, struct pfw_registry **out,
		      struct pfw_error *err);
/** Modules stay mapped (RTLD_NODELETE). */
void pfw_registry_close(struct pfw_registry *reg);

/** The folders looked in, in words: "A, B".  Lives as long as the registry. */
const char *pfw_registry_dirs(const struct pfw_registry *reg);

/**
 * The plugin of this kind and name; a name with a slash is a path.  Loaded at
 * the first call.  *out lives as long as the registry.  Refusals: design in
 * pipefw-plugin(7); a sentence about a file begins with its path.
 */
int pfw_registry_get(struct pfw_registry *reg, uint32_t kind, const char *name,
		     const struct pfw_loaded **out, struct pfw_error *err);

/** One entry of a listing; a plugin that cannot be loaded is listed with why. */
struct pfw_listed {
	uint32_t kind;
	char *name;
	char *path;
	const struct pfw_loaded *loaded; /**< NULL: refused */
	char *problem;                   /**< NULL or why refused */
};
/** Everything in the directories, sorted by kind and name. */
int pfw_registry_list(struct pfw_registry *reg, struct pfw_listed **out,
		      size_t *n, struct pfw_error *err);
void pfw_listed_free(struct pfw_listed *list, size_t n);

/** Is it one that a plugin may have?  -EINVAL with a sentence. */
int pfw_plugin_name_check(uint32_t kind, const char *name,
			  struct pfw_error *err);

/** The folder that this program was built in: 1; 0: it is installed. */
int pfw_build_dir(char *buf, size_t len);

/** "schedule", ...; NULL for an unknown kind. */
const char *pfw_kind_name(uint32_t kind);
/** 0 for an unknown word. */
uint32_t pfw_kind_from_name(const char *word);

#endif
