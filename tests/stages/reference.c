#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* y [n] = x [k] W [k,n] + b, added to y. */
static void affine(double *y, const double *x, const double *w, const double *b,
		   uint32_t k, uint32_t n)
{
	for (uint32_t j = 0; j < n; j++)
		y[j] += b[j];
	for (uint32_t i = 0; i < k; i++)
		for (uint32_t j = 0; j < n; j++)
			y[j] += x[i] * w[i * n + j];
}

static void norm(double *y, const double *x, const double *w, const double *b,
		 uint32_t n)
{
	double mean = 0, variance = 0;

	for (uint32_t i = 0; i < n; i++)
		mean += x[i] / n;
	for (uint32_t i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean) / n;
	for (uint32_t i = 0; i < n; i++)
		y[i] = (x[i] - mean) / sqrt(variance + 1e-5) * w[i] + b[i];
}

/* out [c] of token t, whose keys and values are those of tokens 0 to t. */
static void attend(double *out, const double *qkv, uint32_t t, uint32_t c,
		   uint32_t heads)
{
	const uint32_t size = c / heads;

	for (uint32_t h = 0; h < heads; h++) {
		const double *q = qkv + t * 3 * c + h * size;
		double total = 0;

		for (uint32_t i = 0; i < size; i++)
			out[h * size + i] = 0;
		for (uint32_t s = 0; s <= t; s++) {
			const double *k = qkv + s * 3 * c + c + h * size;
			double score = 0;

			for (uint32_t i = 0; i < size; i++)
				score += q[i] * k[i];
			score = exp(score / sqrt(size));
			total += score;
			for (uint32_t i = 0; i < size; i++)
				out[h * size + i] += score * k[c + i];
		}
		for (uint32_t i = 0; i < size; i++)
			out[h * size + i] /= total;
	}
}

static double gelu(double x)
{
	return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* x [seq,c] through a block; tmp has room for 5 c (seq + 1) numbers. */
static void block(double *x, const double *const p[12], uint32_t seq,
		  uint32_t c, uint32_t heads, double *tmp)
{
	double *qkv = tmp, *h = tmp + 3 * c * seq, *wide = h + c;

	memset(qkv, 0, 3 * c * seq * sizeof(*qkv));
	for (uint32_t t = 0; t < seq; t++) {
		norm(h, x + t * c, p[0], p[1], c);
		affine(qkv + t * 3 * c, h, p[2], p[3], c, 3 * c);
	}
	for (uint32_t t = 0; t < seq; t++) {
		attend(h, qkv, t, c, heads);
		affine(x + t * c, h, p[4], p[5], c, c);
		norm(h, x + t * c, p[6], p[7], c);
		memset(wide, 0, 4 * c * sizeof(*wide));
		affine(wide, h, p[8], p[9], c, 4 * c);
		for (uint32_t i = 0; i < 4 * c; i++)
			wide[i] = gelu(wide[i]);
		affine(x + t * c, wide, p[10], p[11], 4 * c, c);
	}
}

static double cross_entropy(const struct reference *r, const double *h,
			    int32_t target)
{
	double total = 0, hit = 0;

	for (uint32_t v = 0; v < r->vocab; v++) {
		double logit = 0;

		for (uint32_t i = 0; i < r->hidden; i++)
			logit += h[i] * r->wte[v * r->hidden + i];
		total += exp(logit);
		if ((int32_t)v == target)
			hit = logit;
	}
	return log(total) - hit;
}

double reference_loss(const struct reference *r, const int32_t *tokens,
		      const int32_t *targets, uint32_t seq)
{
	const uint32_t c = r->hidden;
	double *x = malloc(6 * c * (seq + 1) * sizeof(*x));
	double *tmp = x + c * seq, loss = 0;

	if (!x)
		abort();
	for (uint32_t t = 0; t < seq; t++)
		for (uint32_t i = 0; i < c; i++)
			x[t * c + i] = r->wte[(uint32_t)tokens[t] * c + i] +
				       r->wpe[t * c + i];
	for (uint32_t l = 0; l < r->layers; l++)
		block(x, r->blocks[l], seq, c, r->heads, tmp);
	for (uint32_t t = 0; t < seq; t++) {
		norm(tmp, x + t * c, r->lnf_weight, r->lnf_bias, c);
		loss += cross_entropy(r, tmp, targets[t]);
	}
	free(x);
	return loss;
}
