/* Saving: every rank writes its parameters into the same checkpoint. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "runtime/rank.h"

/* Those who are done wait at the fence as long as the others get on: so there
 * is a turn for every piece, however long the disk takes for the whole. */
static int write_part(struct pfw_rank *rank, struct pfw_checkpoint_writer *w,
		      const struct pfw_rank_param *p, uint32_t part, float *host,
		      struct pfw_error *err)
{
	const float *parts[3] = { p->weight, p->moment1, p->moment2 };
	int rc = 0;

	for (uint64_t from = 0, n; !rc && from < p->n; from += n) {
		n = p->n - from < PFW_PIECE ? p->n - from : PFW_PIECE;
		rc = pfw_rank_read(rank, host, parts[part] + from,
				   n * sizeof(float), err);
		if (!rc)
			rc = pfw_checkpoint_write(w, p->param, part, from, n,
						  host, err);
		atomic_fetch_add_explicit(&rank->boot->status->turns, 1,
					  memory_order_relaxed);
	}
	return rc;
}

static int write_params(struct pfw_rank *rank, struct pfw_checkpoint_writer *w,
			float *host, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < rank->n_params; i++) {
		const struct pfw_rank_param *p = &rank->params[i];

		for (uint32_t part = 0; !rc && p->owned && part < 3; part++)
			rc = write_part(rank, w, p, part, host, err);
	}
	return rc;
}

static int write_rank(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_checkpoint_writer *w;
	float *host = malloc(PFW_PIECE * sizeof(float));
	int rc, closed;

	if (!host)
		return pfw_error_set(err, ENOMEM,
				     "rank %u: no memory to save from",
				     rank->rank);
	rc = pfw_checkpoint_open_writer(rank->job->run_dir, rank->job->model,
					rank->state.step, &w, err);
	if (!rc) {
		rc = write_params(rank, w, host, err);
		closed = pfw_checkpoint_close_writer(w, rc ? NULL : err);
		rc = rc ? rc : closed;
	}
	free(host);
	return rc;
}

static int fence(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_status *status = rank->boot->status;
	int rc;

	atomic_store(&status->since, pfw_now());
	atomic_store(&status->wait, PFW_WAIT_FENCE);
	rc = rank->boot->ops->fence(rank->boot, pfw_rank_deadline(rank), err);
	if (!rc)
		atomic_store(&status->wait, PFW_WAIT_NOTHING);
	return rc;
}

int pfw_rank_save(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_job *job = rank->job;
	struct pfw_event event = { .type = PFW_EVENT_SAVED,
				   .step = rank->state.step };
	int rc = 0;

	if (!job->run_dir || !job->model->n_params)
		return 0;
	atomic_store(&rank->boot->status->phase, PFW_PHASE_SAVING);
	if (!rank->rank)
		rc = pfw_checkpoint_create(job->run_dir, job->model,
					   &rank->state,
					   pfw_tokenizer_name(job->tokenizer),
					   job->tokenizer_dir, err);
	if (!rc)
		rc = fence(rank, err);
	if (!rc)
		rc = write_rank(rank, err);
	if (!rc)
		rc = fence(rank, err);
	if (!rc && !rank->rank)
		rc = pfw_checkpoint_commit(job->run_dir, rank->state.step, err);
	if (!rc && !rank->rank)
		rc = rank->boot->ops->tell(rank->boot, &event, err);
	if (!rc)
		atomic_store(&rank->boot->status->phase, PFW_PHASE_RUNNING);
	return rc;
}
