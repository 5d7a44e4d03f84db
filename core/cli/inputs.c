#include "cli/inputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/file.h"

/* The file that @p key names can be opened: what is in it comes later. */
static int check_file(const char *key, const char *path, struct pfw_error *err)
{
	int fd, rc;

	if (!path)
		return 0;
	rc = pfw_file_open(path, &fd, NULL, err);
	if (rc)
		pfw_error_prefix(err, "%s must be a file that can be read: ",
				 key);
	else
		close(fd);
	return rc;
}

/* The same of a folder, or of whatever a saved model may be. */
static int check_there(const char *key, const char *what, const char *path,
		       struct pfw_error *err)
{
	struct stat st;

	if (!path || !stat(path, &st))
		return 0;
	return pfw_error_set(err, errno, "%s must be the folder of %s: %s: %s",
			     key, what, path, strerror(errno));
}

/* Every path that will be read leads somewhere. */
static int check_paths(const struct pfw_job *job, struct pfw_error *err)
{
	const struct pfw_config *cfg = job->cfg;
	int rc = check_there("run.init", "a saved model", cfg->run.init, err);

	if (!rc)
		rc = check_there("run.resume", "a run or a checkpoint",
				 cfg->run.resume, err);
	if (rc || !job->model->vocab)
		return rc;
	if (!cfg->data.train)
		return pfw_error_set(err, EINVAL, "data.train must be given: a "
				     "text or token file, like data = { train = "
				     "\"corpus.txt\"; }; or --set "
				     "data.train=corpus.txt");
	rc = check_file("data.train", cfg->data.train, err);
	if (!rc)
		rc = check_file("data.validation_file",
				cfg->data.validation_file, err);
	if (!rc)
		rc = check_there("data.tokenizer_dir",
				 "vocab.json and merges.txt",
				 cfg->data.tokenizer_dir, err);
	if (!rc && strcmp(cfg->data.tokenizer, "byte") != 0 &&
	    !cfg->data.tokenizer_dir && !cfg->run.init && !cfg->run.resume)
		rc = pfw_error_set(err, EINVAL, "data.tokenizer = \"%s\" needs "
				   "data.tokenizer_dir, the folder of its "
				   "vocab.json and merges.txt",
				   cfg->data.tokenizer);
	return rc;
}

/* Where gpt2's files are: as told, or beside the model that is gone on from. */
static int find_tokenizer(const struct pfw_config *cfg, struct pfw_inputs *in,
			  const char **dir, struct pfw_error *err)
{
	const char *saved = cfg->run.init ? cfg->run.init : cfg->run.resume;
	int rc;

	*dir = cfg->data.tokenizer_dir;
	if (*dir || !strcmp(cfg->data.tokenizer, "byte"))
		return 0;
	rc = pfw_checkpoint_model_dir(saved, in->model_dir,
				      sizeof(in->model_dir), err);
	if (!rc)
		*dir = in->model_dir;
	return rc;
}

static int open_data(struct pfw_job *job, struct pfw_inputs *in,
		     struct pfw_error *err)
{
	const struct pfw_config *cfg = job->cfg;
	const struct pfw_model *model = job->model;
	const char *dir;
	int rc;

	if (!model->vocab)
		return 0;
	rc = find_tokenizer(cfg, in, &dir, err);
	if (!rc)
		rc = pfw_tokenizer_open(cfg->data.tokenizer, dir,
					&in->tokenizer, err);
	if (!rc)
		rc = pfw_dataset_open(cfg->data.train,
				      cfg->data.validation_file, in->tokenizer,
				      cfg->data.validation, model->vocab,
				      model->context, &in->data, err);
	if (rc)
		return rc;
	job->data = in->data;
	job->tokenizer = in->tokenizer;
	job->tokenizer_dir = dir;
	return 0;
}

/* Which key names the file that the sentence is about. */
static const char *home_of_data(const struct pfw_config *cfg,
				const struct pfw_error *err)
{
	const char *train = cfg->data.train, *other = cfg->data.validation_file;

	if (other && !strncmp(err->text, other, strlen(other)))
		return "data.validation_file";
	return !strncmp(err->text, train, strlen(train)) ? "data.train" : "data";
}

/* What the ranks will load is looked at before anything starts. */
static int open_saved(const struct pfw_job *job, struct pfw_inputs *in,
		      struct pfw_error *err)
{
	const char *resume = job->cfg->run.resume;
	const char *dir = resume ? resume : job->cfg->run.init;
	struct pfw_checkpoint_reader *reader;
	int rc;

	if (!dir)
		return 0;
	rc = pfw_checkpoint_open_reader(dir, job->model,
					resume ? &in->state : NULL, &reader,
					err);
	if (rc)
		return rc;
	if (*pfw_checkpoint_note(reader))
		fprintf(stderr, "pipefw: %s\n", pfw_checkpoint_note(reader));
	pfw_checkpoint_close_reader(reader);
	return 0;
}

/* What is gone on with must be what was begun. */
static int check_resume(const struct pfw_config *cfg,
			const struct pfw_inputs *in, struct pfw_error *err)
{
	struct pfw_dataset_info data;

	if (!cfg->run.resume || !in->data)
		return 0;
	pfw_dataset_info(in->data, &data);
	if (in->state.data != data.fingerprint)
		return pfw_error_set(err, EINVAL,
				     "%s: was trained on other data than %s: "
				     "name the same file as data.train, or "
				     "begin anew from its model with run.init",
				     cfg->run.resume, cfg->data.train);
	if (in->state.seed != cfg->run.seed)
		return pfw_error_set(err, EINVAL,
				     "%s: was begun with run.seed = %llu, not "
				     "%llu: the order of the data would differ",
				     cfg->run.resume,
				     (unsigned long long)in->state.seed,
				     (unsigned long long)cfg->run.seed);
	return 0;
}

int pfw_inputs_open(struct pfw_job *job, struct pfw_inputs *out,
		    struct pfw_error *err)
{
	const char *home = "data";
	int status = PFW_EXIT_CONFIG;
	int rc = check_paths(job, err);

	if (!rc) {
		status = PFW_EXIT_DATA;
		rc = open_data(job, out, err);
		if (rc)
			home = home_of_data(job->cfg, err);
	}
	if (!rc) {
		home = job->cfg->run.resume ? "run.resume" : "run.init";
		status = PFW_EXIT_CHECKPOINT;
		rc = open_saved(job, out, err);
	}
	if (!rc) {
		status = PFW_EXIT_CONFIG;
		rc = check_resume(job->cfg, out, err);
	}
	if (!rc)
		return PFW_EXIT_OK;
	pfw_config_blame(job->cfg, home, err);
	return rc == -ENOMEM ? PFW_EXIT_RESOURCES : status;
}

void pfw_inputs_close(struct pfw_inputs *in)
{
	pfw_dataset_close(in->data);
	pfw_tokenizer_close(in->tokenizer);
}
