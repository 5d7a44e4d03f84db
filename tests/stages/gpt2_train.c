/*
 * The gpt2 stage: gradients, and that nothing changes a bit of them.
 */
#include "unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "rig.h"

#define BATCH 2
#define SEQ 5
#define VOCAB 13
#define LAYERS 2
#define HEADS 2
#define WIDTH 16
#define MICRO 3
#define TOKENS (MICRO * BATCH * SEQ)

#define MODEL { "layers=2", "heads=2", "hidden=16", "context=7", "vocab=13" }

static struct pfw_registry *registry;
static struct pfw_rig_device subjects[MAX_SUBJECTS];
static uint32_t n_subjects;
static const struct pfw_loaded *gpt2;
static int32_t tokens[TOKENS], targets[TOKENS];

static void open_all(void)
{
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(NULL, &registry, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_get(registry, PFW_KIND_STAGE, "gpt2",
					       &gpt2, &err), 0);
	n_subjects = subjects_open(registry, 2, subjects);
	pfw_rig_tokens(tokens, TOKENS, VOCAB, 1);
	pfw_rig_tokens(targets, TOKENS, VOCAB, 2);
}

static void close_all(void)
{
	subjects_close(subjects, n_subjects);
	pfw_registry_close(registry);
}

/* The rig's weights in fp64, one of them movable, as the reference wants them. */
struct mirror {
	struct reference r;
	double **values;
	const double *blocks[LAYERS][12];
};

static void mirror_open(struct mirror *w, const struct pfw_rig *rig)
{
	const struct pfw_model *m = rig->model;
	uint32_t at = 2;

	w->values = calloc(m->n_params, sizeof(*w->values));
	for (uint32_t i = 0; i < m->n_params; i++) {
		w->values[i] = calloc(m->params[i].elements, sizeof(double));
		for (uint64_t k = 0; k < m->params[i].elements; k++)
			w->values[i][k] = (double)rig->weights[i][k];
	}
	for (uint32_t l = 0; l < LAYERS; l++)
		for (uint32_t k = 0; k < 12; k++)
			w->blocks[l][k] = w->values[at++];
	w->r = (struct reference){
		.layers = LAYERS, .heads = HEADS, .hidden = WIDTH,
		.vocab = VOCAB, .wte = w->values[0], .wpe = w->values[1],
		.blocks = w->blocks, .lnf_weight = w->values[at],
		.lnf_bias = w->values[at + 1] };
}

static void mirror_close(struct mirror *w, const struct pfw_rig *rig)
{
	for (uint32_t i = 0; i < rig->model->n_params; i++)
		free(w->values[i]);
	free(w->values);
}

static double mirror_loss(const struct mirror *w)
{
	double loss = 0;

	for (uint32_t i = 0; i < TOKENS; i += SEQ)
		loss += reference_loss(&w->r, tokens + i, targets + i, SEQ);
	return loss;
}

/* d loss / d value by central differences of fourth order: the error is about
 * 1e-16 / h and h^4. */
static double slope(const struct mirror *w, double *value)
{
	const double h = 1e-3, at = *value;
	double sum = 0;

	for (int k = -2; k <= 2; k++) {
		static const double factor[] = { 1, -8, 0, 8, -1 };

		*value = at + k * h;
		if (k)
			sum += factor[k + 2] * mirror_loss(w);
	}
	*value = at;
	return sum / (12 * h);
}

/* The gradient of a parameter's element, all its uses together. */
static double grad_of(const struct pfw_rig *r, uint32_t param, uint64_t element)
{
	double sum = 0;

	for (uint32_t u = 0; u < r->model->n_uses; u++)
		if (r->model->uses[u].param == param)
			sum += (double)r->grads[u][element];
	return sum;
}

/* Largest difference over largest gradient, of elements spread over it. */
static double grad_error(const struct pfw_rig *r, struct mirror *w, uint32_t param)
{
	const uint64_t n = r->model->params[param].elements;
	const uint64_t stride = n > 40 ? n / 37 : 1;
	double worst = 0, most = 0;

	for (uint64_t i = 0; i < n; i += stride) {
		double want = slope(w, &w->values[param][i]) / TOKENS;

		worst = fmax(worst, fabs(want - grad_of(r, param, i)));
		most = fmax(most, fabs(want));
	}
	return worst / most;
}

