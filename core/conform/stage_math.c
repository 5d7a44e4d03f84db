/* What a stage computes: gradients, and that nothing changes a bit of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conform/stage_kit.h"

/*
 * Each weight goes a little up or down, by chance: the loss must change as the
 * gradients say.  Central differences with two steps, the error of which is of
 * the fourth order (Richardson); a loss is a sum of fp32 terms, good to 1e-6.
 */
#define STEP 2e-3f
#define DIRECTIONS 4u

struct probe {
	struct pfw_rig *r;
	const struct pfw_case *c;
	float *was;
	signed char *sign;
};

static double loss_at(const struct probe *p, uint32_t param, float step)
{
	const uint64_t n = p->r->model->params[param].elements;
	double loss;

	for (uint64_t k = 0; k < n; k++)
		p->r->weights[param][k] = p->was[k] + step * (float)p->sign[k];
	loss = pfw_rig_evaluate(p->r, p->c->tokens, p->c->targets, NULL);
	memcpy(p->r->weights[param], p->was, n * sizeof(float));
	return loss;
}

static double slope(const struct probe *p, uint32_t param)
{
	double near = loss_at(p, param, STEP) - loss_at(p, param, -STEP);
	double far = loss_at(p, param, 2 * STEP) - loss_at(p, param, -2 * STEP);

	return (8 * near - far) / (12 * (double)STEP);
}

/* The gradient along the signs, all uses together, and its length. */
static double promised(const struct probe *p, uint32_t param, double *length)
{
	const struct pfw_model *m = p->r->model;
	double along = 0, squares = 0;

	for (uint64_t k = 0; k < m->params[param].elements; k++) {
		double sum = 0;

		for (uint32_t u = 0; u < m->n_uses; u++)
			if (m->uses[u].param == param)
				sum += (double)p->r->grads[u][k];
		along += sum * p->sign[k];
		squares += sum * sum;
	}
	*length = sqrt(squares) * p->c->rows;
	return along * p->c->rows;
}

static void check_param(struct pfw_trial *t, const struct probe *p,
			uint32_t param, double loss)
{
	const struct pfw_model_param *info = &p->r->model->params[param];
	uint32_t random = 12345 + param;

	memcpy(p->was, p->r->weights[param], info->elements * sizeof(float));
	for (uint32_t d = 0; d < DIRECTIONS; d++) {
		double want, length, got;

		for (uint64_t k = 0; k < info->elements; k++) {
			random = random * 1664525u + 1013904223u;
			p->sign[k] = random >> 31 ? 1 : -1;
		}
		want = slope(p, param);
		got = promised(p, param, &length);
		if (fabs(want - got) <= 0.03 * fmax(length, fabs(want)) +
					4e-6 * fmax(1, fabs(loss)) /
					(double)STEP)
			continue;
		pfw_trial_refuse(t, "%s: along a line through %s the loss rises "
			"by %.4g for each unit, its gradient says %.4g",
			p->c->options, info->info.name, want, got);
	}
}

static uint64_t most_elements(const struct pfw_model *m)
{
	uint64_t most = 1;

	for (uint32_t i = 0; i < m->n_params; i++)
		most = m->params[i].elements > most ? m->params[i].elements : most;
	return most;
}

static void gradients(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	struct pfw_rig r;
	struct probe p = { .r = &r, .c = c };
	double loss;

	if (!c->n_params)
		pfw_trial_skip(t, "it has no parameters");
	pfw_case_open(t, c, &c->setup, &r);
	loss = pfw_rig_train(&r, c->tokens, c->targets, 1, PFW_RIG_BACKWARD);
	p.was = pfw_trial_alloc(t, most_elements(r.model) * sizeof(float));
	p.sign = pfw_trial_alloc(t, most_elements(r.model));
	for (uint32_t i = 0; i < r.model->n_params; i++)
		check_param(t, &p, i, loss);
	pfw_case_close(t, &r);
}

const struct pfw_check pfw_check_gradients = {
	"gradients against differences",
	"pipefw/stage.h, backward(): grads are the gradients of the loss times "
	"loss_scale, those of tied uses apart",
	"see which parameter is named; the ones nearer to the loss are checked after "
	"it, in the order of the layers", 120, gradients,
};

/* The first parameter that differs; PFW_NONE: the same bits. */
static uint32_t first_different(const struct pfw_rig *x, const struct pfw_rig *y)
{
	for (uint32_t u = 0; u < x->model->n_uses; u++) {
		uint32_t p = x->model->uses[u].param;

		if (memcmp(x->grads[u], y->grads[u],
			   x->model->params[p].elements * sizeof(float)))
			return u;
	}
	return PFW_NONE;
}

