/* The forms of a rank's weights that products read. */
#include <string.h>

#include "base/hash.h"
#include "base/philox.h"
#include "runtime/rank.h"

int pfw_rank_open_forms(struct pfw_rank *rank, const struct pfw_param *use,
			struct pfw_rank_param *p, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t form = 0; !rc && form < PFW_FORMS; form++) {
		uint64_t bytes = pfw_form_bytes(&rank->device, rank->queue,
						use, form);

		if (bytes && !p->forms[form])
			rc = pfw_rank_alloc(rank, bytes, &p->forms[form], err);
	}
	return rc;
}

/* Of all that has been trained, so that a run that goes on rounds as the one
 * before it; and other numbers than those that the weight began with. */
static uint32_t rounding_key(const struct pfw_rank *rank, const char *param)
{
	const uint64_t name = pfw_hash(PFW_HASH_START, param, strlen(param));
	const uint64_t updates = rank->state.updates;
	const uint32_t counter[4] = { (uint32_t)updates,
				      (uint32_t)(updates >> 32),
				      (uint32_t)name, (uint32_t)(name >> 32) };
	uint32_t words[4];

	pfw_philox(counter, ~rank->job->cfg->run.seed, words);
	return words[0];
}

void pfw_rank_form(struct pfw_rank *rank, const struct pfw_rank_param *p,
		   uint32_t n_forms)
{
	const struct pfw_job *job = rank->job;
	const struct pfw_param *info = &job->model->params[p->param].info;
	const uint32_t key = rounding_key(rank, info->name);
	const int at_random = job->cfg->stochastic &&
			      job->programs[PFW_PROGRAM_TRAIN].program;

	for (uint32_t form = 0; form < n_forms; form++)
		if (p->forms[form])
			pfw_form_make(&rank->device, rank->queue, info, form,
				      p->weight, at_random ? &key : NULL,
				      p->forms[form]);
}
