/*
 * NORM: loss, gradient norm and what follows from them, decided by rank 0.
 *
 * The norm is summed over parameters in the model's order, whoever holds them,
 * so it has the same bits for every p and placement.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/rank.h"

/* torch.nn.utils.clip_grad_norm_ adds the same before it divides. */
#define CLIP_EPSILON 1e-6

/* What rank 0 gathers. */
struct gathered {
	double loss;
	double *squares; /* [model->n_params] */
	uint64_t busy_ns, first_ns, last_ns;
};

static const struct pfw_awaited norm_action = { PFW_NORM, PFW_NONE, PFW_NONE };

static uint32_t count_owned(const struct pfw_job *job, uint32_t rank)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < job->model->n_params; i++)
		n += pfw_job_param_rank(job, i) == rank;
	return n;
}

static uint64_t report_bytes(uint32_t n_owned)
{
	return sizeof(struct pfw_norm_report) + n_owned * sizeof(double);
}

int pfw_rank_device_decides(const struct pfw_rank *rank)
{
	return rank->device.kernels->clip && rank->boot->ranks == 1 &&
	       !rank->job->cfg->stochastic;
}

/* Squares of the parameters owned here, in the order of their numbers; gives how
 * many these are. */
static uint32_t sum_squares(struct pfw_rank *rank)
{
	const struct pfw_kernels *k = rank->device.kernels;
	double *out = rank->scalars + 1;
	uint32_t n = 0;

	for (uint32_t i = 0; i < rank->n_params; i++)
		if (rank->params[i].owned)
			rank->grads[n++] = (struct pfw_vector){
				rank->params[i].grad, rank->params[i].n
			};
	if (k->sum_squares_of)
		k->sum_squares_of(rank->queue, rank->grads, n, out);
	for (uint32_t i = 0; i < n && !k->sum_squares_of; i++)
		k->sum_squares(rank->queue, rank->grads[i].x, rank->grads[i].n,
			       &out[i]);
	return n;
}

static int read_report(struct pfw_rank *rank, struct pfw_norm_report *report,
		       struct pfw_error *err)
{
	uint32_t n = count_owned(rank->job, rank->rank);
	int timed = rank->timing.n > 0;
	int rc = rank->device_ops->copy(rank->queue, &report->loss,
					rank->scalars, (1 + n) * sizeof(double),
					PFW_COPY_OUT, err);

	if (!rc)
		rc = timed ? pfw_rank_read_times(rank, err) :
			     rank->device_ops->sync(rank->queue, err);
	if (timed)
		report->last_ns = rank->end_ns;
	report->busy_ns = rank->busy_ns;
	report->first_ns = pfw_rank_common_time(rank, rank->first_ns);
	report->last_ns = pfw_rank_common_time(rank, report->last_ns);
	return rc;
}

static void gather_one(const struct pfw_job *job, uint32_t from,
		       const struct pfw_norm_report *report, struct gathered *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < job->model->n_params; i++)
		if (pfw_job_param_rank(job, i) == from)
			g->squares[i] = report->squares[n++];
	g->loss += report->loss; /* 0 but for the last stage's rank */
	g->busy_ns += report->busy_ns;
	if (report->first_ns < g->first_ns)
		g->first_ns = report->first_ns;
	if (report->last_ns > g->last_ns)
		g->last_ns = report->last_ns;
}

/* Ranks that share a core wait for each other without being idle. */
static int measures_bubble(const struct pfw_rank *rank)
{
	return rank->has_core ||
	       rank->job->model->ops->flags & PFW_STAGE_SLEEPS;
}

static void decide(struct pfw_rank *rank, const struct gathered *g)
{
	const struct pfw_config *cfg = rank->job->cfg;
	struct pfw_norm_decision *d = &rank->decision;
	double sum = 0, scale = 1;

	for (uint32_t i = 0; i < rank->job->model->n_params; i++)
		sum += g->squares[i];
	memset(d, 0, sizeof(*d));
	d->loss = g->loss / (double)pfw_job_step_tokens(rank->job);
	d->norm = sqrt(sum);
	if (cfg->optimizer.clip > 0 &&
	    d->norm + CLIP_EPSILON > cfg->optimizer.clip)
		scale = cfg->optimizer.clip / (d->norm + CLIP_EPSILON);
	d->clipped.scale = (float)scale;
	d->clipped.skip = !isfinite(d->loss) || !isfinite(d->norm);
	if (d->clipped.skip &&
	    rank->state.bad_in_row + 1 >= (uint64_t)cfg->run.max_bad_steps)
		d->stop = PFW_STOP_NONFINITE;
	else if (rank->boot->ops->stopping(rank->boot))
		d->stop = PFW_STOP_ASKED;
	rank->bubble = NAN;
	if (measures_bubble(rank) && g->last_ns > g->first_ns)
		rank->bubble = 1 - (double)g->busy_ns /
				   ((double)rank->boot->ranks *
				    (double)(g->last_ns - g->first_ns));
}

