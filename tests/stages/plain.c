#include "plain.h"

#include <math.h>
#include <string.h>

static double gelu_inner(double x)
{
	return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
}

static double gelu(double x)
{
	return 0.5 * x * (1 + tanh(gelu_inner(x)));
}

static double gelu_slope(double x)
{
	double t = tanh(gelu_inner(x));
	double inner = sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);

	return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner;
}

static double product(const struct pfw_gemm *g, size_t i, size_t j)
{
	const float *a = g->a, *b = g->b;
	double sum = 0;

	for (size_t p = 0; p < g->k; p++) {
		double x = (double)(g->kind == PFW_GEMM_TN ?
				    a[p * g->m + i] : a[i * g->k + p]);
		double y = (double)(g->kind == PFW_GEMM_NT ?
				    b[j * g->k + p] : b[p * g->n + j]);

		sum += x * y;
	}
	return sum;
}

static void plain_gemm(void *queue, const struct pfw_gemm *g)
{
	(void)queue;
	for (size_t i = 0; i < g->m; i++) {
		for (size_t j = 0; j < g->n; j++) {
			size_t at = i * g->n + j;
			float *c = (float *)g->c + at, *aux = g->aux;
			double v = product(g, i, j);

			if (g->epilogue & PFW_EPI_BIAS)
				v += (double)g->bias[j];
			if (g->epilogue & PFW_EPI_GELU) {
				aux[at] = (float)v;
				v = gelu(v);
			}
			if (g->epilogue & PFW_EPI_DGELU)
				v *= gelu_slope((double)aux[at]);
			if (g->epilogue & PFW_EPI_RESIDUAL)
				v += (double)((const float *)g->residual)[at];
			if (g->epilogue & PFW_EPI_ACCUMULATE)
				v += (double)*c;
			*c = (float)v;
		}
	}
}

/* Sets or adds to. */
static void put(float *to, double v, int accumulate)
{
	*to = (float)(accumulate ? (double)*to + v : v);
}

static void plain_bias_backward(void *queue, float *dbias, const void *dy,
				uint32_t rows, uint32_t n, int accumulate)
{
	const float *d = dy;

	(void)queue;
	for (size_t j = 0; j < n; j++) {
		double sum = 0;

		for (size_t i = 0; i < rows; i++)
			sum += (double)d[i * n + j];
		put(&dbias[j], sum, accumulate);
	}
}

static void plain_embed_forward(void *queue, void *out, const int32_t *tokens,
				const float *wte, const float *wpe,
				uint32_t batch, uint32_t seq, uint32_t c)
{
	float *o = out;

	(void)queue;
	for (size_t i = 0; i < (size_t)batch * seq; i++)
		for (size_t j = 0; j < c; j++)
			o[i * c + j] = wte[(size_t)tokens[i] * c + j] +
				       wpe[i % seq * c + j];
}

static void plain_embed_backward(void *queue, float *dwte, float *dwpe,
				 const void *dout, const int32_t *tokens,
				 uint32_t batch, uint32_t seq, uint32_t c,
				 uint32_t vocab, uint32_t context,
				 int accumulate)
{
	const float *d = dout;

	(void)queue;
	if (!accumulate) {
		memset(dwte, 0, (size_t)vocab * c * sizeof(*dwte));
		memset(dwpe, 0, (size_t)context * c * sizeof(*dwpe));
	}
	for (size_t i = 0; i < (size_t)batch * seq; i++)
		for (size_t j = 0; j < c; j++) {
			dwte[(size_t)tokens[i] * c + j] += d[i * c + j];
			dwpe[i % seq * c + j] += d[i * c + j];
		}
}

static void plain_norm_forward(void *queue, void *out, float *mean, float *rstd,
			       const void *x, const float *weight,
			       const float *bias, uint32_t rows, uint32_t c)
{
	(void)queue;
	for (size_t i = 0; i < rows; i++) {
		const float *in = (const float *)x + i * c;
		float *o = (float *)out + i * c;
		double sum = 0, square = 0;

		for (size_t j = 0; j < c; j++)
			sum += (double)in[j];
		sum /= c;
		for (size_t j = 0; j < c; j++)
			square += ((double)in[j] - sum) * ((double)in[j] - sum);
		mean[i] = (float)sum;
		rstd[i] = (float)(1 / sqrt(square / c + 1e-5));
		for (size_t j = 0; j < c; j++)
			o[j] = (in[j] - mean[i]) * rstd[i] * weight[j] + bias[j];
	}
}

static void plain_norm_backward(void *queue, void *dx, float *dweight,
				float *dbias, const void *dout,
				const void *residual, const void *x,
				const float *mean, const float *rstd,
				const float *weight, uint32_t rows, uint32_t c,
				int accumulate)
{
	(void)queue;
	for (size_t j = 0; j < c && !accumulate; j++)
		dweight[j] = dbias[j] = 0;
	for (size_t i = 0; i < rows; i++) {
		const float *in = (const float *)x + i * c;
		const float *d = (const float *)dout + i * c;
		const float *res = residual ?
			(const float *)residual + i * c : NULL;
		double sum = 0, dot = 0;

		for (size_t j = 0; j < c; j++) {
			double n = ((double)in[j] - (double)mean[i]) *
				   (double)rstd[i];
			double dn = (double)d[j] * (double)weight[j];

			sum += dn / c;
			dot += dn * n / c;
			dweight[j] += (float)((double)d[j] * n);
			dbias[j] += d[j];
		}
		for (size_t j = 0; j < c; j++) {
			double n = ((double)in[j] - (double)mean[i]) *
				   (double)rstd[i];
			double v = ((double)d[j] * (double)weight[j] - sum -
				    n * dot) * (double)rstd[i];

			((float *)dx)[i * c + j] =
				(float)(v + (res ? (double)res[j] : 0));
		}
	}
}

