/* Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450). */
#include "isa/isa.h"
#include "isa/vec.h"

#define LN_EPSILON 1e-5f

static float row_sum(const float *x, size_t n)
{
	struct lanes s = { 0 }, y;

	for (size_t i = 0; i < n; i += LANES) {
		y = lanes_load(x + i, n - i, 0.0f);
		UNROLL(4)
		for (int l = 0; l < NV; l++)
			s.v[l] += y.v[l];
	}
	return lanes_sum(s);
}

static float row_spread(const float *x, size_t n, float mean)
{
	struct lanes s = { 0 }, y;

	for (size_t i = 0; i < n; i += LANES) {
		y = lanes_load(x + i, n - i, mean);
		UNROLL(4)
		for (int l = 0; l < NV; l++)
			s.v[l] += (y.v[l] - mean) * (y.v[l] - mean);
	}
	return lanes_sum(s);
}

void ISA(layernorm_forward)(void *queue, void *out, float *mean, float *rstd,
			    const void *x, const float *weight,
			    const float *bias, uint32_t rows, uint32_t c)
{
	const float *in = x;
	float *y = out;

	(void)queue;
	for (uint32_t r = 0; r < rows; r++, in += c, y += c) {
		float mu = row_sum(in, c) / (float)c;
		float rs = 1.0f / sqrtf(row_spread(in, c, mu) / (float)c +
					LN_EPSILON);

		mean[r] = mu;
		rstd[r] = rs;
		for (size_t i = 0; i < c; i += VW) {
			size_t left = c - i;

			STORE(y, (LOAD(in) - mu) * rs * LOAD(weight) +
				 LOAD(bias));
		}
	}
}

/* One row of the backward pass. */
struct ln_row {
	const float *dout, *x, *weight;
	float mean, rstd;
	size_t c;
};

/* The means of g and of g * xhat, where g = dout * weight. */
static void row_means(const struct ln_row *r, float *mean_g, float *mean_gx)
{
	struct lanes sg = { 0 }, sgx = { 0 }, d, x, w;

	for (size_t i = 0; i < r->c; i += LANES) {
		d = lanes_load(r->dout + i, r->c - i, 0.0f);
		x = lanes_load(r->x + i, r->c - i, 0.0f);
		w = lanes_load(r->weight + i, r->c - i, 0.0f);
		UNROLL(4)
		for (int l = 0; l < NV; l++) {
			vf g = d.v[l] * w.v[l];

			sg.v[l] += g;
			sgx.v[l] += g * ((x.v[l] - r->mean) * r->rstd);
		}
	}
	*mean_g = lanes_sum(sg) / (float)r->c;
	*mean_gx = lanes_sum(sgx) / (float)r->c;
}

static void row_backward(const struct ln_row *r, float *dx, float *dweight,
			 float *dbias, const float *residual)
{
	float mean_g, mean_gx;

	row_means(r, &mean_g, &mean_gx);
	for (size_t i = 0; i < r->c; i += VW) {
		size_t left = r->c - i;
		vf d = LOAD(r->dout);
		vf xhat = (LOAD(r->x) - r->mean) * r->rstd;
		vf y = (d * LOAD(r->weight) - mean_g - xhat * mean_gx) * r->rstd;

		STORE(dx, residual ? y + LOAD(residual) : y);
		STORE(dweight, LOAD(dweight) + d * xhat);
		STORE(dbias, LOAD(dbias) + d);
	}
}

void ISA(layernorm_backward)(void *queue, void *dx, float *dweight,
			     float *dbias, const void *dout,
			     const void *residual, const void *x,
			     const float *mean, const float *rstd,
			     const float *weight, uint32_t rows, uint32_t c,
			     int accumulate)
{
	struct ln_row row = { .dout = dout, .x = x, .weight = weight, .c = c };
	const float *res = residual;
	float *out = dx;

	(void)queue;
	if (!accumulate) {
		memset(dweight, 0, c * sizeof(*dweight));
		memset(dbias, 0, c * sizeof(*dbias));
	}
	for (uint32_t r = 0; r < rows; r++) {
		row.mean = mean[r];
		row.rstd = rstd[r];
		row_backward(&row, out, dweight, dbias, res);
		row.dout += c;
		row.x += c;
		out += c;
		res = res ? res + c : NULL;
	}
}
