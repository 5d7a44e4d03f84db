/* TIE and OPT: gradients of tied parameters are added, weights change. */
#include <errno.h>
#include <math.h>

#include "runtime/rank.h"

static struct pfw_rank_use *use_of(struct pfw_rank *rank, uint32_t use)
{
	for (uint32_t i = 0; i < rank->n_uses; i++)
		if (rank->uses[i].use == use)
			return &rank->uses[i];
	return NULL;
}

/* Both uses are here. */
static void tie_at_home(struct pfw_rank *rank, const struct pfw_tie *tie)
{
	struct pfw_rank_use *first = use_of(rank, tie->use[0]);
	struct pfw_rank_use *second = use_of(rank, tie->use[1]);

	rank->device.kernels->add(rank->queue, first->grad, first->grad,
				  second->grad, first->n);
}

static int send_gradient(struct pfw_rank *rank, struct pfw_end *end,
			 const struct pfw_rank_use *u,
			 const struct pfw_awaited *what, struct pfw_error *err)
{
	uint32_t slot = (uint32_t)(end->sent % end->edge->n_slots);
	uint64_t bytes = u->n * sizeof(float);
	int rc = pfw_end_acquire(rank, end, slot, what, err);

	if (!rc)
		rc = rank->device_ops->copy(rank->queue,
					    pfw_end_slot(end, slot), u->grad,
					    bytes, PFW_COPY_ON, err);
	return rc ? rc : pfw_end_send(rank, end, PFW_PROGRAM_TRAIN, slot, bytes,
				      what->stage, what->microbatch, err);
}

/* One use is here: each sends its own and adds the two in layer order. */
static int tie_across(struct pfw_rank *rank, const struct pfw_tie *tie,
		      struct pfw_error *err)
{
	uint32_t mine = tie->rank[1] == rank->rank, peer = tie->rank[!mine];
	struct pfw_rank_use *u = use_of(rank, tie->use[mine]);
	uint32_t out = pfw_job_edge(rank->job, rank->rank, peer,
				    PFW_CHANNEL_TIE, tie->param);
	uint32_t in = pfw_job_edge(rank->job, peer, rank->rank, PFW_CHANNEL_TIE,
				   tie->param);
	const struct pfw_awaited what = { PFW_TIE, PFW_NONE, PFW_NONE };
	const void *theirs;
	uint32_t slot;
	int rc = send_gradient(rank, &rank->ends[out], u, &what, err);

	if (!rc)
		rc = pfw_end_receive_next(rank, &rank->ends[in],
					  PFW_PROGRAM_TRAIN, &what,
					  u->n * sizeof(float), &theirs, &slot,
					  err);
	if (!rc)
		rc = pfw_end_fetch(rank, &rank->ends[in], slot,
				   u->n * sizeof(float), err);
	if (rc)
		return rc;
	theirs = pfw_end_slot(&rank->ends[in], slot);
	rank->device.kernels->add(rank->queue, u->grad,
				  mine ? theirs : u->grad,
				  mine ? u->grad : theirs, u->n);
	return pfw_end_release(rank, &rank->ends[in], slot, err);
}

