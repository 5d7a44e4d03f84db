/* The engine: runs one rank's program, action by action. */
#include <errno.h>

#include "base/clock.h"
#include "runtime/rank.h"

/* What an action works on. */
struct work {
	struct pfw_rank *rank;
	uint32_t program;
	const struct pfw_job_program *jp;
	const struct pfw_op *op;
	struct pfw_call call;
};

static struct pfw_end *end_of(const struct work *w, const struct pfw_transfer *t)
{
	return &w->rank->ends[w->jp->edge[t->channel]];
}

static void *slot_of(const struct work *w, const struct pfw_transfer *t)
{
	struct pfw_end *end;

	if (t->channel == PFW_NONE)
		return NULL;
	end = end_of(w, t);
	return pfw_end_slot(end, t->slot);
}

/* A message this action reads for the first time. */
static int await(struct work *w, const struct pfw_transfer *t,
		 struct pfw_error *err)
{
	if (t->channel == PFW_NONE)
		return 0;
	return pfw_end_receive(w->rank, end_of(w, t), w->program,
			       &w->jp->program->channels[t->channel],
			       t->message, err);
}

/* A slot this action writes. */
static int acquire(struct work *w, const struct pfw_transfer *t,
		   struct pfw_error *err)
{
	struct pfw_awaited what = { w->op->type, w->op->stage,
				    w->op->microbatch };

	if (t->channel == PFW_NONE)
		return 0;
	return pfw_end_acquire(w->rank, end_of(w, t), t->slot, &what, err);
}

static int send(struct work *w, const struct pfw_transfer *t, uint64_t bytes,
		struct pfw_error *err)
{
	if (t->channel == PFW_NONE)
		return 0;
	return pfw_end_send(w->rank, end_of(w, t), w->program, t->slot, bytes,
			    w->op->stage, w->op->microbatch, err);
}

static int release(struct work *w, const struct pfw_transfer *t,
		   struct pfw_error *err)
{
	if (t->channel == PFW_NONE)
		return 0;
	return pfw_end_release(w->rank, end_of(w, t), t->slot, err);
}

/* Bytes of the boundary after a layer, for the shape that runs. */
static uint64_t boundary_bytes(const struct pfw_rank *rank, uint32_t layer)
{
	return pfw_model_boundary_bytes(rank->job->model, layer, &rank->shape);
}

static uint64_t output_bytes(const struct work *w)
{
	const struct pfw_model_stage *s =
		&w->rank->job->model->stages[w->op->stage];

	return boundary_bytes(w->rank, s->first_layer + s->n_layers - 1);
}

static uint64_t input_bytes(const struct work *w)
{
	const struct pfw_model_stage *s =
		&w->rank->job->model->stages[w->op->stage];

	return boundary_bytes(w->rank, s->first_layer - 1);
}

static void make_call(struct work *w)
{
	struct pfw_rank *rank = w->rank;
	const struct pfw_op *op = w->op;
	const struct pfw_model_stage *stage = &rank->job->model->stages[op->stage];
	const struct pfw_rank_chunk *chunk = &rank->chunks[op->chunk];
	uint64_t first = (uint64_t)op->microbatch * rank->shape.batch *
			 rank->shape.seq;
	int training = w->program == PFW_PROGRAM_TRAIN;

	w->call = (struct pfw_call){
		.size = sizeof(w->call),
		.device = &rank->device,
		.queue = rank->queue,
		.first_layer = stage->first_layer,
		.n_layers = stage->n_layers,
		.shape = rank->shape,
		.flags = (training ? PFW_CALL_TRAIN : 0) |
			 (op->flags & PFW_FIRST_GRADIENT ?
				  0 : PFW_CALL_ACCUMULATE),
		.binding = op->saved,
		.weights = chunk->weights,
		.grads = chunk->grads,
		.packed = chunk->packed,
		.weights_act = chunk->weights_act,
		.saved = training ? chunk->saved[op->saved] : NULL,
		.work = rank->work,
		.input = slot_of(w, &op->input),
		.output = slot_of(w, &op->output),
		.grad_output = slot_of(w, &op->grad_output),
		.grad_input = slot_of(w, &op->grad_input),
		.tokens = rank->tokens ? rank->tokens + first : NULL,
		.targets = rank->targets ? rank->targets + first : NULL,
		.loss_scale = 1.0f / (float)pfw_job_step_tokens(rank->job),
		.loss = rank->scalars,
		.logits = rank->logits,
	};
}

static int compute(struct work *w,
		   void (*run)(void *model, const struct pfw_call *call),
		   struct pfw_error *err)
{
	int rc;

