/* One rank, from its first breath to its last. */
#include "runtime/rank.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/exit.h"

static int open_books(struct pfw_rank *rank, struct pfw_error *err)
{
	uint32_t n = rank->job->model->n_params;

	rank->report = calloc(1, sizeof(*rank->report) + n * sizeof(double));
	rank->squares = calloc(n + 1, sizeof(*rank->squares));
	if (!rank->report || !rank->squares)
		return pfw_error_set(err, ENOMEM, "out of memory");
	return 0;
}

/* The lines of the header that only a rank can write: equal words, equal bits; and
 * what it makes of its device besides.  The first of each device's ranks does. */
static int tell_device(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_config *cfg = rank->job->cfg;
	uint32_t index = pfw_config_device_of(cfg, rank->rank);
	const char *graphs = pfw_rank_graphs_text(rank);
	const char *remark = rank->device.props.remark;
	struct pfw_event event = { .type = PFW_EVENT_NOTE };
	char threads[32] = "", ranks[48] = "";
	int rc;

	for (uint32_t r = 0; r < rank->rank; r++)
		if (pfw_config_device_of(cfg, r) == index)
			return 0;
	if (index)
		snprintf(ranks, sizeof(ranks), ", from rank %u to rank %u",
			 cfg->exceptions[index - 1].first,
			 cfg->exceptions[index - 1].last);
	if (rank->boot->threads > 1)
		snprintf(threads, sizeof(threads), ", %u threads a rank",
			 rank->boot->threads);
	snprintf(event.text, sizeof(event.text), "  device     %s %s%s (%s)%s%s",
		 pfw_rank_device(rank)->plugin->info.name,
		 pfw_dtype_name(cfg->dtype),
		 cfg->stochastic ? ", stochastic rounding" : "",
		 rank->device.props.path, threads, ranks);
	rc = rank->boot->ops->tell(rank->boot, &event, err);
	if (!rc && *remark) {
		snprintf(event.text, sizeof(event.text), "  device     %s%s",
			 remark, ranks);
		rc = rank->boot->ops->tell(rank->boot, &event, err);
	}
	if (rc || !graphs)
		return rc;
	snprintf(event.text, sizeof(event.text), "  graphs     %s%s", graphs,
		 ranks);
	return rank->boot->ops->tell(rank->boot, &event, err);
}

/* Models without arithmetic have no share of a peak. */
static int tell_peak(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_event event = { .type = PFW_EVENT_PEAK };

	if (!(rank->job->model->flops > 0) ||
	    !rank->job->programs[PFW_PROGRAM_TRAIN].program)
		return 0;
	event.peak = pfw_rank_peak(rank);
	return rank->boot->ops->tell(rank->boot, &event, err);
}

static int run(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc = open_books(rank, err);

	if (!rc)
		rc = pfw_rank_open_memory(rank, err);
	if (!rc)
		rc = tell_device(rank, err);
	if (!rc)
		rc = tell_peak(rank, err);
	if (!rc)
		rc = pfw_rank_load(rank, err);
	if (!rc)
		rc = pfw_rank_connect(rank, err);
	if (rc)
		return rc;
	if (rank->job->programs[PFW_PROGRAM_GENERATE].program)
		rc = pfw_rank_generate(rank, err);
	else
		rc = pfw_rank_train(rank, err);
	/* Where a message needs both ends to get across, the last ones do. */
	if (!rc && rank->job->props.receive == PFW_RECEIVE_PLANNED)
		rc = rank->boot->ops->fence(rank->boot,
					    pfw_rank_deadline(rank), err);
	return rc;
}

/* What the launcher's exit status will be, if this is the cause. */
static int status_of(const struct pfw_rank *rank, int rc)
{
	switch (-rc) {
	case ETIMEDOUT:
		return PFW_EXIT_HUNG;
	case EPIPE:
	case ECANCELED:
		return PFW_EXIT_DIED;
	case EPROTO:
	case ECOMM:
	case ENETDOWN:
		return PFW_EXIT_NETWORK;
	case ENOMEM:
		return PFW_EXIT_RESOURCES;
	}
	switch (atomic_load(&rank->boot->status->phase)) {
	case PFW_PHASE_SAVING:
		return PFW_EXIT_SAVE;
	case PFW_PHASE_CONNECTING:
		return rc == -ENOSPC || rc == -EFBIG || rc == -EDQUOT ||
				       rc == -EMFILE ?
			       PFW_EXIT_RESOURCES : PFW_EXIT_BOOT;
	case PFW_PHASE_STARTING:
		return rank->job->resume || rank->job->init ?
			       PFW_EXIT_CHECKPOINT : PFW_EXIT_INTERNAL;
	}
	return PFW_EXIT_INTERNAL;
}

static int tell_failure(struct pfw_rank *rank, int rc,
			const struct pfw_error *err)
{
	struct pfw_event event = {
		.type = PFW_EVENT_FAIL,
		.code = status_of(rank, rc),
		.cause = pfw_event_cause(rc),
	};

	/* Somebody else has told why. */
	if (rc != -ECANCELED) {
		snprintf(event.text, sizeof(event.text), "%s", err->text);
		rank->boot->ops->tell(rank->boot, &event, NULL);
	}
	return event.code;
}

/* What the data are says where training begins, and whether to evaluate. */
static void take_data(struct pfw_rank *rank)
{
	struct pfw_dataset_info info;

	if (!rank->job->data)
		return;
	pfw_dataset_info(rank->job->data, &info);
	rank->state.data = info.fingerprint;
	rank->evaluates = info.valid_to > info.valid_from;
}

int pfw_rank_main(void *context, struct pfw_boot *boot)
{
	const struct pfw_job *job = context;
	struct pfw_rank rank = {
		.job = job,
		.boot = boot,
		.rank = boot->rank,
		.has_core = boot->place->cores >=
			    (uint64_t)boot->place->n * boot->threads,
	};
	struct pfw_error err = { 0 };
	int rc;

	rank.state.seed = job->cfg->run.seed;
	take_data(&rank);
	rc = run(&rank, &err);
	if (rc)
		rc = tell_failure(&rank, rc, &err);
	else
		atomic_store(&boot->status->phase, PFW_PHASE_ENDED);
	pfw_rank_close_timing(&rank);
	pfw_rank_disconnect(&rank);
	pfw_rank_close_graphs(&rank); /* the queue waits for nobody any more */
	pfw_rank_close_memory(&rank);
	free(rank.report);
	free(rank.squares);
	return rc;
}