/* Two ways to do a step must give the same bits of loss and gradients. */
static void same_bits(struct pfw_trial *t, const struct pfw_case *c,
		      const char *what, const struct pfw_rig_setup *a,
		      int how_a, const struct pfw_rig_setup *b, int how_b)
{
	struct pfw_rig x, y;
	double loss, other;
	uint32_t use;

	pfw_case_open(t, c, a, &x);
	loss = pfw_rig_train(&x, c->tokens, c->targets, PFW_CASE_MICRO, how_a);
	pfw_case_open(t, c, b, &y);
	other = pfw_rig_train(&y, c->tokens, c->targets, PFW_CASE_MICRO, how_b);
	if (memcmp(&loss, &other, sizeof(loss)))
		pfw_trial_refuse(t, "%s: %s the loss is %.17g, and was %.17g",
				 c->options, what, other, loss);
	use = first_different(&x, &y);
	if (use != PFW_NONE)
		pfw_trial_refuse(t, "%s: %s the gradient of %s is not the same "
				 "to the bit", c->options, what,
				 x.model->uses[use].info->name);
	pfw_case_close(t, &x);
	pfw_case_close(t, &y);
}

static void cuts(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);

	if (c->n_layers < 2)
		pfw_trial_skip(t, "it has one layer");
	for (uint32_t n = 2; n <= c->n_layers && n <= 8; n++) {
		struct pfw_rig_setup cut = c->setup;

		cut.stages = n;
		same_bits(t, c, "cut into stages", &c->setup, PFW_RIG_BACKWARD,
			  &cut, PFW_RIG_BACKWARD);
	}
}

const struct pfw_check pfw_check_cuts = {
	"any cut, to the bit",
	"pipefw/stage.h, struct pfw_call: a range of layers; pipefw(1): losses and "
	"weights are the same to the bit for every p",
	"read a range's input from call->input at its first layer and from saved "
	"memory at the others; let sums depend on the shape alone", 60, cuts,
};

static void split(struct pfw_trial *t)
{
	const struct pfw_case *c;
	struct pfw_rig_setup apart, cut;

	if (!(t->plugin->ops.stage.flags & PFW_STAGE_SPLITS))
		pfw_trial_skip(t, "it does not split its backward");
	c = pfw_trial_case(t);
	apart = cut = c->setup;
	apart.split = cut.split = 1;
	cut.stages = c->n_layers < 3 ? c->n_layers : 3;
	same_bits(t, c, "with I and W in place of B", &c->setup,
		  PFW_RIG_BACKWARD, &apart, PFW_RIG_APART);
	same_bits(t, c, "with I and W in place of B, cut into stages,",
		  &c->setup, PFW_RIG_BACKWARD, &cut, PFW_RIG_APART);
	same_bits(t, c, "with a shape for I and W, and B,", &c->setup,
		  PFW_RIG_BACKWARD, &apart, PFW_RIG_BACKWARD);
}

const struct pfw_check pfw_check_split = {
	"B is I and W, to the bit",
	"pipefw/stage.h, backward_input() and backward_weight(): together what "
	"backward() is, I of many micro-batches before W of the first",
	"keep in saved memory what W needs of I, and count it where shape.split is 1",
	60, split,
};

static void again(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);

	for (int i = 0; i < 3; i++)
		same_bits(t, c, "the second time, in other memory,", &c->setup,
			  PFW_RIG_BACKWARD, &c->setup, PFW_RIG_BACKWARD);
}

const struct pfw_check pfw_check_again = {
	"the same again, in other memory",
	"pipefw/stage.h: a stage keeps no pointer between calls; the same numbers "
	"give the same bits",
	"keep nothing but what open() made; take every pointer from the call",
	60, again,
};

static void order(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);

	same_bits(t, c, "with each micro-batch back before the next goes forward",
		  &c->setup, PFW_RIG_BACKWARD, &c->setup, PFW_RIG_IN_TURN);
}

const struct pfw_check pfw_check_order = {
	"micro-batches in any order",
	"pipefw/stage.h, struct pfw_call: what F keeps for B is in `saved` of that "
	"micro-batch; others may be in flight, or not",
	"keep nothing between F and B elsewhere than in call->saved", 60, order,
};

/* Of a use: how far from the fp32 gradient, and how long that is. */
static double distance(const struct pfw_rig *r, const struct pfw_rig *half,
		       uint32_t use, double *length)
{
	const uint64_t n =
		r->model->params[r->model->uses[use].param].elements;
	double squares = 0, off = 0;

	for (uint64_t k = 0; k < n; k++) {
		double want = (double)r->grads[use][k];
		double d = (double)half->grads[use][k] - want;

		squares += want * want;
		off += d * d;
	}
	*length = sqrt(squares);
	return sqrt(off);
}