/* Rank 0: hears everybody in rank order, decides, tells everybody. */
static int preside(struct pfw_rank *rank, const struct pfw_norm_report *own,
		   struct gathered *g, struct pfw_error *err)
{
	const struct pfw_job *job = rank->job;

	gather_one(job, 0, own, g);
	for (uint32_t r = 1; r < rank->boot->ranks; r++) {
		struct pfw_end *end = &rank->ends[pfw_job_edge(
			job, r, 0, PFW_CHANNEL_SCALAR, PFW_NONE)];
		const void *report;
		uint32_t slot;
		int rc = pfw_end_receive_next(rank, end, PFW_PROGRAM_TRAIN,
					      &norm_action,
					      report_bytes(count_owned(job, r)),
					      &report, &slot, err);

		if (rc)
			return rc;
		gather_one(job, r, report, g);
		rc = pfw_end_release(rank, end, slot, err);
		if (rc)
			return rc;
	}
	decide(rank, g);
	for (uint32_t r = 1; r < rank->boot->ranks; r++) {
		struct pfw_end *end = &rank->ends[pfw_job_edge(
			job, 0, r, PFW_CHANNEL_SCALAR, PFW_NONE)];
		int rc = pfw_end_send_next(rank, end, PFW_PROGRAM_TRAIN,
					   &norm_action, &rank->decision,
					   sizeof(rank->decision), err);

		if (rc)
			return rc;
	}
	return 0;
}

static int attend(struct pfw_rank *rank, const struct pfw_norm_report *report,
		  uint32_t n_owned, struct pfw_error *err)
{
	struct pfw_end *up = &rank->ends[pfw_job_edge(
		rank->job, rank->rank, 0, PFW_CHANNEL_SCALAR, PFW_NONE)];
	struct pfw_end *down = &rank->ends[pfw_job_edge(
		rank->job, 0, rank->rank, PFW_CHANNEL_SCALAR, PFW_NONE)];
	const void *decision;
	uint32_t slot;
	int rc;

	rc = pfw_end_send_next(rank, up, PFW_PROGRAM_TRAIN, &norm_action, report,
			       report_bytes(n_owned), err);
	if (!rc)
		rc = pfw_end_receive_next(rank, down, PFW_PROGRAM_TRAIN,
					  &norm_action, sizeof(rank->decision),
					  &decision, &slot, err);
	if (rc)
		return rc;
	memcpy(&rank->decision, decision, sizeof(rank->decision));
	return pfw_end_release(rank, down, slot, err);
}

/* What rank 0 decides of the report: of all ranks' where there are others. */
static int conclude(struct pfw_rank *rank, struct pfw_error *err)
{
	struct gathered g = { .squares = rank->squares, .first_ns = UINT64_MAX };
	int rc = read_report(rank, rank->report, err);

	if (rc)
		return rc;
	if (rank->rank)
		return attend(rank, rank->report,
			      count_owned(rank->job, rank->rank), err);
	return preside(rank, rank->report, &g, err);
}

static void clip(struct pfw_rank *rank, uint32_t count)
{
	const struct pfw_clip clip = {
		.size = sizeof(clip), .squares = rank->scalars + 1,
		.count = count, .loss = rank->scalars, .epsilon = CLIP_EPSILON,
		.limit = rank->job->cfg->optimizer.clip,
		.scale = &rank->clipped->scale, .skip = &rank->clipped->skip,
	};

	rank->device.kernels->clip(rank->queue, &clip);
}

int pfw_rank_norm(struct pfw_rank *rank, struct pfw_error *err)
{
	/* While the host waits for the device, messages would lie about. */
	int rc = pfw_rank_drain(rank, err);
	uint32_t n;

	rank->report->last_ns = pfw_now();
	if (rc)
		return rc;
	n = sum_squares(rank);
	if (!pfw_rank_device_decides(rank))
		return conclude(rank, err);
	clip(rank, n);
	return 0;
}

int pfw_rank_learn(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc = conclude(rank, err);

	if (!rc)
		rank->state.updates += !rank->decision.clipped.skip;
	return rc;
}
