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

static __global__ void __launch_bounds__(THREADS)
square_terms(double *term, const float *x, uint64_t n, bool aligned)
{
	const size_t at = (size_t)blockIdx.x * TERM;
	const size_t end = n - at < TERM ? n : at + TERM;
	double sum[4] = { 0.0 };
	double total;

#pragma unroll 4
	for (size_t i = at + threadIdx.x * GROUP; i < end;
	     i += THREADS * GROUP) {
		const struct group g = load(x + i, end - i, aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum[j % 4] += (double)g.v[j] * (double)g.v[j];
	}
	total = block_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
	if (threadIdx.x == 0)
		term[blockIdx.x] = total;
}

/* One block: each thread every THREADS-th term, then all threads. */
static __global__ void __launch_bounds__(THREADS)
sum_terms(double *out, const double *term, uint32_t n)
{
	double sum = 0.0;

	for (uint32_t i = threadIdx.x; i < n; i += THREADS)
		sum += term[i];
	sum = block_sum(sum);
	if (threadIdx.x == 0)
		*out = sum;
}

size_t pfw_cuda_sum_squares_workspace(uint64_t n)
{
	return div_up(n, TERM) * sizeof(double);
}

int pfw_cuda_sum_squares(struct CUstream_st *stream, const float *x, uint64_t n,
			 double *out, void *workspace)
{
	double *term = (double *)workspace;
	const uint32_t terms = div_up(n, TERM);
	int rc = 0;

	if (terms)
		rc = LAUNCH(square_terms, terms, THREADS, 0, stream, term, x, n,
			    at_16_bytes(x));
	if (rc)
		return rc;
	return LAUNCH(sum_terms, 1, THREADS, 0, stream, out, term, terms);
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