/* bf16 has 8 bits, and the errors of a few layers add up.  Some gradients are 0
 * but for these: hence the share of the longest. */
static void near_fp32(struct pfw_trial *t, const struct pfw_case *c,
		      const struct pfw_case *bf16)
{
	double loss, other, length, most = 0;
	struct pfw_rig r, half;

	pfw_case_open(t, c, &c->setup, &r);
	loss = pfw_rig_train(&r, c->tokens, c->targets, 1, PFW_RIG_BACKWARD);
	pfw_case_open(t, bf16, &c->setup, &half);
	other = pfw_rig_train(&half, c->tokens, c->targets, 1,
			      PFW_RIG_BACKWARD);
	if (!(fabs(other - loss) <= 0.03 * fmax(1, fabs(loss))))
		pfw_trial_refuse(t, "%s: the loss is %.6g in bf16 and %.6g in "
				 "fp32", c->options, other, loss);
	for (uint32_t u = 0; u < r.model->n_uses; u++) {
		distance(&r, &half, u, &length);
		most = fmax(most, length);
	}
	for (uint32_t u = 0; u < r.model->n_uses; u++) {
		double off = distance(&r, &half, u, &length);

		if (!(off <= 0.1 * length + 0.02 * most))
			pfw_trial_refuse(t, "%s: in bf16 the gradient of %s is "
				"off by %.3g of %.3g", c->options,
				r.model->uses[u].info->name, off, length);
	}
	pfw_case_close(t, &r);
	pfw_case_close(t, &half);
}

static void bf16(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	const struct pfw_case *half = pfw_trial_case_bf16(t);
	struct pfw_rig_setup cut = c->setup;

	cut.stages = c->n_layers < 3 ? c->n_layers : 3;
	if (!c->n_params)
		pfw_trial_skip(t, "it has no parameters");
	near_fp32(t, c, half);
	same_bits(t, half, "in bf16, cut into stages", &c->setup,
		  PFW_RIG_BACKWARD, &cut, PFW_RIG_IN_TURN);
	if (!(t->plugin->ops.stage.flags & PFW_STAGE_SPLITS))
		return;
	cut.split = 1;
	same_bits(t, half, "in bf16, with I and W in place of B,", &c->setup,
		  PFW_RIG_BACKWARD, &cut, PFW_RIG_APART);
}

const struct pfw_check pfw_check_bf16 = {
	"bf16 is near fp32",
	"pipefw/stage.h, struct pfw_call_shape, act_dtype: activations, boundaries "
	"and what products read are of this type; grads are fp32",
	"count bytes by pfw_dtype_bytes(shape.act_dtype); give products packed "
	"weights, or weights_act, where the call has them", 60, bf16,
};

/* The sum over micro-batches of what each alone gives. */
static void grouping(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	struct pfw_rig all, one[PFW_CASE_MICRO];
	double loss, sum = 0;

	pfw_case_open(t, c, &c->setup, &all);
	loss = pfw_rig_train(&all, c->tokens, c->targets, PFW_CASE_MICRO,
			     PFW_RIG_BACKWARD);
	for (uint32_t i = 0; i < PFW_CASE_MICRO; i++) {
		pfw_case_open(t, c, &c->setup, &one[i]);
		sum += pfw_rig_train(&one[i], c->tokens + i * c->rows,
				     c->targets + i * c->rows, 1,
				     PFW_RIG_BACKWARD);
	}
	if (fabs(loss - sum) > 1e-5 * fmax(1, fabs(sum)))
		pfw_trial_refuse(t, "the loss of %u micro-batches is %.9g, of "
				 "each alone together %.9g", PFW_CASE_MICRO,
				 loss, sum);
	for (uint32_t u = 0; u < all.model->n_uses; u++) {
		uint32_t p = all.model->uses[u].param;
		double most = 0, worst = 0;

		for (uint64_t k = 0; k < all.model->params[p].elements; k++) {
			double want = 0;

			for (uint32_t i = 0; i < PFW_CASE_MICRO; i++)
				want += (double)one[i].grads[u][k] /
					PFW_CASE_MICRO;
			most = fmax(most, fabs(want));
			worst = fmax(worst,
				     fabs(want - (double)all.grads[u][k]));
		}
		if (worst > 1e-4 * most + 1e-9)
			pfw_trial_refuse(t, "%s: the gradient of %s is not the "
				"sum over micro-batches: off by %.3g of %.3g",
				c->options, all.model->uses[u].info->name, worst,
				most);
	}
	for (uint32_t i = 0; i < PFW_CASE_MICRO; i++)
		pfw_case_close(t, &one[i]);
	pfw_case_close(t, &all);
}

