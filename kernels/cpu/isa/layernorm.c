/* Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450). */
#include "isa/isa.h"
#include "isa/vec.h"

#define LN_EPSILON 1e-5f

static float row_sum(const act *x, size_t n)
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

static float row_spread(const act *x, size_t n, float mean)
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

struct forward {
	act *out;
	float *mean, *rstd;
	const act *x;
	const float *weight, *bias;
	size_t c;
};

static void forward_rows(const void *context, size_t first, size_t end,
			 float *scratch)
{
	const struct forward *f = context;
	const float *weight = f->weight, *bias = f->bias;
	const size_t c = f->c;

	(void)scratch;
	for (size_t r = first; r < end; r++) {
		const act *in = f->x + r * c;
		act *out = f->out + r * c;
		float mu = row_sum(in, c) / (float)c;
		float rs = 1.0f / sqrtf(row_spread(in, c, mu) / (float)c +
					LN_EPSILON);

		f->mean[r] = mu;
		f->rstd[r] = rs;
		for (size_t i = 0; i < c; i += VW) {
			size_t left = c - i;

			STORE(out, (LOAD(in) - mu) * rs * LOAD(weight) +
				   LOAD(bias));
		}
	}
}

/* Rows that are worth handing over: some microseconds. */
static size_t rows_together(size_t c)
{
	return c < 8192 ? 8192 / c : 1;
}

void ISA(layernorm_forward)(void *queue, void *out, float *mean, float *rstd,
			    const void *x, const float *weight,
			    const float *bias, uint32_t rows, uint32_t c)
{
	const struct forward f = { out, mean, rstd, x, weight, bias, c };

	cpu_each(queue, rows, rows_together(c), forward_rows, &f);
}

struct backward {
	act *dx;
	float *dweight, *dbias;
	const act *dout, *residual, *x;
	const float *mean, *rstd, *weight;
	size_t c;
	size_t first, end; /* rows that are worked on now */
};

/* The means of g and of g * xhat, where g = dout * weight. */
static void row_means(const struct backward *b, size_t r, float *mean_g,
		      float *mean_gx)
{
	const act *dout = b->dout + r * b->c, *in = b->x + r * b->c;
	struct lanes sg = { 0 }, sgx = { 0 }, d, x, w;

	for (size_t i = 0; i < b->c; i += LANES) {
		d = lanes_load(dout + i, b->c - i, 0.0f);
		x = lanes_load(in + i, b->c - i, 0.0f);
		w = lanes_load(b->weight + i, b->c - i, 0.0f);
		UNROLL(4)
		for (int l = 0; l < NV; l++) {
			vf g = d.v[l] * w.v[l];

			sg.v[l] += g;
			sgx.v[l] += g * ((x.v[l] - b->mean[r]) * b->rstd[r]);
		}
	}
	*mean_g = lanes_sum(sg) / (float)b->c;
	*mean_gx = lanes_sum(sgx) / (float)b->c;
}

static void backward_row(const struct backward *b, size_t r)
{
	const size_t at = r * b->c, c = b->c;
	const act *dout = b->dout + at, *x = b->x + at;
	const act *residual = b->residual ? b->residual + at : NULL;
	const float *weight = b->weight, mean = b->mean[r], rstd = b->rstd[r];
	float mean_g, mean_gx;
	act *dx = b->dx + at;

	row_means(b, r, &mean_g, &mean_gx);
	for (size_t i = 0; i < c; i += VW) {
		size_t left = c - i;
		vf xhat = (LOAD(x) - mean) * rstd;
		vf y = (LOAD(dout) * LOAD(weight) - mean_g - xhat * mean_gx) *
		       rstd;

		STORE(dx, residual ? y + LOAD(residual) : y);
	}
}

static void backward_rows(const void *context, size_t first, size_t end,
			  float *scratch)
{
	const struct backward *b = context;

	(void)scratch;
	for (size_t r = b->first + first; r < b->first + end; r++)
		backward_row(b, r);
}

/* @p n rows from @p r on, added to columns [first, end), one after the other. */
INLINE void add_rows(const struct backward *b, size_t r, const size_t n,
		     size_t first, size_t end)
{
	for (size_t i = first; i < end; i += VW) {
		size_t left = end - i;
		vf dweight = LOAD(b->dweight), dbias = LOAD(b->dbias);

		UNROLL(4)
		for (size_t j = 0; j < n; j++) {
			vf d = LOAD(b->dout + (r + j) * b->c);
			vf x = LOAD(b->x + (r + j) * b->c);

			dweight += d * ((x - b->mean[r + j]) * b->rstd[r + j]);
			dbias += d;
		}
		STORE(b->dweight, dweight);
		STORE(b->dbias, dbias);
	}
}

#define ROWS 4 /* for each visit to the sums */

static void backward_columns(const void *context, size_t first, size_t end,
			     float *scratch)
{
	const struct backward *b = context;
	size_t r = b->first;

	(void)scratch;
	for (; r + ROWS <= b->end; r += ROWS)
		add_rows(b, r, ROWS, first, end);
	for (; r < b->end; r++)
		add_rows(b, r, 1, first, end);
}

/* Floats of rows that a thread's second look finds in its cache. */
#define NEAR (32 * 1024)

void ISA(layernorm_backward)(void *queue, void *dx, float *dweight,
			     float *dbias, const void *dout,
			     const void *residual, const void *x,
			     const float *mean, const float *rstd,
			     const float *weight, uint32_t rows, uint32_t c,
			     int accumulate)
{
	struct backward b = {
		.dx = dx, .dweight = dweight, .dbias = dbias, .dout = dout,
		.residual = residual, .x = x, .mean = mean, .rstd = rstd,
		.weight = weight, .c = c,
	};
	/* A multiple of ROWS: where rows end touches no sum. */
	size_t step = (NEAR / c / ROWS + 1) * ROWS * cpu_threads(queue);

	if (!accumulate) {
		memset(dweight, 0, c * sizeof(*dweight));
		memset(dbias, 0, c * sizeof(*dbias));
	}
	for (; b.first < rows; b.first = b.end) {
		b.end = rows - b.first < step ? rows : b.first + step;
		cpu_each(queue, b.end - b.first, rows_together(c),
			 backward_rows, &b);
		cpu_each(queue, c, cpu_columns(queue, c),
			 backward_columns, &b);
	}
}
