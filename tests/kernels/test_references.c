/* The references' own gradients, by finite differences. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

#define STEP 1e-5
#define BOUND 1e-7

/* What is differentiated: a weighted sum of some reference's output. */
struct problem {
	double (*value)(const struct problem *p);
	double *vary; /* n of these, one after the other */
	size_t n;
	const double *x, *w, *b, *weights;
	const int32_t *targets;
};

static void check_gradient(const struct problem *p, const char *what,
			   const double *gradient)
{
	double *numeric = doubles(p->n);

	for (size_t i = 0; i < p->n; i++) {
		double old = p->vary[i], up, down;

		p->vary[i] = old + STEP;
		up = p->value(p);
		p->vary[i] = old - STEP;
		down = p->value(p);
		p->vary[i] = old;
		numeric[i] = (up - down) / (2.0 * STEP);
	}
	check_close(NULL, what, gradient, numeric, p->n, BOUND, BOUND);
	free(numeric);
}

static double *random_doubles(size_t n)
{
	double *x = doubles(n);

	for (size_t i = 0; i < n; i++)
		x[i] = random_uniform();
	return x;
}

enum { ROWS = 3, C = 5, SEQ = 5, HEADS = 2, SIZE = 3 };

static double layernorm_value(const struct problem *p)
{
	double out[ROWS * C], mean[ROWS], rstd[ROWS], sum = 0.0;

	ref_layernorm(p->x, p->w, p->b, ROWS, C, out, mean, rstd);
	for (size_t i = 0; i < ROWS * C; i++)
		sum += out[i] * p->weights[i];
	return sum;
}

static void layernorm_gradients(void)
{
	double *x = random_doubles(ROWS * C), *w = random_doubles(C);
	double *b = random_doubles(C), *g = random_doubles(ROWS * C);
	double dx[ROWS * C], dw[C] = { 0 }, db[C] = { 0 };
	struct problem p = { .value = layernorm_value, .vary = x,
			     .n = ROWS * C, .x = x, .w = w, .b = b,
			     .weights = g };

	ref_layernorm_backward(x, w, g, ROWS, C, dx, dw, db);
	check_gradient(&p, "layernorm dx", dx);
	p.n = C;
	p.vary = w;
	check_gradient(&p, "layernorm dweight", dw);
	p.vary = b;
	check_gradient(&p, "layernorm dbias", db);
	free(x);
	free(w);
	free(b);
	free(g);
}

static double attention_value(const struct problem *p)
{
	double out[2 * SEQ * HEADS * SIZE], stats[2 * SEQ * HEADS], sum = 0.0;

	ref_attention(p->x, 2, SEQ, HEADS, SIZE, out, stats);
	for (size_t i = 0; i < sizeof(out) / sizeof(*out); i++)
		sum += out[i] * p->weights[i];
	return sum;
}

static void attention_gradients(void)
{
	size_t n = 2 * SEQ * HEADS * SIZE;
	double *x = random_doubles(3 * n), *g = random_doubles(n);
	double *dx = doubles(3 * n);
	struct problem p = { .value = attention_value, .vary = x, .n = 3 * n,
			     .x = x, .weights = g };

	ref_attention_backward(x, g, 2, SEQ, HEADS, SIZE, dx);
	check_gradient(&p, "attention dqkv", dx);
	free(x);
	free(g);
	free(dx);
}

static double classifier_value(const struct problem *p)
{
	return ref_classifier(p->x, p->targets, ROWS, C, NULL);
}

static void classifier_gradients(void)
{
	double *x = random_doubles(ROWS * C), dx[ROWS * C];
	const int32_t targets[ROWS] = { 0, 4, 2 };
	struct problem p = { .value = classifier_value, .vary = x,
			     .n = ROWS * C, .x = x, .targets = targets };

	ref_classifier(x, targets, ROWS, C, dx);
	check_gradient(&p, "classifier", dx);
	free(x);
}

static double gelu_value(const struct problem *p)
{
	double sum = 0.0;

	for (size_t i = 0; i < p->n; i++)
		sum += ref_gelu(p->x[i]);
	return sum;
}

static void gelu_gradients(void)
{
	double x[C] = { -3.0, -0.7, 0.0, 0.4, 2.5 }, slope[C];
	struct problem p = { .value = gelu_value, .vary = x, .n = C,
			     .x = x };

	for (size_t i = 0; i < C; i++)
		slope[i] = ref_gelu_slope(x[i]);
	check_gradient(&p, "gelu", slope);
}

void check_references(void)
{
	layernorm_gradients();
	attention_gradients();
	classifier_gradients();
	gelu_gradients();
}
