/* Training on one rank: steps, and what happens between them. */
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "runtime/rank.h"

static int open_loader(struct pfw_rank *rank, uint32_t split,
		       uint32_t microbatches, struct pfw_loader **out,
		       struct pfw_error *err)
{
	struct pfw_loader_info info = {
		.seed = rank->job->cfg->run.seed,
		.batch = rank->shape.batch,
		.seq = rank->shape.seq,
		.microbatches = microbatches,
		.split = split,
	};

	if (split == PFW_SPLIT_TRAIN)
		info.first_sample = rank->state.sample;
	else
		info.samples = (uint64_t)microbatches * rank->shape.batch;

	return pfw_loader_open(rank->job->data, &info, out, err);
}

static int needs_tokens(const struct pfw_rank *rank)
{
	const struct pfw_program *p = pfw_job_placement(rank->job);

	return rank->job->data &&
	       (p->rank_of[0] == rank->rank ||
		p->rank_of[p->stages - 1] == rank->rank);
}

static int open_loaders(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_config *cfg = rank->job->cfg;
	int rc;

	if (!needs_tokens(rank))
		return 0;
	rc = open_loader(rank, PFW_SPLIT_TRAIN, cfg->pipeline.microbatches,
			 &rank->train, err);
	if (!rc && rank->evaluates)
		rc = open_loader(rank, PFW_SPLIT_VALID,
				 (uint32_t)cfg->data.eval_batches, &rank->valid,
				 err);
	return rc;
}

static uint64_t received(const struct pfw_rank *rank, int copied)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < rank->job->n_edges; i++) {
		const struct pfw_end *end = &rank->ends[i];
		struct pfw_channel_stats stats = { .size = sizeof(stats) };

		if (!end->channel || end->edge->to != rank->rank ||
		    end->edge->from == rank->rank || !end->ops->stats)
			continue;
		end->ops->stats(end->channel, &stats);
		total += copied ? stats.copied_bytes : stats.bytes;
	}
	return total;
}

static int tell_step(struct pfw_rank *rank, uint64_t start,
		     struct pfw_error *err)
{
	const struct pfw_norm_decision *d = &rank->decision;
	uint64_t update = rank->state.updates - !d->clipped.skip;
	struct pfw_event event = {
		.type = PFW_EVENT_STEP,
		.step = rank->state.step,
		.tokens = pfw_job_step_tokens(rank->job),
		.duration_ns = pfw_now() - start,
		.loss = d->loss,
		.grad_norm = d->norm,
		.lr = pfw_learning_rate(rank->job->cfg, rank->job->steps,
					update),
		.bubble = rank->bubble,
		.skipped = (uint32_t)d->clipped.skip,
	};

	return rank->boot->ops->tell(rank->boot, &event, err);
}

static int step(struct pfw_rank *rank, struct pfw_error *err)
{
	uint64_t start = pfw_now();
	int rc = pfw_rank_run(rank, PFW_PROGRAM_TRAIN, err);

	if (!rc && pfw_rank_device_decides(rank))
		rc = pfw_rank_learn(rank, err);
	if (rc)
		return rc;
	rank->state.step++;
	rank->state.sample += (uint64_t)rank->job->cfg->pipeline.microbatches *
			      rank->shape.batch;
	rank->state.bad_steps += (uint64_t)rank->decision.clipped.skip;
	rank->state.bad_in_row =
		rank->decision.clipped.skip ? rank->state.bad_in_row + 1 : 0;
	return rank->rank ? 0 : tell_step(rank, start, err);
}

/* Every n steps, and never twice after the same step. */
static int is_due(const struct pfw_rank *rank, int64_t every)
{
	return every > 0 && rank->state.step % (uint64_t)every == 0;
}

static int run_steps(struct pfw_rank *rank, uint64_t *evaluated,
		     uint64_t *saved, struct pfw_error *err)
{
	const struct pfw_config *cfg = rank->job->cfg;
	int rc = 0;

	while (!rc && rank->state.step < rank->job->steps &&
	       rank->decision.stop == PFW_STOP_NO) {
		rc = step(rank, err);
		if (!rc && rank->evaluates &&
		    is_due(rank, cfg->data.eval_every)) {
			rc = pfw_rank_evaluate(rank, err);
			*evaluated = rank->state.step;
		}
		if (!rc && is_due(rank, cfg->run.save_every) &&
		    rank->decision.stop != PFW_STOP_NONFINITE) {
			rc = pfw_rank_save(rank, err);
			*saved = rank->state.step;
		}
	}
	return rc;
}

/* All ranks end alike; each says what it was handed. */
static int tell_end(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_event event = {
		.type = PFW_EVENT_END,
		.step = rank->state.step,
		.bytes = received(rank, 0),
		.copied_bytes = received(rank, 1),
		.reason = rank->decision.stop == PFW_STOP_NONFINITE ?
				  PFW_END_NONFINITE :
			  rank->decision.stop == PFW_STOP_ASKED ?
				  PFW_END_STOPPED : PFW_END_STEPS,
	};

	return rank->boot->ops->tell(rank->boot, &event, err);
}

static void open_trace(struct pfw_rank *rank)
{
	const struct pfw_program *program =
		rank->job->programs[PFW_PROGRAM_TRAIN].program;

	if (!rank->job->traces || rank->state.step >= rank->job->steps)
		return;
	rank->trace = rank->job->traces[rank->rank];
	pfw_trace_begin(rank->trace, (rank->job->steps - rank->state.step) *
					     program->rank[rank->rank].n);
}

static int close_trace(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc = rank->trace ? pfw_rank_read_times(rank, err) : 0;

	if (!rc && rank->trace && rank->job->run_dir)
		rc = pfw_trace_write(rank->trace, rank->job->run_dir,
				     rank->rank, err);
	rank->trace = NULL;
	return rc;
}

int pfw_rank_train(struct pfw_rank *rank, struct pfw_error *err)
{
	uint64_t evaluated = UINT64_MAX, saved = UINT64_MAX;
	int rc = open_loaders(rank, err);

	if (!rc) {
		open_trace(rank);
		rc = pfw_rank_open_timing(rank, err);
	}
	if (!rc)
		rc = pfw_rank_open_graphs(rank, err);
	if (!rc && rank->evaluates) {
		rc = pfw_rank_evaluate(rank, err);
		evaluated = rank->state.step;
	}
	if (!rc)
		rc = run_steps(rank, &evaluated, &saved, err);
	if (!rc && rank->evaluates && evaluated != rank->state.step &&
	    rank->decision.stop == PFW_STOP_NO)
		rc = pfw_rank_evaluate(rank, err);
	/* Weights that are not finite are no use to anybody. */
	if (!rc && saved != rank->state.step &&
	    rank->decision.stop != PFW_STOP_NONFINITE)
		rc = pfw_rank_save(rank, err);
	if (!rc)
		rc = close_trace(rank, err);
	pfw_loader_close(rank->train);
	pfw_loader_close(rank->valid);
	return rc ? rc : tell_end(rank, err);
}