int pfw_rank_tie(struct pfw_rank *rank, struct pfw_error *err)
{
	for (uint32_t i = 0; i < rank->job->n_ties; i++) {
		const struct pfw_tie *tie = &rank->job->ties[i];
		int first = tie->rank[0] == rank->rank;
		int second = tie->rank[1] == rank->rank;
		int rc = 0;

		if (first && second)
			tie_at_home(rank, tie);
		else if (first || second)
			rc = tie_across(rank, tie, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Linear warm-up, then half a cosine down to min_lr (arXiv 1608.03983). */
double pfw_learning_rate(const struct pfw_config *cfg, uint64_t steps,
			 uint64_t update)
{
	double warmup = (double)cfg->optimizer.warmup;
	double lr = cfg->optimizer.lr, low = cfg->optimizer.min_lr;
	double end = cfg->optimizer.decay_steps ?
			     (double)cfg->optimizer.decay_steps : (double)steps;
	double t = (double)update, share;

	if (t < warmup)
		return lr * (t + 1) / warmup;
	if (end <= warmup)
		return lr;
	share = (t - warmup) / (end - warmup);
	if (share > 1)
		share = 1;
	return low + 0.5 * (lr - low) * (1 + cos(acos(-1.0) * share));
}

/* What all updates of a step have in common. */
static struct pfw_adamw common(const struct pfw_rank *rank)
{
	const struct pfw_config *cfg = rank->job->cfg;
	double t = (double)rank->state.updates + 1;

	return (struct pfw_adamw){
		.size = sizeof(struct pfw_adamw),
		.lr = (float)pfw_learning_rate(cfg, rank->job->steps,
					       rank->state.updates),
		.beta1 = (float)cfg->optimizer.beta1,
		.beta2 = (float)cfg->optimizer.beta2,
		.epsilon = (float)cfg->optimizer.epsilon,
		.correction1 = (float)(1 - pow(cfg->optimizer.beta1, t)),
		.correction2 = (float)(1 - pow(cfg->optimizer.beta2, t)),
		.grad_scale = &rank->clipped->scale,
		.skip = &rank->clipped->skip,
	};
}

static struct pfw_adamw update_of(const struct pfw_rank *rank,
				  const struct pfw_rank_param *p,
				  const struct pfw_adamw *same)
{
	const struct pfw_config *cfg = rank->job->cfg;
	const uint32_t flags = rank->job->model->params[p->param].info.flags;
	struct pfw_adamw a = *same;

	a.n = p->n;
	a.weight = p->weight;
	a.weight_act = cfg->stochastic ? NULL : p->forms[PFW_FORM_ACT];
	a.grad = p->grad;
	a.m = p->moment1;
	a.v = p->moment2;
	if (flags & PFW_PARAM_DECAY)
		a.weight_decay = (float)cfg->optimizer.weight_decay;
	return a;
}

/* The kernel that updates it packs it too. */
static int is_packed(const struct pfw_rank *rank, const struct pfw_rank_param *p)
{
	return rank->device.kernels->adamw_packed &&
	       !rank->job->cfg->stochastic && p->forms[PFW_GEMM_NT] &&
	       p->forms[PFW_GEMM_NN];
}

static void update_all(struct pfw_rank *rank)
{
	const struct pfw_kernels *k = rank->device.kernels;
	const struct pfw_adamw same = common(rank);
	uint32_t n = 0; /* of those that are left to be updated together */

	for (uint32_t i = 0; i < rank->n_params; i++) {
		const struct pfw_rank_param *p = &rank->params[i];
		const struct pfw_param *info =
			&rank->job->model->params[p->param].info;
		const struct pfw_adamw a = update_of(rank, p, &same);

		if (is_packed(rank, p))
			k->adamw_packed(rank->queue, &a,
					(uint32_t)info->dims[0],
					(uint32_t)info->dims[1], p->forms);
		else if (k->adamw_of)
			rank->updates[n++] = a;
		else
			k->adamw(rank->queue, &a);
	}
	if (n)
		k->adamw_of(rank->queue, rank->updates, n);
}

/* Forms that the updates have not made. */
static void form_all(struct pfw_rank *rank)
{
	const uint32_t n = rank->job->cfg->stochastic ? PFW_FORMS : PFW_FORM_ACT;

	for (uint32_t i = 0; i < rank->n_params; i++)
		if (!is_packed(rank, &rank->params[i]))
			pfw_rank_form(rank, &rank->params[i], n);
}

int pfw_rank_update(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_clipped *clipped = &rank->decision.clipped;
	const int known = !pfw_rank_device_decides(rank);
	int rc = 0;

	if (known)
		rc = rank->device_ops->copy(rank->queue, rank->clipped, clipped,
					    sizeof(*clipped), PFW_COPY_IN, err);
	if (rc)
		return rc;
	update_all(rank);
	if (known)
		rank->state.updates += !clipped->skip;
	/* Where that is not known: forms of weights that did not change are what
	 * they were. */
	if (!known || !clipped->skip)
		form_all(rank);
	return 0;
}
