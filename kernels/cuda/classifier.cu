/*
 * Softmax and cross entropy, in place: a block a row.  One pass finds maximum
 * and sum together (Milakov and Gimelshein, arXiv 1805.02867), the second, which
 * finds the row in L2, writes gradients.  Rows are taken from the last on, which
 * the product before has just written.
 */
#include "kernel.cuh"

#define MOST_WARPS 32

/* A row, cut into groups that lie on 16 bytes: the first is shorter. */
template <class T> struct row {
	T *x;
	uint32_t vocab, lead, groups;
};

template <class T>
DEVICE struct row<T> row_of(T *logits, size_t r, uint32_t vocab)
{
	struct row<T> y = { logits + r * vocab, vocab, 0, 0 };
	const uint32_t odd = (uint32_t)((uintptr_t)y.x % 16 / sizeof(T));

	if (odd)
		y.lead = (uint32_t)(16 / sizeof(T)) - odd;
	if (y.lead > vocab)
		y.lead = vocab;
	y.groups = 1 + (vocab - y.lead + GROUP - 1) / GROUP;
	return y;
}

/* Group @p g: where it begins, and how many elements are left from there. */
template <class T>
DEVICE uint32_t group_at(const struct row<T> &y, uint32_t g, uint32_t *left)
{
	const uint32_t at = g ? y.lead + (g - 1) * GROUP : 0;

	*left = g ? y.vocab - at : y.lead;
	return at;
}

struct by_warp {
	float max[MOST_WARPS], sum[MOST_WARPS], target;
};

/* Of this thread's share of the row: sum of exp(x - *max). */
template <class T> DEVICE float share_sum(const struct row<T> &y, float *max)
{
	float sum = 0.0f;

#pragma unroll 2
	for (uint32_t i = threadIdx.x; i < y.groups; i += blockDim.x) {
		uint32_t left, at = group_at(y, i, &left);
		const struct group g =
			load(y.x + at, left, true, -INFINITY);
		float m = *max;

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			m = fmaxf(m, g.v[j]);
		sum *= exp2f((*max - m) * LOG2E);
		*max = m;
#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum += exp2f((g.v[j] - m) * LOG2E);
	}
	return sum;
}

/* Maximum and sum over the block, to all threads. */
DEVICE double block_sum(struct by_warp &s, float sum, float *max)
{
	const uint32_t warp = threadIdx.x / LANES, warps = blockDim.x / LANES;
	const float m = warp_max(*max);
	double total = 0.0;

	sum = warp_sum(sum * exp2f((*max - m) * LOG2E));
	if (threadIdx.x % LANES == 0) {
		s.max[warp] = m;
		s.sum[warp] = sum;
	}
	__syncthreads();
	*max = s.max[0];
	for (uint32_t i = 1; i < warps; i++)
		*max = fmaxf(*max, s.max[i]);
	for (uint32_t i = 0; i < warps; i++)
		total += (double)(s.sum[i] * exp2f((s.max[i] - *max) * LOG2E));
	return total;
}

template <class T>
DEVICE void row_gradient(const struct row<T> &y, float max, float factor,
			 uint32_t target, float scale)
{
#pragma unroll 2
	for (uint32_t i = threadIdx.x; i < y.groups; i += blockDim.x) {
		uint32_t left, at = group_at(y, i, &left);
		struct group g = load(y.x + at, left, true, -INFINITY);

#pragma unroll
		for (int j = 0; j < GROUP; j++) {
			g.v[j] = exp2f((g.v[j] - max) * LOG2E) * factor;
			if (at + j == target)
				g.v[j] -= scale;
		}
		store(y.x + at, left, true, g);
	}
}

template <class T>
static __global__ void __launch_bounds__(MOST_WARPS * LANES)
classify(T *logits, const int32_t *targets, double *loss, uint32_t vocab,
	 float scale)
{
	SHARED(struct by_warp, s);
	const uint32_t r = gridDim.x - 1 - blockIdx.x;
	const struct row<T> y = row_of(logits, r, vocab);
	const uint32_t target = (uint32_t)targets[r];
	float max = -FLT_MAX, sum;
	double total;

	if (threadIdx.x == 0)
		s.target = to_float(y.x[target]);
	sum = share_sum(y, &max);
	total = block_sum(s, sum, &max);
	if (threadIdx.x == 0)
		loss[r] = (double)max + log(total) - (double)s.target;
	if (scale != 0.0f)
		row_gradient(y, max, (float)((double)scale / total), target,
			     scale);
}

/* One block: of 256 threads each a run of rows in their order, then the runs. */
#define RUNS 256
struct runs {
	double sum[RUNS];
};

static __global__ void __launch_bounds__(RUNS)
add_losses(double *out, const double *loss, uint32_t rows)
{
	SHARED(struct runs, s);
	const uint32_t first = (uint32_t)((uint64_t)rows * threadIdx.x / RUNS);
	const uint32_t end =
		(uint32_t)((uint64_t)rows * (threadIdx.x + 1) / RUNS);
	double sum = 0.0;

#pragma unroll 8
	for (uint32_t r = first; r < end; r++)
		sum += loss[r];
	s.sum[threadIdx.x] = sum;
	__syncthreads();
	if (threadIdx.x)
		return;
	sum = *out;
	for (int i = 0; i < RUNS; i++)
		sum += s.sum[i];
	*out = sum;
}

size_t pfw_cuda_classifier_workspace(uint32_t rows)
{
	return rows * sizeof(double);
}

int pfw_cuda_classifier(struct CUstream_st *stream, uint32_t act, void *logits,
			const int32_t *targets, uint32_t rows, uint32_t vocab,
			float scale, double *loss, void *workspace)
{
	double *each = (double *)workspace;
	const uint32_t warps = div_up(vocab, LANES * GROUP);
	const uint32_t threads =
		(warps < MOST_WARPS ? warps : MOST_WARPS) * LANES;
	int rc;

	rc = act == PFW_BF16
		     ? LAUNCH(classify<bf16>, rows, threads, 0, stream,
			      (bf16 *)logits, targets, each, vocab, scale)
		     : LAUNCH(classify<float>, rows, threads, 0, stream,
			      (float *)logits, targets, each, vocab, scale);
	if (rc)
		return rc;
	return LAUNCH(add_losses, 1, RUNS, 0, stream, loss, each, rows);
}
