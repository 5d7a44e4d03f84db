/* References in double, written for clearness alone. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

static const double root_2_pi = 0.79788456080286535588;

double ref_gelu(double x)
{
	return 0.5 * x * (1.0 + tanh(root_2_pi * (x + 0.044715 * x * x * x)));
}

double ref_gelu_slope(double x)
{
	double t = tanh(root_2_pi * (x + 0.044715 * x * x * x));

	return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root_2_pi *
					 (1.0 + 3.0 * 0.044715 * x * x);
}

void ref_product(uint32_t kind, uint32_t m, uint32_t n, uint32_t k,
		 const double *a, const double *b, double *c)
{
	size_t a_row = kind == PFW_GEMM_TN ? 1 : k;
	size_t a_k = kind == PFW_GEMM_TN ? m : 1;
	size_t b_col = kind == PFW_GEMM_NT ? k : 1;
	size_t b_k = kind == PFW_GEMM_NT ? 1 : n;

	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++) {
			double sum = 0.0;

			for (size_t kk = 0; kk < k; kk++)
				sum += a[i * a_row + kk * a_k] *
				       b[j * b_col + kk * b_k];
			c[i * n + j] = sum;
		}
}

void ref_layernorm(const double *x, const double *w, const double *b,
		   size_t rows, size_t c, double *out, double *mean,
		   double *rstd)
{
	for (size_t r = 0; r < rows; r++, x += c, out += c) {
		double mu = 0.0, var = 0.0;

		for (size_t i = 0; i < c; i++)
			mu += x[i] / (double)c;
		for (size_t i = 0; i < c; i++)
			var += (x[i] - mu) * (x[i] - mu) / (double)c;
		mean[r] = mu;
		rstd[r] = 1.0 / sqrt(var + 1e-5);
		for (size_t i = 0; i < c; i++)
			out[i] = (x[i] - mu) * rstd[r] * w[i] + b[i];
	}
}

void ref_layernorm_backward(const double *x, const double *w,
			    const double *dout, size_t rows, size_t c,
			    double *dx, double *dw, double *db)
{
	for (size_t r = 0; r < rows; r++, x += c, dout += c, dx += c) {
		double mu = 0.0, var = 0.0, rs, a = 0.0, b = 0.0;

		for (size_t i = 0; i < c; i++)
			mu += x[i] / (double)c;
		for (size_t i = 0; i < c; i++)
			var += (x[i] - mu) * (x[i] - mu) / (double)c;
		rs = 1.0 / sqrt(var + 1e-5);
		for (size_t i = 0; i < c; i++) {
			double xhat = (x[i] - mu) * rs;

			a += dout[i] * w[i] / (double)c;
			b += dout[i] * w[i] * xhat / (double)c;
			dw[i] += dout[i] * xhat;
			db[i] += dout[i];
		}
		for (size_t i = 0; i < c; i++)
			dx[i] = (dout[i] * w[i] - a - (x[i] - mu) * rs * b) * rs;
	}
}

/* Probabilities of query @p i over keys 0..i; gives the log-sum-exp. */
static double probabilities(const double *q, const double *k, size_t i,
			    size_t ld, size_t size, double *p)
{
	double max = -INFINITY, sum = 0.0;

	for (size_t j = 0; j <= i; j++) {
		p[j] = 0.0;
		for (size_t d = 0; d < size; d++)
			p[j] += q[i * ld + d] * k[j * ld + d];
		p[j] /= sqrt((double)size);
		max = p[j] > max ? p[j] : max;
	}
	for (size_t j = 0; j <= i; j++)
		sum += p[j] = exp(p[j] - max);
	for (size_t j = 0; j <= i; j++)
		p[j] /= sum;
	return max + log(sum);
}

void ref_attention(const double *qkv, size_t batch, size_t seq, size_t heads,
		   size_t size, double *out, double *stats)
{
	size_t c = heads * size, ld = 3 * c;
	double *p = doubles(seq);

	for (size_t b = 0; b < batch; b++)
		for (size_t h = 0; h < heads; h++)
			for (size_t i = 0; i < seq; i++) {
				const double *q = qkv + b * seq * ld + h * size;
				const double *v = q + 2 * c;
				double *o = out + (b * seq + i) * c + h * size;

				stats[(b * heads + h) * seq + i] =
					probabilities(q, q + c, i, ld, size, p);
				for (size_t d = 0; d < size; d++) {
					o[d] = 0.0;
					for (size_t j = 0; j <= i; j++)
						o[d] += p[j] * v[j * ld + d];
				}
			}
	free(p);
}

/* Query i of one head; dq, dk, dv are added to. */
static void query_backward(const double *q, const double *dout, size_t i,
			   size_t c, size_t size, double *dq, double *p,
			   double *dp)
{
	size_t ld = 3 * c;
	const double *k = q + c, *v = q + 2 * c;
	double dot = 0.0, root = sqrt((double)size);

	probabilities(q, k, i, ld, size, p);
	for (size_t j = 0; j <= i; j++) {
		dp[j] = 0.0;
		for (size_t d = 0; d < size; d++)
			dp[j] += dout[d] * v[j * ld + d];
		dot += p[j] * dp[j];
	}
	for (size_t j = 0; j <= i; j++)
		for (size_t d = 0; d < size; d++) {
			double ds = p[j] * (dp[j] - dot) / root;

			dq[i * ld + d] += ds * k[j * ld + d];
			dq[j * ld + c + d] += ds * q[i * ld + d];
			dq[j * ld + 2 * c + d] += p[j] * dout[d];
		}
}

void ref_attention_backward(const double *qkv, const double *dout,
			    size_t batch, size_t seq, size_t heads, size_t size,
			    double *dqkv)
{
	size_t c = heads * size, ld = 3 * c;
	double *p = doubles(seq), *dp = doubles(seq);

	for (size_t i = 0; i < batch * seq * ld; i++)
		dqkv[i] = 0.0;
	for (size_t b = 0; b < batch; b++)
		for (size_t h = 0; h < heads; h++)
			for (size_t i = 0; i < seq; i++)
				query_backward(
					qkv + b * seq * ld + h * size,
					dout + (b * seq + i) * c + h * size, i,
					c, size,
					dqkv + b * seq * ld + h * size, p, dp);
	free(p);
	free(dp);
}

double ref_classifier(const double *logits, const int32_t *targets,
		      size_t rows, size_t vocab, double *grad)
{
	double loss = 0.0;

	for (size_t r = 0; r < rows; r++, logits += vocab) {
		double max = -INFINITY, sum = 0.0;

		for (size_t i = 0; i < vocab; i++)
			max = logits[i] > max ? logits[i] : max;
		for (size_t i = 0; i < vocab; i++)
			sum += exp(logits[i] - max);
		loss += max + log(sum) - logits[targets[r]];
		if (!grad)
			continue;
		for (size_t i = 0; i < vocab; i++)
			grad[r * vocab + i] =
				exp(logits[i] - max) / sum -
				((int32_t)i == targets[r] ? 1.0 : 0.0);
	}
	return loss;
}
