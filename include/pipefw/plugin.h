/*
 * pipefw/plugin.h: what every plugin exports, and the options it declares.
 *
 * A plugin is one shared object `pipefw-NAME-KIND.so` that exports one const
 * data symbol, `pfw_plugin`, made by PFW_PLUGIN().  Nothing of a plugin runs
 * when it is loaded or listed.  The core copies min(its size, our size) of the
 * descriptor and of the ops into zeroed structs of its own, so a plugin built
 * against an older or newer header of the same PFW_ABI works.
 */
#ifndef PIPEFW_PLUGIN_H
#define PIPEFW_PLUGIN_H

#include <pipefw/base.h>

PFW_BEGIN_DECLS

/** Changes only when the meaning of something existing changes. */
#define PFW_ABI 1u

/** Kinds of plugin; the word is the KIND of the file name. */
#define PFW_KIND_SCHEDULE 1u  /**< "schedule":  struct pfw_schedule_ops */
#define PFW_KIND_TRANSPORT 2u /**< "transport": struct pfw_transport_ops */
#define PFW_KIND_FILTER 3u    /**< "filter":    struct pfw_transport_ops */
#define PFW_KIND_STAGE 4u     /**< "stage":     struct pfw_stage_ops */
#define PFW_KIND_DEVICE 5u    /**< "device":    struct pfw_device_ops */

/** Thread models: what the core may do with objects of this plugin. */
#define PFW_THREAD_SINGLE 1u   /**< one thread of the process, ever */
#define PFW_THREAD_OBJECT 2u   /**< each object by one thread at a time */
#define PFW_THREAD_PARALLEL 3u /**< any thread at any time */

/** Types of option. */
#define PFW_OPT_INT 1u
#define PFW_OPT_FLOAT 2u  /**< an int is taken as well */
#define PFW_OPT_BOOL 3u
#define PFW_OPT_STRING 4u
#define PFW_OPT_CHOICE 5u /**< a string, one of `choices` ("a|b|c") */
#define PFW_OPT_FLOATS 6u /**< a list of numbers, or one; default "0.9 0.95" */

/** A path (PFW_OPT_STRING): the core makes one that is given absolute, from the
 *  folder of the config file, or on a command line from the working directory.
 *  A default stays as it is. */
#define PFW_OPTION_PATH 1u

/**
 * One option of a config group.  The core parses, checks ranges and prints
 * help from this table; a plugin never sees libconfig.
 */
struct pfw_option {
	const char *name;
	uint32_t type;       /**< PFW_OPT_* */
	uint32_t flags;      /**< OR of PFW_OPTION_*; unknown ones are 0 */
	const char *def;     /**< default as text; NULL: not set unless given;
			          "!" : must be given */
	const char *help;    /**< one line, begins in lower case, no full stop */
	const char *choices; /**< PFW_OPT_CHOICE only */
	double min, max;     /**< inclusive; both 0: no bound */
};

/** The checked values of one group; made by the core, read by the plugin. */
struct pfw_values;

/** Whether the user, or a default, gave it a value. */
PFW_API int pfw_value_set(const struct pfw_values *v, const char *name);
/** The value; 0, 0.0, 0, NULL when it is not set or is of another type. */
PFW_API int64_t pfw_value_int(const struct pfw_values *v, const char *name);
PFW_API double pfw_value_float(const struct pfw_values *v, const char *name);
PFW_API int pfw_value_bool(const struct pfw_values *v, const char *name);
/** Owned by @p v. */
PFW_API const char *pfw_value_string(const struct pfw_values *v,
				     const char *name);
/** Element @p i of a list; 0.0 past its end.  @p n may be NULL. */
PFW_API double pfw_value_floats(const struct pfw_values *v, const char *name,
				uint32_t i, uint32_t *n);

/** What a plugin exports. */
struct pfw_plugin {
	uint32_t abi;          /**< PFW_ABI; set by the macro */
	uint32_t struct_size;  /**< of this struct; set by the macro */
	uint32_t option_size;  /**< of one option; set by the macro */
	uint32_t kind;         /**< PFW_KIND_* */
	uint32_t thread_model; /**< PFW_THREAD_* */
	uint32_t n_options;
	const char *name;      /**< as in the file's name: [a-z0-9-]+ */
	const char *version;
	const char *summary;   /**< one line */
	const struct pfw_option *options; /**< may be NULL with n_options 0 */
	const void *ops;       /**< the kind's table, whose first member is its
				    own size (size_t) */
};

/** Version string of plugins that live in this tree; others define their own
 *  before they include this header. */
#ifndef PFW_PLUGIN_VERSION
#define PFW_PLUGIN_VERSION "0"
#endif

/** For .options and .n_options: `PFW_OPTIONS(table)`. */
#define PFW_OPTIONS(table)                                                     \
	.options = (table),                                                    \
	.n_options = (uint32_t)(sizeof(table) / sizeof((table)[0]))

/** PFW_PLUGIN(.kind = ..., .name = ..., ...): the one symbol. */
#define PFW_PLUGIN(...)                                                        \
	PFW_API extern const struct pfw_plugin pfw_plugin;                     \
	const struct pfw_plugin pfw_plugin = {                                 \
		.abi = PFW_ABI,                                                \
		.struct_size = sizeof(struct pfw_plugin),                      \
		.option_size = sizeof(struct pfw_option),                      \
		.version = PFW_PLUGIN_VERSION,                                 \
		__VA_ARGS__                                                    \
	}

PFW_END_DECLS

#endif