static void check_gradients(const struct pfw_rig_device *on, int how)
{
	const struct rig_setup setup = { .options = MODEL, .batch = BATCH,
					 .seq = SEQ, .split = how };
	const double bound = on->dtype == PFW_BF16 ? 3e-2 : 1e-5;
	struct mirror w;
	struct pfw_rig r;
	double loss;

	rig_open(&r, gpt2, on, &setup);
	mirror_open(&w, &r);
	loss = pfw_rig_train(&r, tokens, targets, MICRO, how);
	CU_ASSERT_DOUBLE_EQUAL(loss, mirror_loss(&w),
			       bound * loss);
	for (uint32_t p = 0; p < r.model->n_params; p++) {
		double error = grad_error(&r, &w, p);

		if (!(error < bound))
			printf("\n  %s: %s: %g\n", on->name,
			       r.model->params[p].info.name, error);
		CU_ASSERT_TRUE(error < bound);
	}
	mirror_close(&w, &r);
	pfw_rig_close(&r);
}

static void test_gradients(void)
{
	for (uint32_t i = 0; i < n_subjects; i++)
		check_gradients(&subjects[i], PFW_RIG_BACKWARD);
}

/* The setups must give the same bits of loss and gradients. */
static void same_bits(const struct pfw_rig_device *on, const struct rig_setup *a,
		      int how_a, const struct rig_setup *b, int how_b)
{
	struct pfw_rig x, y;
	double loss;

	rig_open(&x, gpt2, on, a);
	rig_open(&y, gpt2, on, b);
	loss = pfw_rig_train(&x, tokens, targets, MICRO, how_a);
	CU_ASSERT_EQUAL(loss, pfw_rig_train(&y, tokens, targets, MICRO, how_b));
	for (uint32_t u = 0; u < x.model->n_uses; u++) {
		uint32_t p = x.model->uses[u].param;
		int differ = memcmp(x.grads[u], y.grads[u], sizeof(float) *
				    x.model->params[p].elements);

		if (differ)
			printf("\n  %s: %s differs\n", on->name,
			       x.model->params[p].info.name);
		CU_ASSERT_EQUAL(differ, 0);
	}
	pfw_rig_close(&y);
	pfw_rig_close(&x);
}

static void test_split(void)
{
	struct rig_setup whole = { .options = MODEL, .batch = BATCH,
				   .seq = SEQ };
	struct rig_setup split = whole;

	split.split = 1;
	for (uint32_t i = 0; i < n_subjects; i++) {
		same_bits(&subjects[i], &whole, PFW_RIG_BACKWARD, &split,
			  PFW_RIG_APART);
		same_bits(&subjects[i], &whole, PFW_RIG_BACKWARD, &split,
			  PFW_RIG_BACKWARD);
	}
}

/* Every way to cut E t t L. */
static void test_cuts(void)
{
	static const char *const layouts[] = {
		"E | t t L", "E t | t L", "E t t | L", "E | t | t L",
		"E | t t | L", "E t | t | L", "E | t | t | L",
	};
	static const uint32_t stages[] = { 2, 2, 2, 3, 3, 3, 4 };
	struct rig_setup one = { .options = MODEL, .batch = BATCH, .seq = SEQ };

	for (uint32_t i = 0; i < n_subjects; i++) {
		for (uint32_t k = 0; k < 7; k++) {
			struct rig_setup cut = one;

			cut.layout = layouts[k];
			cut.stages = stages[k];
			same_bits(&subjects[i], &one, PFW_RIG_BACKWARD, &cut,
				  PFW_RIG_BACKWARD);
			cut.split = 1;
			same_bits(&subjects[i], &one, PFW_RIG_BACKWARD, &cut,
				  PFW_RIG_APART);
		}
	}
}

/* Evaluation: the training loss to the bit, on any cut. */
static void check_evaluation(const struct pfw_rig_device *on, uint32_t stages,
			     const char *layout)
{
	const struct rig_setup setup = { .options = MODEL, .batch = BATCH,
					 .seq = SEQ, .stages = stages,
					 .layout = layout };
	struct pfw_rig r;

	rig_open(&r, gpt2, on, &setup);
	CU_ASSERT_EQUAL(pfw_rig_train(&r, tokens, targets, 1, PFW_RIG_BACKWARD),
			pfw_rig_evaluate(&r, tokens, targets, NULL));
	pfw_rig_close(&r);
}