const struct pfw_check pfw_check_grouping = {
	"gradients add up over micro-batches",
	"pipefw/stage.h, PFW_CALL_ACCUMULATE and loss_scale: gradients are added to "
	"what is there, else overwritten; a token counts loss_scale",
	"hand PFW_CALL_ACCUMULATE on to every kernel that writes a gradient", 60,
	grouping,
};

static void evaluation(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);

	for (uint32_t n = 1; n <= c->n_layers && n <= 4; n++) {
		struct pfw_rig_setup cut = c->setup;
		struct pfw_rig r;
		double train, eval;

		cut.stages = n;
		pfw_case_open(t, c, &cut, &r);
		train = pfw_rig_train(&r, c->tokens, c->targets, 1,
				      PFW_RIG_BACKWARD);
		eval = pfw_rig_evaluate(&r, c->tokens, c->targets, NULL);
		if (!(fabs(train - eval) <= 1e-5 * fmax(1, fabs(train))))
			pfw_trial_refuse(t, "%s: in %u stages training gives the "
				"loss %.9g, evaluation %.9g", c->options, n,
				train, eval);
		pfw_case_close(t, &r);
	}
}

const struct pfw_check pfw_check_evaluation = {
	"evaluation is the training loss",
	"pipefw/stage.h: without PFW_CALL_TRAIN forward adds the loss, and keeps "
	"nothing: saved is NULL, grads are NULL",
	"pass on in work what is not kept", 60, evaluation,
};

static void logits(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	double loss, sum = 0;
	struct pfw_rig r;
	float *at;

	if (!c->vocab)
		pfw_trial_skip(t, "it reads no tokens");
	at = pfw_trial_alloc(t, (size_t)c->rows * c->vocab * sizeof(*at));
	memset(at, 0xff, (size_t)c->rows * c->vocab * sizeof(*at));
	pfw_case_open(t, c, &c->setup, &r);
	pfw_trial_doing(t, "asking for logits, with targets and loss NULL");
	pfw_rig_evaluate(&r, c->tokens, NULL, at);
	loss = pfw_rig_evaluate(&r, c->tokens, c->targets, NULL);
	for (uint32_t i = 0; i < c->rows; i++) {
		const float *row = at + (size_t)i * c->vocab;
		double most = (double)row[0], total;

		for (uint32_t v = 1; v < c->vocab; v++)
			most = fmax(most, (double)row[v]);
		total = exp((double)row[0] - most);
		for (uint32_t v = 1; v < c->vocab; v++)
			total += exp((double)row[v] - most);
		sum += log(total) + most - (double)row[c->targets[i]];
	}
	if (!(fabs(sum - loss) <= 1e-4 * fmax(1, fabs(loss))))
		pfw_trial_refuse(t, "%s: the loss is %.9g, and by the logits "
				 "%.9g", c->options, loss, sum);
	pfw_case_close(t, &r);
}

const struct pfw_check pfw_check_logits = {
	"logits are those of the loss",
	"pipefw/stage.h, struct pfw_call, logits: if not NULL [batch, seq, vocab] in "
	"fp32 are written; then no targets, no loss",
	"look at call->logits before call->targets", 30, logits,
};

/* What is not a number must be seen by who looks at loss and gradients. */
static void not_finite(struct pfw_trial *t)
{
	const struct pfw_case *c = pfw_trial_case(t);
	struct pfw_rig r;

	if (!c->n_params)
		pfw_trial_skip(t, "it has no parameters");
	pfw_case_open(t, c, &c->setup, &r);
	for (uint32_t i = 0; i < r.model->n_params; i++) {
		const uint64_t n = r.model->params[i].elements;
		float *was = pfw_trial_alloc(t, n * sizeof(*was));
		uint64_t element;
		double loss;

		memcpy(was, r.weights[i], n * sizeof(*was));
		for (uint64_t k = 0; k < n; k++)
			r.weights[i][k] = NAN;
		pfw_trial_doing(t, "with %s full of NaN",
				r.model->params[i].info.name);
		loss = pfw_rig_train(&r, c->tokens, c->targets, 1,
				     PFW_RIG_BACKWARD);
		if (isfinite(loss) && pfw_case_not_finite(&r, &element) == PFW_NONE)
			pfw_trial_refuse(t, "%s: %s is full of NaN, and loss and "
				"gradients are finite all the same", c->options,
				r.model->params[i].info.name);
		memcpy(r.weights[i], was, n * sizeof(*was));
		free(was);
	}
	pfw_case_close(t, &r);
}

const struct pfw_check pfw_check_not_finite = {
	"what is not a number is seen",
	"pipefw-plugin(7), Stages: a step with a loss or gradient that is not finite "
	"is left out by the core, which can only see what is handed on",
	"compare so that NaN is not lost: fmax() drops it, as x > 0 ? x : 0 does", 60,
	not_finite,
};