/* One head of one sequence; q, k, v rows are 3 C apart. */
struct head {
	const float *q, *k, *v;
	size_t stride, out_stride, size;
	double scale;
};

static struct head head_of(const struct pfw_attention *a, size_t b, size_t h)
{
	const size_t c = (size_t)a->heads * a->head_size;
	const float *q = (const float *)a->qkv + b * a->seq * 3 * c +
			 h * a->head_size;

	return (struct head){ .q = q, .k = q + c, .v = q + 2 * c,
			      .stride = 3 * c, .out_stride = c,
			      .size = a->head_size,
			      .scale = 1 / sqrt(a->head_size) };
}

static double dot(const float *x, const float *y, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)y[i];
	return sum;
}

static double score(const struct head *h, size_t i, size_t j)
{
	return h->scale * dot(h->q + i * h->stride, h->k + j * h->stride,
			      h->size);
}

static void attend(const struct head *h, size_t i, float *out, float *stat)
{
	double most = -INFINITY, sum = 0, value[256] = { 0 };

	for (size_t j = 0; j <= i; j++)
		most = fmax(most, score(h, i, j));
	for (size_t j = 0; j <= i; j++) {
		double p = exp(score(h, i, j) - most);

		sum += p;
		for (size_t d = 0; d < h->size; d++)
			value[d] += p * (double)h->v[j * h->stride + d];
	}
	*stat = (float)(most + log(sum));
	for (size_t d = 0; d < h->size; d++)
		out[d] = (float)(value[d] / sum);
}

static void plain_attention_forward(void *queue, const struct pfw_attention *a)
{
	(void)queue;
	for (size_t b = 0; b < a->batch; b++) {
		for (size_t n = 0; n < a->heads; n++) {
			struct head h = head_of(a, b, n);

			for (size_t i = 0; i < a->seq; i++)
				attend(&h, i, (float *)a->out +
				       (b * a->seq + i) * h.out_stride +
				       n * h.size,
				       a->stats + (b * a->heads + n) * a->seq +
				       i);
		}
	}
}

/* Adds what row i gives to dq, dk and dv, which lie as q, k and v do. */
static void attend_backward(const struct head *h, size_t i, const float *out,
			    const float *dout, double stat, float *dq)
{
	float *dk = dq + h->out_stride, *dv = dk + h->out_stride;
	double mean = dot(out, dout, h->size);

	for (size_t j = 0; j <= i; j++) {
		double p = exp(score(h, i, j) - stat);
		double ds = p * h->scale *
			(dot(dout, h->v + j * h->stride, h->size) - mean);

		for (size_t d = 0; d < h->size; d++) {
			dv[j * h->stride + d] += (float)(p * (double)dout[d]);
			dq[i * h->stride + d] += (float)
				(ds * (double)h->k[j * h->stride + d]);
			dk[j * h->stride + d] += (float)
				(ds * (double)h->q[i * h->stride + d]);
		}
	}
}

static void plain_attention_backward(void *queue, const struct pfw_attention *a)
{
	const size_t c = (size_t)a->heads * a->head_size;
	const float *out = a->out, *dout = a->grad_out;

	(void)queue;
	memset(a->grad_qkv, 0, (size_t)a->batch * a->seq * 3 * c *
	       sizeof(float));
	for (size_t b = 0; b < a->batch; b++) {
		for (size_t n = 0; n < a->heads; n++) {
			struct head h = head_of(a, b, n);
			float *dq = (float *)a->grad_qkv +
				(h.q - (const float *)a->qkv);

			for (size_t i = 0; i < a->seq; i++) {
				size_t at = (b * a->seq + i) * c + n * h.size;
				size_t s = (b * a->heads + n) * a->seq + i;

				attend_backward(&h, i, out + at, dout + at,
						(double)a->stats[s], dq);
			}
		}
	}
}

static void plain_classifier(void *queue, void *logits, const int32_t *targets,
			     uint32_t rows, uint32_t vocab, float scale,
			     double *loss)
{
	(void)queue;
	for (size_t i = 0; i < rows; i++) {
		float *x = (float *)logits + i * vocab;
		double most = -INFINITY, sum = 0;

		for (size_t j = 0; j < vocab; j++)
			most = fmax(most, (double)x[j]);
		for (size_t j = 0; j < vocab; j++)
			sum += exp((double)x[j] - most);
		*loss += most + log(sum) - (double)x[targets[i]];
		for (size_t j = 0; j < vocab && scale != 0; j++)
			x[j] = (float)((exp((double)x[j] - most) / sum -
					((int32_t)j == targets[i])) *
				       (double)scale);
	}
}

static const struct pfw_kernels kernels = {
	.size = sizeof(kernels),
	.gemm = plain_gemm,
	.bias_backward = plain_bias_backward,
	.embed_forward = plain_embed_forward,
	.embed_backward = plain_embed_backward,
	.layernorm_forward = plain_norm_forward,
	.layernorm_backward = plain_norm_backward,
	.attention_forward = plain_attention_forward,
	.attention_backward = plain_attention_backward,
	.classifier = plain_classifier,
};

const struct pfw_device plain_device = {
	.kernels = &kernels,
	.props = { .size = sizeof(struct pfw_device_props),
		   .memory = PFW_MEM_HOST, .act_dtype = PFW_F32,
		   .path = "plain" },
};
