/*
 * config.h: a config file, checked and typed.
 *
 * Loading it reads the file (after the scan for literals that libconfig would
 * wrap), applies --set, loads the plugins it names to learn their options, and
 * refuses what is unknown, misspelt, of the wrong type or out of range, with
 * file, line, what was found and what is allowed.
 */
#ifndef PFW_CORE_CONFIG_H
#define PFW_CORE_CONFIG_H

#include <stdio.h>

#include "plugin/registry.h"

/** A plugin and the checked values of its group. */
struct pfw_choice {
	const struct pfw_loaded *plugin;
	struct pfw_values *values;
	char *word; /**< as the config names it: a name, or an absolute path */
};

#define PFW_MAX_FILTERS 8u

/** The core's own groups, in the order of pfw_config_groups(). */
#define PFW_GROUP_RUN 0u
#define PFW_GROUP_MODEL 1u
#define PFW_GROUP_PIPELINE 2u
#define PFW_GROUP_TRANSPORT 3u
#define PFW_GROUP_DEVICE 4u
#define PFW_GROUP_OPTIMIZER 5u
#define PFW_GROUP_DATA 6u
#define PFW_N_GROUPS 7u

/** A transport and the filters stacked on it, lowest first. */
struct pfw_transport_choice {
	const char *home; /**< the setting that names it, as for pfw_config_blame() */
	struct pfw_choice transport;
	struct pfw_choice filters[PFW_MAX_FILTERS];
	uint32_t n_filters;
};

/** A setting of the command line, in place of the file's. */
struct pfw_set {
	const char *option; /**< "--set", or one that is short for a path, like
				 "--steps"; NULL: nobody typed it; a literal */
	const char *text;   /**< "path=value" */
};

#define PFW_MAX_EXCEPTIONS 64u

/** Ranks that have another device than the rest. */
struct pfw_device_choice {
	uint32_t first, last; /**< ranks, both included; no two overlap */
	struct pfw_choice device;
};

struct pfw_config {
	char *path;     /**< of the file; NULL: none */
	char *warnings; /**< for the user, a sentence a line; NULL: none */
	struct pfw_tree *tree; /**< what was given, and where */

	/** Where the texts below live, and what pfw_config_write() writes: to
	 *  change something use another of the --set texts, not a member. */
	struct pfw_values *groups[PFW_N_GROUPS];

	struct {
		int64_t steps;
		uint64_t seed;
		char *out;       /**< absolute; NULL: not given */
		double timeout;  /**< s without progress on an awaited message */
		int64_t save_every; /**< steps; 0: only at the end */
		char *init;      /**< absolute folder of a saved model, or NULL */
		char *resume;    /**< absolute run or checkpoint folder, or NULL */
		int64_t max_bad_steps; /**< stop after so many non-finite ones */
	} run;

	struct pfw_choice model;    /**< stage plugin, its options */
	struct pfw_choice schedule; /**< .plugin NULL: schedule_file */
	char *schedule_file; /**< absolute; NULL: a plugin makes the schedule */
	struct {
		uint32_t ranks, chunks, microbatches, microbatch_size;
		uint32_t ranks_per_process;
		char *layout; /**< NULL: by cost */
		int order_any; /**< order = "any": gradients of a stage may be
				    summed in the schedule's own order */
		char *cost_from; /**< absolute folder of a traced run, or NULL */
		uint32_t memory_cap; /**< micro-batches of a rank; 0: none */
	} pipeline;
	struct pfw_transport_choice transport; /**< of ranks on one host */
	struct pfw_transport_choice remote; /**< of ranks on two; its plugin is
						 NULL: `transport` too */
	struct pfw_choice device;   /**< of ranks without one of their own */
	struct pfw_device_choice exceptions[PFW_MAX_EXCEPTIONS];
	uint32_t n_exceptions;
	uint32_t dtype;             /**< PFW_F32 or PFW_BF16 */
	int stochastic;             /**< weights become bf16 at random */
	uint32_t threads;           /**< of a rank; 0: as many as there are cores */

	struct {
		double lr, min_lr, weight_decay, beta1, beta2, epsilon, clip;
		int64_t warmup;
		int64_t decay_steps; /**< length of the cosine; 0: run.steps */
	} optimizer;

	struct {
		char *train;      /**< absolute path */
		char *validation_file; /**< absolute path or NULL */
		char *tokenizer;  /**< "byte", "gpt2" */
		char *tokenizer_dir; /**< absolute, vocab.json and merges.txt of
				      gpt2's; NULL: none */
		double validation; /**< share of the text kept apart */
		int64_t eval_every, eval_batches;
	} data;
};

/**
 * Where run.init or run.resume names a folder with a config.json (or one in its
 * model/), the model's options come from there; the config may give them too,
 * but not otherwise.
 *
 * Relative paths in the file are relative to the file, in @p sets to the working
 * directory.  -ELIBACC: a plugin that it names cannot be loaded.
 */
int pfw_config_load(struct pfw_registry *reg, const char *path,
		    const struct pfw_set *sets, size_t n_sets,
		    struct pfw_config **out, struct pfw_error *err);
void pfw_config_free(struct pfw_config *cfg);

/** Devices are counted: 0 is cfg->device, then come the exceptions. */
uint32_t pfw_config_device_of(const struct pfw_config *cfg, uint32_t rank);
const struct pfw_choice *pfw_config_device(const struct pfw_config *cfg,
					   uint32_t index);

/**
 * Puts in front of a sentence where the key at fault stands: "FILE:LINE: ",
 * "--set PATH=VALUE: ", or "--steps N: ".  The keys are those that the sentence
 * names: "group.key" in full, and "key =" or "key=" for those of @p home, a
 * group or the setting that names a plugin; of them the first that is from the
 * command line, else the first that is given at all, else @p home itself.
 * Nothing happens to a want of memory, which is no key's fault.
 */
void pfw_config_blame(const struct pfw_config *cfg, const char *home,
		      struct pfw_error *err);

/** What people call the schedule: its plugin's name, or the file. */
const char *pfw_config_schedule(const struct pfw_config *cfg);

/** Writes the effective config, every key, in libconfig syntax. */
int pfw_config_write(const struct pfw_config *cfg, FILE *to,
		     struct pfw_error *err);

/** What must be equal on all hosts of a run, a line each: all but the names of
 *  files and what plugins are told of this host. */
void pfw_config_write_common(const struct pfw_config *cfg, FILE *to);

/** The option tables of the core's own groups (for describe, tests). */
struct pfw_group {
	const char *name; /**< "run", "pipeline", ... */
	const struct pfw_option *options;
	uint32_t n_options;
	const char *summary;
};
const struct pfw_group *pfw_config_groups(size_t *n);

/**
 * Values from texts alone, for tools without a config file: @p pairs are n
 * texts "name=value".  What is not named has its default.
 */
int pfw_values_from_texts(const struct pfw_option *options, uint32_t n_options,
			  const char *what, const char *const *pairs, size_t n,
			  struct pfw_values **out, struct pfw_error *err);
void pfw_values_free(struct pfw_values *values);

#endif