	make_call(w);
	pfw_rank_work_begins(w->rank);
	rc = pfw_rank_do_call(w->rank,
			      w->program == PFW_PROGRAM_TRAIN ? w->op : NULL,
			      run, &w->call, err);
	pfw_rank_work_ends(w->rank, 1);
	return rc;
}

static int run_forward(struct work *w, struct pfw_error *err)
{
	const struct pfw_op *op = w->op;
	int rc = await(w, &op->input, err);

	if (!rc)
		rc = acquire(w, &op->output, err);
	if (rc)
		return rc;
	rc = compute(w, w->rank->job->model->ops->forward, err);
	if (rc)
		return rc;
	return send(w, &op->output,
		    op->output.channel == PFW_NONE ? 0 : output_bytes(w), err);
}

static int run_backward(struct work *w, struct pfw_error *err)
{
	const struct pfw_stage_ops *ops = w->rank->job->model->ops;
	const struct pfw_op *op = w->op;
	int rc = await(w, &op->grad_output, err);

	if (!rc)
		rc = acquire(w, &op->grad_input, err);
	if (rc)
		return rc;
	rc = compute(w, op->type == PFW_BACKWARD ? ops->backward :
						   ops->backward_input, err);
	if (rc)
		return rc;
	return send(w, &op->grad_input,
		    op->grad_input.channel == PFW_NONE ? 0 : input_bytes(w),
		    err);
}

static int run_compute(struct work *w, struct pfw_error *err)
{
	const struct pfw_op *op = w->op;
	int rc = 0;

	if (op->type == PFW_FORWARD)
		rc = run_forward(w, err);
	else if (op->type == PFW_BACKWARD_WEIGHT)
		rc = compute(w, w->rank->job->model->ops->backward_weight, err);
	else
		rc = run_backward(w, err);
	if (!rc && op->flags & PFW_RELEASE_INPUT)
		rc = release(w, &op->input, err);
	if (!rc && op->flags & PFW_RELEASE_GRAD)
		rc = release(w, &op->grad_output, err);
	return rc;
}

/* The step's tokens, where the first or the last stage is. */
static int run_load(struct work *w, struct pfw_error *err)
{
	struct pfw_rank *rank = w->rank;
	struct pfw_loader *loader = w->program == PFW_PROGRAM_TRAIN ?
					    rank->train : rank->valid;
	uint64_t bytes = (uint64_t)w->jp->program->microbatches *
			 rank->shape.batch * rank->shape.seq * sizeof(int32_t);
	int rc;

	if (!loader) /* no such stage here, or tokens are there already */
		return 0;
	atomic_store(&rank->boot->status->since, pfw_now());
	atomic_store(&rank->boot->status->wait, PFW_WAIT_DATA);
	rc = pfw_loader_next(loader, pfw_rank_deadline(rank), &rank->tokens,
			     &rank->targets, err);
	atomic_store(&rank->boot->status->wait, PFW_WAIT_NOTHING);
	if (rc || !rank->device_tokens)
		return rc;
	rc = rank->device_ops->copy(rank->queue, rank->device_tokens,
				    rank->tokens, bytes, PFW_COPY_IN, err);
	if (!rc)
		rc = rank->device_ops->copy(rank->queue, rank->device_targets,
					    rank->targets, bytes, PFW_COPY_IN,
					    err);
	rank->tokens = rank->device_tokens;
	rank->targets = rank->device_targets;
	return rc;
}

static int run_update(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc;

	pfw_rank_work_begins(rank);
	rc = pfw_rank_update(rank, err);
	pfw_rank_work_ends(rank, 0);
	return rc;
}

static int run_op(struct work *w, struct pfw_error *err)
{
	switch (w->op->type) {
	case PFW_FORWARD:
	case PFW_BACKWARD:
	case PFW_BACKWARD_INPUT:
	case PFW_BACKWARD_WEIGHT:
		return run_compute(w, err);
	case PFW_LOAD:
		return run_load(w, err);
	case PFW_TIE:
		return pfw_rank_tie(w->rank, err);
	case PFW_NORM:
		return pfw_rank_norm(w->rank, err);
	case PFW_OPT:
		return run_update(w->rank, err);
	}
	return pfw_error_set(err, ENOSYS, "the engine knows no action of type %u",
			     w->op->type);
}