static void test_evaluation(void)
{
	for (uint32_t i = 0; i < n_subjects; i++) {
		check_evaluation(&subjects[i], 1, NULL);
		check_evaluation(&subjects[i], 3, "E t | t | L");
		check_evaluation(&subjects[i], 4, "E | t | t | L");
	}
}

/* Logits are those of the loss, and no token sees what comes after it. */
static void check_logits(const struct pfw_rig_device *on)
{
	const double bound = on->dtype == PFW_BF16 ? 3e-2 : 1e-5;
	struct rig_setup setup = { .options = MODEL, .batch = 1, .seq = SEQ };
	float logits[SEQ][VOCAB], shorter[SEQ][VOCAB];
	double loss = 0;
	struct pfw_rig r;

	rig_open(&r, gpt2, on, &setup);
	pfw_rig_evaluate(&r, tokens, NULL, logits[0]);
	for (uint32_t t = 0; t < SEQ; t++) {
		double total = 0;

		for (uint32_t v = 0; v < VOCAB; v++)
			total += exp((double)logits[t][v]);
		loss += log(total) - (double)logits[t][targets[t]];
	}
	CU_ASSERT_DOUBLE_EQUAL(loss, pfw_rig_evaluate(&r, tokens, targets, NULL),
			       bound);
	pfw_rig_close(&r);
	for (setup.seq = 1; setup.seq < SEQ; setup.seq++) {
		rig_open(&r, gpt2, on, &setup);
		pfw_rig_evaluate(&r, tokens, NULL, shorter[0]);
		for (uint32_t v = 0; v < setup.seq * VOCAB; v++)
			CU_ASSERT_DOUBLE_EQUAL((double)(&logits[0][0])[v],
					       (double)(&shorter[0][0])[v],
					       bound);
		pfw_rig_close(&r);
	}
}

static void test_logits(void)
{
	for (uint32_t i = 0; i < n_subjects; i++)
		check_logits(&subjects[i]);
}

/* The same numbers but for the order of sums. */
static void close_to(const struct pfw_rig *x, const struct pfw_rig *y)
{
	for (uint32_t u = 0; u < x->model->n_uses; u++) {
		uint32_t p = x->model->uses[u].param;

		for (uint64_t k = 0; k < x->model->params[p].elements; k++)
			CU_ASSERT_DOUBLE_EQUAL((double)x->grads[u][k],
					       (double)y->grads[u][k], 1e-6);
	}
}

/* A plugin that holds the logits of 128 tokens at most. */
static void test_chunked_head(void)
{
	const struct rig_setup setup = { .options = MODEL, .batch = 50,
					 .seq = SEQ };
	const char *dir = getenv("top_builddir");
	struct pfw_registry *other;
	const struct pfw_loaded *small;
	int32_t in[250], out[250];
	struct pfw_rig x, y;
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/stages/.libs", dir ? dir : ".");
	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(path, &other, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_get(other, PFW_KIND_STAGE, "gpt2",
					       &small, NULL), 0);
	pfw_rig_tokens(in, 250, VOCAB, 3);
	pfw_rig_tokens(out, 250, VOCAB, 4);
	rig_open(&x, gpt2, subjects, &setup);
	rig_open(&y, small, subjects, &setup);
	CU_ASSERT_EQUAL(pfw_rig_train(&x, in, out, 1, PFW_RIG_BACKWARD),
			pfw_rig_train(&y, in, out, 1, PFW_RIG_BACKWARD));
	close_to(&x, &y);
	CU_ASSERT_EQUAL(pfw_rig_evaluate(&x, in, out, NULL),
			pfw_rig_evaluate(&y, in, out, NULL));
	pfw_rig_close(&y);
	pfw_rig_close(&x);
	pfw_registry_close(other);
}

static const struct unit_test tests[] = {
	{ "open", open_all },
	{ "gradients against differences in fp64", test_gradients },
	{ "B is I and W, to the bit", test_split },
	{ "any cut, to the bit", test_cuts },
	{ "evaluation is the training loss", test_evaluation },
	{ "logits", test_logits },
	{ "logits in chunks", test_chunked_head },
	{ "close", close_all },
};
UNIT_MAIN("gpt2: training", tests)
