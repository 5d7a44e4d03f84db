/* Sums: of squares, of columns, of partial sums. */
#include "kernel.cuh"

#define THREADS 256
#define WARPS (THREADS / LANES)

struct by_warp {
	double sum[WARPS];
};

/* Thread 0 gets the sum over the block, warps in order. */
DEVICE double block_sum(double x)
{
	SHARED(struct by_warp, s);
	double total = 0.0;

	x = warp_sum(x);
	if (threadIdx.x % LANES == 0)
		s.sum[threadIdx.x / LANES] = x;
	__syncthreads();
	for (int i = 0; i < WARPS; i++)
		total += s.sum[i];
	return total;
}

/* Elements of one term of the sum of squares: 256 of each thread. */
#define TERM ((size_t)1 << 16)
#define MOST_TERMS (PFW_CUDA_WORKSPACE / sizeof(double))

/* Many arrays in one launch; as a kernel's argument it may have 4 KiB. */
#define ARRAYS 128

struct array {
	const float *x;
	uint64_t n;
};

struct arrays {
	struct array array[ARRAYS];
	uint32_t first_term[ARRAYS + 1];
	uint32_t count;
};

/* A block for each term. */
static __global__ void __launch_bounds__(THREADS)
square_terms(double *term, const struct arrays all)
{
	uint32_t k = 0;

	while (all.first_term[k + 1] <= blockIdx.x)
		k++;
	const struct array &a = all.array[k];
	const size_t at = (size_t)(blockIdx.x - all.first_term[k]) * TERM;
	const size_t end = a.n - at < TERM ? a.n : at + TERM;
	const bool aligned = ((uintptr_t)a.x & 15) == 0;
	double sum[4] = { 0.0 };
	double total;

#pragma unroll 4
	for (size_t i = at + threadIdx.x * GROUP; i < end;
	     i += THREADS * GROUP) {
		const struct group g = load(a.x + i, end - i, aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum[j % 4] += (double)g.v[j] * (double)g.v[j];
	}
	total = block_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
	if (threadIdx.x == 0)
		term[blockIdx.x] = total;
}

/* A block for each array: each thread every THREADS-th term, then all threads. */
static __global__ void __launch_bounds__(THREADS)
sum_terms(double *out, const double *term, const struct arrays all)
{
	const uint32_t end = all.first_term[blockIdx.x + 1];
	double sum = 0.0;

	for (uint32_t i = all.first_term[blockIdx.x] + threadIdx.x; i < end;
	     i += THREADS)
		sum += term[i];
	sum = block_sum(sum);
	if (threadIdx.x == 0)
		out[blockIdx.x] = sum;
}

size_t pfw_cuda_sum_squares_workspace(const struct pfw_vector *x,
				      uint32_t count)
{
	uint64_t terms = 0;

	for (uint32_t i = 0; i < count; i++)
		terms += div_up(x[i].n, TERM);
	return (terms < MOST_TERMS ? terms : MOST_TERMS) * sizeof(double);
}

/* Takes what fits into one launch. */
static void gather(struct arrays *all, const struct pfw_vector *x,
		   uint32_t count)
{
	*all = {};
	for (uint32_t i = 0; i < count && i < ARRAYS; i++) {
		const uint64_t end =
			all->first_term[i] + (uint64_t)div_up(x[i].n, TERM);

		if (i && end > MOST_TERMS)
			break;
		all->array[i] = { x[i].x, x[i].n };
		all->first_term[i + 1] = (uint32_t)end;
		all->count = i + 1;
	}
}

int pfw_cuda_sum_squares(struct CUstream_st *stream, const struct pfw_vector *x,
			 uint32_t count, double *out, void *workspace)
{
	double *term = (double *)workspace;
	struct arrays all;
	int rc = 0;

	for (; count && !rc; x += all.count, out += all.count,
	     count -= all.count) {
		gather(&all, x, count);
		const uint32_t terms = all.first_term[all.count];

		if (terms)
			rc = LAUNCH(square_terms, terms, THREADS, 0, stream,
				    term, all);
		if (!rc)
			rc = LAUNCH(sum_terms, all.count, THREADS, 0, stream,
				    out, term, all);
	}
	return rc;
}

DEVICE bool is_finite(double x)
{
	return fabs(x) <= DBL_MAX;
}

/* A few hundred additions, each after the one before it: one thread's work. */
static __global__ void clip(const struct pfw_clip c)
{
	double sum = 0.0, norm, scale = 1.0;

	if (threadIdx.x)
		return;
#pragma unroll 8
	for (uint32_t i = 0; i < c.count; i++)
		sum += c.squares[i];
	norm = sqrt(sum);
	if (c.limit > 0.0 && norm + c.epsilon > c.limit)
		scale = c.limit / (norm + c.epsilon);
	*c.scale = (float)scale;
	*c.skip = !is_finite(norm) || !is_finite(*c.loss);
}

int pfw_cuda_clip(struct CUstream_st *stream, const struct pfw_clip *c)
{
	const struct pfw_clip clipping = *c;

	return LAUNCH(clip, 1, LANES, 0, stream, clipping);
}

/* 32 columns a block, every warp a run of the partial sums. */
#define RUNS 32
struct runs {
	float sum[RUNS][LANES];
};

static __global__ void __launch_bounds__(RUNS * LANES)
combine(float *out0, float *out1, const float *partial, uint32_t count,
	uint32_t n, int accumulate)
{
	SHARED(struct runs, s);
	const uint32_t lane = threadIdx.x % LANES, run = threadIdx.x / LANES;
	const uint32_t column = blockIdx.x * LANES + lane;
	const uint32_t first = (uint32_t)((uint64_t)count * run / RUNS);
	const uint32_t end = (uint32_t)((uint64_t)count * (run + 1) / RUNS);
	const size_t row = (size_t)n * gridDim.y;
	float *out = blockIdx.y ? out1 : out0;
	float sum = 0.0f;

	if (column < n) {
		partial += (size_t)blockIdx.y * n + column;
#pragma unroll 8
		for (uint32_t i = first; i < end; i++)
			sum += partial[i * row];
	}
	s.sum[run][lane] = sum;
	__syncthreads();
	if (run || column >= n)
		return;
	sum = accumulate ? out[column] : 0.0f;
	for (int i = 0; i < RUNS; i++)
		sum += s.sum[i][lane];
	out[column] = sum;
}

int pfw_cuda_combine(struct CUstream_st *stream, float *out0, float *out1,
		     const float *partial, uint32_t count, uint32_t n,
		     int accumulate)
{
	const dim3 grid(div_up(n, LANES), out1 ? 2 : 1);

	return LAUNCH(combine, grid, RUNS * LANES, 0, stream, out0, out1,
		      partial, count, n, accumulate);
}

/* Column sums of dy: a block takes 256 columns of some rows. */
#define COLUMNS (LANES * GROUP)
struct columns {
	float sum[WARPS][COLUMNS];
};

template <class T>
static __global__ void __launch_bounds__(THREADS)
bias_terms(float *partial, const T *dy, uint32_t rows, uint32_t n,
	   uint32_t rows_each, bool aligned)
{
	SHARED(struct columns, s);
	const uint32_t lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
	const uint32_t first = blockIdx.x * COLUMNS, mine = first + lane * GROUP;
	const uint32_t at = blockIdx.y * rows_each;
	const uint32_t end = rows - at < rows_each ? rows : at + rows_each;
	struct group sum = {};

	if (mine < n)
#pragma unroll 4
		for (uint32_t r = at + warp; r < end; r += WARPS) {
			const struct group g = load(dy + (size_t)r * n + mine,
						    n - mine, aligned, 0.0f);

#pragma unroll
			for (int j = 0; j < GROUP; j++)
				sum.v[j] += g.v[j];
		}
#pragma unroll
	for (int j = 0; j < GROUP; j++)
		s.sum[warp][j * LANES + lane] = sum.v[j];
	__syncthreads();
	if (first + threadIdx.x < n) {
		const uint32_t c = threadIdx.x % GROUP * LANES +
				   threadIdx.x / GROUP;
		float total = 0.0f;

		for (int w = 0; w < WARPS; w++)
			total += s.sum[w][c];
		partial[(size_t)blockIdx.y * n + first + threadIdx.x] = total;
	}
}

/* Rows of one partial sum; so many that they are no more than 256. */
static uint32_t bias_rows(uint32_t rows, uint32_t n)
{
	const uint32_t most = (uint32_t)(PARTIAL_BYTES / sizeof(float) / n);
	const uint32_t parts = most < 1 ? 1 : most < 256 ? most : 256;
	const uint32_t each = div_up(rows, parts);

	return each < 128 ? 128 : each;
}

size_t pfw_cuda_bias_backward_workspace(uint32_t rows, uint32_t n)
{
	return (size_t)div_up(rows, bias_rows(rows, n)) * n * sizeof(float);
}

int pfw_cuda_bias_backward(struct CUstream_st *stream, uint32_t act,
			   float *dbias, const void *dy, uint32_t rows,
			   uint32_t n, int accumulate, void *workspace)
{
	const uint32_t each = bias_rows(rows, n), parts = div_up(rows, each);
	const dim3 grid(div_up(n, COLUMNS), parts);
	const bool aligned = n % GROUP == 0 && at_16_bytes(dy);
	float *partial = (float *)workspace;
	int rc;

	rc = act == PFW_BF16
		     ? LAUNCH(bias_terms<bf16>, grid, THREADS, 0, stream,
			      partial, (const bf16 *)dy, rows, n, each, aligned)
		     : LAUNCH(bias_terms<float>, grid, THREADS, 0, stream,
			      partial, (const float *)dy, rows, n, each,
			      aligned);
	if (rc)
		return rc;
	return pfw_cuda_combine(stream, dbias, NULL, partial, parts, n,
				accumulate);
}
