/* The core's own keys: types, defaults, limits and help, once for reading,
 * writing, describing and the manual's test. */
#include <math.h>
#include <string.h>

#include "settings/config.h"

#define ANY_INT 0x1p63 /* as much as an int64_t holds */

static const struct pfw_option run[] = {
	{ "steps", PFW_OPT_INT, 0, "100", "optimizer steps, from the first one "
	  "on", NULL, 0, ANY_INT },
	{ "seed", PFW_OPT_INT, 0, "1", "of initial weights, data order and "
	  "sampling", NULL, 0, ANY_INT },
	{ "out", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "folder of the run; "
	  "must not exist unless --overwrite is given", NULL, 0, 0 },
	{ "timeout", PFW_OPT_FLOAT, 0, "60", "seconds without progress on an "
	  "awaited message before the run is given up", NULL, 0.1, 86400 },
	{ "save_every", PFW_OPT_INT, 0, "0", "steps between two checkpoints; "
	  "0: only at the end", NULL, 0, ANY_INT },
	{ "max_bad_steps", PFW_OPT_INT, 0, "10", "updates in a row skipped for "
	  "a loss or norm that is not finite before the run stops", NULL, 1,
	  ANY_INT },
	{ "init", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "folder of a saved "
	  "model to start from", NULL, 0, 0 },
	{ "resume", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "folder of a run or "
	  "a checkpoint to go on from", NULL, 0, 0 },
};

static const struct pfw_option model[] = {
	{ "stage", PFW_OPT_STRING, 0, "!", "stage plugin; the group's other "
	  "keys are its options", NULL, 0, 0 },
};

static const struct pfw_option pipeline[] = {
	{ "schedule", PFW_OPT_STRING, 0, "1f1b", "schedule plugin: a name, or a "
	  "group of name and the plugin's options; or a group of file: a "
	  "schedule as comma-separated values", NULL, 0, 0 },
	{ "ranks", PFW_OPT_INT, 0, "1", "p: ranks that the model is spread over",
	  NULL, 1, 65536 },
	{ "chunks", PFW_OPT_INT, 0, "1", "v: stages of each rank", NULL, 1,
	  1024 },
	{ "microbatches", PFW_OPT_INT, 0, "8", "m: micro-batches of a step",
	  NULL, 1, 65536 },
	{ "microbatch_size", PFW_OPT_INT, 0, "4", "sequences of a micro-batch",
	  NULL, 1, 65536 },
	{ "layout", PFW_OPT_STRING, 0, NULL, "layers of each stage, like \"E t*3 "
	  "| t*4 | t L\"; not given: by cost", NULL, 0, 0 },
	{ "order", PFW_OPT_CHOICE, 0, "ascending", "sums of gradients over "
	  "micro-batches: ascending is the same to the bit for every schedule",
	  "ascending|any", 0, 0 },
	{ "cost_from", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "folder of a "
	  "traced run of this model: a schedule that plans, as zb-auto does, "
	  "plans for what that took", NULL, 0, 0 },
	{ "memory_cap", PFW_OPT_INT, 0, "0", "most micro-batches of all its "
	  "layers that a rank may keep; 0: no cap", NULL, 0, 65536 },
	{ "ranks_per_process", PFW_OPT_INT, 0, "1", "ranks that are threads of "
	  "one process", NULL, 1, 1024 },
};

static const struct pfw_option transport[] = {
	{ "name", PFW_OPT_STRING, 0, "shm", "transport plugin; the group's other "
	  "keys are its options, and filters: a list of groups of name and "
	  "options, the first one next to the transport", NULL, 0, 0 },
	{ "local", PFW_OPT_STRING, 0, NULL, "another word for name: of ranks on "
	  "one host; or a group of name, options and filters", NULL, 0, 0 },
	{ "remote", PFW_OPT_STRING, 0, NULL, "transport plugin of ranks on two "
	  "hosts, or a group of name, options and filters; not given: as on one "
	  "host", NULL, 0, 0 },
};

