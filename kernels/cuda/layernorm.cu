/* Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450). */
#include "kernel.cuh"

#define LN_EPSILON 1e-5f

/* Forward: a warp a row; the second and third look at a row find it in L1. */
#define FORWARD_WARPS 8
#define STEP (LANES * GROUP)

template <class T>
DEVICE float row_mean(const T *x, uint32_t c, uint32_t first, bool aligned)
{
	float sum = 0.0f;

#pragma unroll 4
	for (uint32_t i = first; i < c; i += STEP) {
		const struct group g = load(x + i, c - i, aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum += g.v[j];
	}
	return warp_sum(sum) / (float)c;
}

template <class T>
DEVICE float row_rstd(const T *x, uint32_t c, uint32_t first, bool aligned,
		      float mean)
{
	float sum = 0.0f;

#pragma unroll 4
	for (uint32_t i = first; i < c; i += STEP) {
		const struct group g = load(x + i, c - i, aligned, mean);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum += (g.v[j] - mean) * (g.v[j] - mean);
	}
	return 1.0f / sqrtf(warp_sum(sum) / (float)c + LN_EPSILON);
}

template <class T>
static __global__ void __launch_bounds__(FORWARD_WARPS * LANES)
forward(T *out, float *mean, float *rstd, const T *x, const float *weight,
	const float *bias, uint32_t rows, uint32_t c, bool aligned)
{
	const uint32_t lane = threadIdx.x % LANES, first = lane * GROUP;
	const size_t row = global_thread() / LANES;
	float mu, rs;

	if (row >= rows)
		return;
	x += row * c;
	out += row * c;
	mu = row_mean(x, c, first, aligned);
	rs = row_rstd(x, c, first, aligned, mu);
	if (lane == 0) {
		mean[row] = mu;
		rstd[row] = rs;
	}
#pragma unroll 2
	for (uint32_t i = first; i < c; i += STEP) {
		struct group g = load(x + i, c - i, aligned, 0.0f);
		const struct group w = load(weight + i, c - i, aligned, 0.0f);
		const struct group b = load(bias + i, c - i, aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			g.v[j] = (g.v[j] - mu) * rs * w.v[j] + b.v[j];
		store(out + i, c - i, aligned, g);
	}
}

int pfw_cuda_layernorm_forward(struct CUstream_st *stream, uint32_t act,
			       void *out, float *mean, float *rstd,
			       const void *x, const float *weight,
			       const float *bias, uint32_t rows, uint32_t c)
{
	const bool aligned = c % GROUP == 0 &&
			     at_16_bytes(out, x, weight, bias);
	const uint32_t grid = div_up(rows, FORWARD_WARPS);
	const uint32_t threads = FORWARD_WARPS * LANES;

	if (act == PFW_BF16)
		return LAUNCH(forward<bf16>, grid, threads, 0, stream,
			      (bf16 *)out, mean, rstd, (const bf16 *)x, weight,
			      bias, rows, c, aligned);
	return LAUNCH(forward<float>, grid, threads, 0, stream, (float *)out,
		      mean, rstd, (const float *)x, weight, bias, rows, c,
		      aligned);
}

/*
 * Backward: a block takes some rows, one after the other.  With g = dout weight
 * and xhat = (x - mean) rstd,
 *	dx = (g - mean(g) - xhat mean(g xhat)) rstd
 * and the block's sums of dout xhat and of dout stay in shared memory, where
 * each thread has columns of its own.
 */
#define MOST_WARPS 8

struct backward {
	float *partial; /* [blocks, 2, c] */
	const float *mean, *rstd, *weight;
	uint32_t rows, c, rows_each;
	bool aligned;
};

struct row_sums {
	float g[MOST_WARPS], gx[MOST_WARPS];
};

/* Sums over the block of @p g and @p gx, to all threads, warps in order. */
DEVICE void row_sum(float *g, float *gx)
{
	SHARED(struct row_sums, s);
	const uint32_t warps = blockDim.x / LANES;
	float a = warp_sum(*g), b = warp_sum(*gx);

	__syncthreads(); /* of the row before all have read */
	if (threadIdx.x % LANES == 0) {
		s.g[threadIdx.x / LANES] = a;
		s.gx[threadIdx.x / LANES] = b;
	}
	__syncthreads();
	a = b = 0.0f;
	for (uint32_t i = 0; i < warps; i++) {
		a += s.g[i];
		b += s.gx[i];
	}
	*g = a;
	*gx = b;
}

/* Means over a row of g and of g xhat; on the way the row is added to sums. */
template <class T>
DEVICE void row_means(const struct backward &k, float *sums, const T *dout,
		      const T *x, float mu, float rs, float *mean_g,
		      float *mean_gx)
{
	float sum_g = 0.0f, sum_gx = 0.0f;

	for (uint32_t i = threadIdx.x * GROUP; i < k.c;
	     i += blockDim.x * GROUP) {
		const uint32_t left = k.c - i;
		const struct group d = load(dout + i, left, k.aligned, 0.0f);
		const struct group y = load(x + i, left, k.aligned, mu);
		const struct group w =
			load(k.weight + i, left, k.aligned, 0.0f);
		struct group dw = load(sums + i, left, k.aligned, 0.0f);
		struct group db = load(sums + k.c + i, left, k.aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++) {
			const float xhat = (y.v[j] - mu) * rs;
			const float g = d.v[j] * w.v[j];

			sum_g += g;
			sum_gx += g * xhat;
			dw.v[j] += d.v[j] * xhat;
			db.v[j] += d.v[j];
		}
		store(sums + i, left, k.aligned, dw);
		store(sums + k.c + i, left, k.aligned, db);
	}
	row_sum(&sum_g, &sum_gx);
	*mean_g = sum_g / (float)k.c;
	*mean_gx = sum_gx / (float)k.c;
}

template <class T>
DEVICE void row_gradient(const struct backward &k, T *dx, const T *dout,
			 const T *residual, const T *x, float mu, float rs,
			 float mean_g, float mean_gx)
{
	for (uint32_t i = threadIdx.x * GROUP; i < k.c;
	     i += blockDim.x * GROUP) {
		const uint32_t left = k.c - i;
		struct group d = load(dout + i, left, k.aligned, 0.0f);
		const struct group y = load(x + i, left, k.aligned, mu);
		const struct group w =
			load(k.weight + i, left, k.aligned, 0.0f);
		struct group r = {};

		if (residual)
			r = load(residual + i, left, k.aligned, 0.0f);
#pragma unroll
		for (int j = 0; j < GROUP; j++)
			d.v[j] = r.v[j] +
				 (d.v[j] * w.v[j] - mean_g -
				  (y.v[j] - mu) * rs * mean_gx) * rs;
		store(dx + i, left, k.aligned, d);
	}
}

template <class T>
static __global__ void __launch_bounds__(MOST_WARPS * LANES)
backward(T *dx, const T *dout, const T *residual, const T *x,
	 const struct backward k)
{
	DYNAMIC_SHARED(dynamic);
	float *sums = (float *)dynamic, mean_g, mean_gx;
	const uint32_t first = blockIdx.x * k.rows_each;
	const uint32_t end = k.rows - first < k.rows_each
				     ? k.rows
				     : first + k.rows_each;
	const struct group none = {};

	for (uint32_t i = threadIdx.x * GROUP; i < k.c;
	     i += blockDim.x * GROUP) {
		store(sums + i, k.c - i, k.aligned, none);
		store(sums + k.c + i, k.c - i, k.aligned, none);
	}
	for (uint32_t r = first; r < end; r++) {
		const size_t at = (size_t)r * k.c;
		const float mu = k.mean[r], rs = k.rstd[r];

		row_means(k, sums, dout + at, x + at, mu, rs, &mean_g,
			  &mean_gx);
		row_gradient(k, dx + at, dout + at,
			     residual ? residual + at : NULL, x + at, mu, rs,
			     mean_g, mean_gx);
	}
	for (uint32_t i = threadIdx.x * GROUP; i < k.c;
	     i += blockDim.x * GROUP) {
		float *partial = k.partial + (size_t)blockIdx.x * 2 * k.c + i;

		store(partial, k.c - i, k.aligned,
		      load(sums + i, k.c - i, k.aligned, 0.0f));
		store(partial + k.c, k.c - i, k.aligned,
		      load(sums + k.c + i, k.c - i, k.aligned, 0.0f));
	}
}

/* Rows of a block: at least 16, so that the partial sums are few beside them. */
static uint32_t rows_each(uint32_t rows, uint32_t c)
{
	const uint32_t most = (uint32_t)(PARTIAL_BYTES / (2 * sizeof(float)) /
					 c);
	const uint32_t parts = most < 1 ? 1 : most < 1024 ? most : 1024;
	const uint32_t each = div_up(rows, parts);

	return each < 16 ? 16 : each;
}

size_t pfw_cuda_layernorm_backward_workspace(uint32_t rows, uint32_t c)
{
	return (size_t)div_up(rows, rows_each(rows, c)) * 2 * c * sizeof(float);
}

int pfw_cuda_layernorm_backward(struct CUstream_st *stream, uint32_t act,
				void *dx, float *dweight, float *dbias,
				const void *dout, const void *residual,
				const void *x, const float *mean,
				const float *rstd, const float *weight,
				uint32_t rows, uint32_t c, int accumulate,
				void *workspace)
{
	const struct backward k = {
		(float *)workspace, mean, rstd, weight, rows, c,
		rows_each(rows, c),
		c % GROUP == 0 && at_16_bytes(dx, dout, residual, x, weight),
	};
	const uint32_t grid = div_up(rows, k.rows_each);
	const uint32_t warps = div_up(c, STEP);
	const uint32_t threads =
		(warps < MOST_WARPS ? warps : MOST_WARPS) * LANES;
	const size_t shared = 2 * c * sizeof(float);
	int rc;

	rc = act == PFW_BF16
		     ? LAUNCH(backward<bf16>, grid, threads, shared, stream,
			      (bf16 *)dx, (const bf16 *)dout,
			      (const bf16 *)residual, (const bf16 *)x, k)
		     : LAUNCH(backward<float>, grid, threads, shared, stream,
			      (float *)dx, (const float *)dout,
			      (const float *)residual, (const float *)x, k);
	if (rc)
		return rc;
	return pfw_cuda_combine(stream, dweight, dbias, k.partial, grid, c,
				accumulate);
}

int pfw_cuda_prepare_layernorm(void)
{
	const size_t most = 2 * PFW_CUDA_MOST_C * sizeof(float);
	int rc = ALLOW_SHARED(backward<bf16>, most);

	return rc ? rc : ALLOW_SHARED(backward<float>, most);
}
