/* The loss on the validation split: a program of forward passes alone. */
#include <errno.h>

#include "base/clock.h"
#include "runtime/rank.h"

static const struct pfw_awaited report = { PFW_NORM, PFW_NONE, PFW_NONE };

/* The last stage's rank knows the sum, rank 0 tells it. */
static int bring_loss(struct pfw_rank *rank, double *loss,
		      struct pfw_error *err)
{
	uint32_t last = pfw_rank_last(rank), slot;
	uint32_t index = pfw_job_edge(rank->job, last, 0, PFW_CHANNEL_SCALAR,
				      PFW_NONE);
	const void *data;
	int rc;

	if (rank->rank == last && last != 0)
		return pfw_end_send_next(rank, &rank->ends[index],
					 PFW_PROGRAM_EVAL, &report, loss,
					 sizeof(*loss), err);
	if (rank->rank != 0 || last == 0)
		return 0;
	rc = pfw_end_receive_next(rank, &rank->ends[index], PFW_PROGRAM_EVAL,
				  &report, sizeof(*loss), &data, &slot, err);
	if (rc)
		return rc;
	*loss = *(const double *)data;
	return pfw_end_release(rank, &rank->ends[index], slot, err);
}

int pfw_rank_evaluate(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_program *program =
		rank->job->programs[PFW_PROGRAM_EVAL].program;
	struct pfw_event event = {
		.type = PFW_EVENT_EVAL,
		.step = rank->state.step,
		.tokens = (uint64_t)program->microbatches * rank->shape.batch *
			  rank->shape.seq,
	};
	uint64_t start = pfw_now();
	double loss;
	int rc = pfw_rank_run(rank, PFW_PROGRAM_EVAL, err);

	if (!rc)
		rc = pfw_rank_read(rank, &loss, rank->scalars, sizeof(loss),
				   err);
	if (!rc)
		rc = bring_loss(rank, &loss, err);
	if (rc || rank->rank)
		return rc;
	event.loss = loss / (double)event.tokens;
	event.duration_ns = pfw_now() - start;
	return rank->boot->ops->tell(rank->boot, &event, err);
}