static const struct pfw_option device[] = {
	{ "name", PFW_OPT_STRING, 0, "cpu", "device plugin; the group's other "
	  "keys are its options", NULL, 0, 0 },
	{ "except", PFW_OPT_STRING, 0, NULL, "a list of groups of ranks (\"A\" or "
	  "\"A-B\"), name and options: ranks that have another device", NULL, 0,
	  0 },
	{ "dtype", PFW_OPT_CHOICE, 0, "fp32", "activations and what products "
	  "multiply; weights and sums are fp32 in any case", "fp32|bf16", 0, 0 },
	{ "rounding", PFW_OPT_CHOICE, 0, "nearest", "of weights to bf16; "
	  "stochastic: up or down at random, right on average",
	  "nearest|stochastic", 0, 0 },
	{ "threads", PFW_OPT_INT, 0, "0", "of each rank; 0: the machine's cores, "
	  "shared out among the ranks; the numbers come out the same", NULL, 0,
	  1024 },
};

static const struct pfw_option optimizer[] = {
	{ "name", PFW_OPT_CHOICE, 0, "adamw", "the optimizer", "adamw", 0, 0 },
	{ "lr", PFW_OPT_FLOAT, 0, "1e-3", "highest learning rate", NULL, 0,
	  1000 },
	{ "min_lr", PFW_OPT_FLOAT, 0, NULL, "learning rate at the end of the "
	  "cosine; not given: a tenth of lr", NULL, 0, 1000 },
	{ "warmup", PFW_OPT_INT, 0, "0", "steps in which the learning rate "
	  "rises from 0", NULL, 0, ANY_INT },
	{ "decay_steps", PFW_OPT_INT, 0, "0", "step at which the cosine ends; 0: "
	  "run.steps", NULL, 0, ANY_INT },
	{ "weight_decay", PFW_OPT_FLOAT, 0, "0.1", "of matrices; vectors do not "
	  "decay", NULL, 0, 1000 },
	{ "betas", PFW_OPT_FLOATS, 0, "0.9 0.95", "decay of the two moments, "
	  "each from 0 to less than 1", NULL, 0, 1 },
	{ "epsilon", PFW_OPT_FLOAT, 0, "1e-8", "added to the root of the second "
	  "moment", NULL, 1e-30, 1 },
	{ "clip", PFW_OPT_FLOAT, 0, "1.0", "largest norm of all gradients "
	  "together", NULL, 1e-30, HUGE_VAL },
};

static const struct pfw_option data[] = {
	{ "train", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "training text, or "
	  "tokens as nanoGPT and llm.c keep them (.bin)", NULL, 0, 0 },
	{ "validation_file", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "text or "
	  "tokens to evaluate on, instead of a share of the training text",
	  NULL, 0, 0 },
	{ "tokenizer", PFW_OPT_CHOICE, 0, "byte", "how text becomes tokens",
	  "byte|gpt2", 0, 0 },
	{ "tokenizer_dir", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "folder of "
	  "gpt2's vocab.json and merges.txt; not given: run.init", NULL, 0, 0 },
	{ "validation", PFW_OPT_FLOAT, 0, "0.1", "share of the training text, at "
	  "its end, kept for evaluation", NULL, 0, 0.5 },
	{ "eval_every", PFW_OPT_INT, 0, "100", "steps between two evaluations; "
	  "0: only before and after", NULL, 0, ANY_INT },
	{ "eval_batches", PFW_OPT_INT, 0, "20", "micro-batches of an "
	  "evaluation", NULL, 1, 65536 },
};

#define GROUP(table, text)                                                     \
	{ #table, table, sizeof(table) / sizeof(table[0]), text }

static const struct pfw_group groups[PFW_N_GROUPS] = {
	[PFW_GROUP_RUN] = GROUP(run, "how long, from what, and where to"),
	[PFW_GROUP_MODEL] = GROUP(model, "what is trained"),
	[PFW_GROUP_PIPELINE] = GROUP(pipeline, "how the model is spread and in "
				     "which order it is run"),
	[PFW_GROUP_TRANSPORT] = GROUP(transport, "what carries activations and "
				      "gradients"),
	[PFW_GROUP_DEVICE] = GROUP(device, "what computes"),
	[PFW_GROUP_OPTIMIZER] = GROUP(optimizer, "how weights are updated"),
	[PFW_GROUP_DATA] = GROUP(data, "what is learned"),
};

const struct pfw_group *pfw_config_groups(size_t *n)
{
	*n = PFW_N_GROUPS;
	return groups;
}
