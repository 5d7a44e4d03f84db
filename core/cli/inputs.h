/*
 * inputs.h: the files that a config names, opened before anything starts.
 */
#ifndef PFW_CORE_CLI_INPUTS_H
#define PFW_CORE_CLI_INPUTS_H

#include <limits.h>

#include "model/checkpoint.h"
#include "runtime/job.h"

struct pfw_inputs {
	struct pfw_tokenizer *tokenizer; /**< NULL: the stage reads no tokens */
	struct pfw_dataset *data;        /**< NULL with it */
	struct pfw_train_state state;    /**< of run.resume, else zeros */
	char model_dir[PATH_MAX]; /**< of a saved model, for its tokenizer */
};

/**
 * Opens the data and looks at the saved model; @p job is given the data.  The
 * exit status, 0 or: PFW_EXIT_CONFIG, where a file is not there or is no file;
 * PFW_EXIT_DATA and PFW_EXIT_CHECKPOINT, where it is, and is not right.  The
 * sentence begins with where the config names it.
 */
int pfw_inputs_open(struct pfw_job *job, struct pfw_inputs *out,
		    struct pfw_error *err);
/** What is open of them; after the job. */
void pfw_inputs_close(struct pfw_inputs *in);

#endif
