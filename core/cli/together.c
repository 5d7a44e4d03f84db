#include "cli/together.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"

int pfw_together_check(struct pfw_together *t, uint32_t ranks,
		       struct pfw_error *err)
{
	int rc;

	if (!t->boot && !t->ranks && !t->secret)
		return 0;
	if (!t->boot || !t->ranks)
		return pfw_error_set(err, EINVAL,
				     "a run on several hosts needs --boot "
				     "tcp://HOST:PORT and --ranks A-B, on each "
				     "of them");
	rc = pfw_endpoint_parse(t->boot, &t->at, err);
	if (rc)
		return rc;
	if (pfw_ranks_parse(t->ranks, ranks, &t->first, &t->n))
		return pfw_error_set(err, EINVAL,
				     "--ranks %s: must be A or A-B, of ranks 0 "
				     "to %u (pipeline.ranks)", t->ranks,
				     ranks - 1);
	return pfw_secret_load(t->secret, &t->key, err);
}

int pfw_together_leads(const struct pfw_together *t)
{
	return !t->first;
}

/* What must be equal on all hosts, a line each. */
static char *settings_text(const struct pfw_job *job,
			   const struct pfw_train_state *state,
			   struct pfw_error *err)
{
	struct pfw_dataset_info data = { 0 };
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to) {
		pfw_error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	fprintf(to, "pipefw %s\n", PACKAGE_VERSION);
	pfw_config_write_common(job->cfg, to);
	if (job->data)
		pfw_dataset_info(job->data, &data);
	fprintf(to, "contents of data.train %016" PRIx64 "\n",
		data.fingerprint);
	fprintf(to, "%s --trace\n", job->traces ? "with" : "without");
	fprintf(to, "run.resume at step %" PRIu64 "\n", state->step);
	if (fclose(to) || len > PFW_MEET_SETTINGS_MAX) {
		pfw_error_set(err, EFBIG, "the settings are too long");
		free(text);
		return NULL;
	}
	return text;
}

int pfw_together_meet(const struct pfw_together *t, const char *file,
		      const struct pfw_job *job,
		      const struct pfw_train_state *state,
		      void (*on_note)(void *context, const char *text),
		      void *context, struct pfw_meeting **out,
		      struct pfw_error *err)
{
	struct pfw_meet how = {
		.at = &t->at,
		.secret = &t->key,
		.ranks = job->cfg->pipeline.ranks,
		.first = t->first,
		.n = t->n,
		.timeout = job->cfg->run.timeout,
		.file = file,
		.on_note = on_note,
		.context = context,
	};
	char *settings = settings_text(job, state, err);
	int rc;

	if (!settings)
		return -err->code;
	how.settings = settings;
	rc = pfw_meeting_open(&how, out, err);
	free(settings);
	return rc;
}