static int trace_op(struct work *w, struct pfw_error *err)
{
	struct pfw_rank *rank = w->rank;
	struct pfw_trace_record record = {
		.step = rank->state.step + 1,
		.type = w->op->type,
		.stage = w->op->stage,
		.microbatch = w->op->microbatch,
		.begin = pfw_now(),
	};
	int rc;

	rank->start_ns = rank->wait_ns = 0;
	rank->wait_peer = PFW_NONE;
	rc = run_op(w, err);
	record.left = pfw_now();
	record.start = rank->start_ns ? rank->start_ns : record.begin;
	record.end = rank->start_ns ? rank->end_ns : record.left;
	record.peer = rank->wait_peer;
	record.wait = rank->wait_wait;
	record.kind = rank->wait_kind;
	pfw_rank_note(rank, &record);
	return rc;
}

/* For whoever looks on with the vendor's profiler, under the plan's name. */
static void begin_range(const struct work *w)
{
	char name[32];

	pfw_action_text(w->op->type, w->op->stage, w->op->microbatch, name,
			sizeof(name));
	w->rank->device_ops->mark(w->rank->device_object, name);
}

static int do_op(struct work *w, int traced, struct pfw_error *err)
{
	const struct pfw_rank *rank = w->rank;
	int marked = rank->device.props.profiled && rank->device_ops->mark, rc;

	if (marked)
		begin_range(w);
	rc = traced ? trace_op(w, err) : run_op(w, err);
	if (marked)
		rank->device_ops->mark(rank->device_object, NULL);
	return rc;
}

static void show(const struct pfw_rank *rank, const struct pfw_op *op)
{
	struct pfw_status *s = rank->boot->status;
	uint64_t turns = atomic_load_explicit(&s->turns, memory_order_relaxed);

	atomic_store_explicit(&s->type, op->type, memory_order_relaxed);
	atomic_store_explicit(&s->stage, op->stage, memory_order_relaxed);
	atomic_store_explicit(&s->microbatch, op->microbatch,
			      memory_order_relaxed);
	atomic_store_explicit(&s->turns, turns + 1, memory_order_relaxed);
}

/* What a message of a channel holds, for the shape that runs. */
static uint64_t message_bytes(const struct work *w,
			      const struct pfw_channel *channel,
			      uint32_t message)
{
	uint32_t maker = channel->messages[message].stage;
	const struct pfw_model_stage *s =
		&w->rank->job->model->stages[maker];
	uint32_t after = s->first_layer + s->n_layers - 1;

	return boundary_bytes(w->rank, channel->kind == PFW_CHANNEL_GRADIENT ?
					       s->first_layer - 1 : after);
}

/* The receives that the plan has before action @p i; *next goes on. */
static int post(const struct work *w, const struct pfw_rank_program *list,
		size_t i, uint32_t *next, struct pfw_error *err)
{
	int rc = 0;

	for (; !rc && *next < list->n_posts && list->posts[*next].at <= i;
	     (*next)++) {
		const struct pfw_posting *p = &list->posts[*next];
		const struct pfw_channel *c =
			&w->jp->program->channels[p->channel];

		rc = pfw_end_post(w->rank,
				  &w->rank->ends[w->jp->edge[p->channel]],
				  c->messages[p->message].slot,
				  message_bytes(w, c, p->message), err);
	}
	return rc;
}

int pfw_rank_run(struct pfw_rank *rank, uint32_t program,
		 struct pfw_error *err)
{
	struct work w = {
		.rank = rank,
		.program = program,
		.jp = &rank->job->programs[program],
	};
	const struct pfw_rank_program *list =
		&w.jp->program->rank[rank->rank];
	int traced = rank->trace && program == PFW_PROGRAM_TRAIN;
	uint32_t posted = 0;
	int rc = 0;

	for (uint32_t i = 0; i < w.jp->program->n_channels; i++)
		rank->ends[w.jp->edge[i]].arrived = 0;
	rank->busy_ns = 0;
	rank->first_ns = 0;
	rank->timing.on = rank->timing.items && program == PFW_PROGRAM_TRAIN;
	rc = rank->device_ops->zero(rank->queue, rank->scalars, sizeof(double),
				    err);
	atomic_store_explicit(&rank->boot->status->step, rank->state.step + 1,
			      memory_order_relaxed);
	atomic_store(&rank->boot->status->phase, PFW_PHASE_RUNNING);
	for (size_t i = 0; !rc && i < list->n; i++) {
		w.op = &list->ops[i];
		show(rank, w.op);
		rc = pfw_rank_settle(rank, err);
		if (!rc)
			rc = post(&w, list, i, &posted, err);
		if (!rc)
			rc = do_op(&w, traced, err);
		if (!rc && !rank->timing.on)
			rc = pfw_rank_mark(rank, err);
	}
	return rc ? rc : pfw_rank_drain(rank, err);
}
