/*
 * Token and position embeddings.  Backward adds without atomics: positions are
 * sorted by their tokens, and one block adds all rows of a token in the order
 * of their positions.
 */
#include "kernel.cuh"

#define THREADS 256
#define WARPS (THREADS / LANES)

template <class T>
static __global__ void __launch_bounds__(THREADS)
forward(T *out, const int32_t *tokens, const float *wte, const float *wpe,
	uint32_t rows, uint32_t seq, uint32_t c, bool aligned)
{
	const uint32_t lane = threadIdx.x % LANES;
	const size_t row = global_thread() / LANES;

	if (row >= rows)
		return;
	wte += (size_t)tokens[row] * c;
	wpe += row % seq * c;
	out += row * c;
#pragma unroll 2
	for (uint32_t i = lane * GROUP; i < c; i += LANES * GROUP) {
		struct group a = load(wte + i, c - i, aligned, 0.0f);
		const struct group b = load(wpe + i, c - i, aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			a.v[j] += b.v[j];
		store(out + i, c - i, aligned, a);
	}
}

int pfw_cuda_embed_forward(struct CUstream_st *stream, uint32_t act, void *out,
			   const int32_t *tokens, const float *wte,
			   const float *wpe, uint32_t batch, uint32_t seq,
			   uint32_t c)
{
	const bool aligned = c % GROUP == 0 && at_16_bytes(out, wte, wpe);
	const uint32_t rows = batch * seq, grid = div_up(rows, WARPS);

	if (act == PFW_BF16)
		return LAUNCH(forward<bf16>, grid, THREADS, 0, stream,
			      (bf16 *)out, tokens, wte, wpe, rows, seq, c,
			      aligned);
	return LAUNCH(forward<float>, grid, THREADS, 0, stream, (float *)out,
		      tokens, wte, wpe, rows, seq, c, aligned);
}

static __global__ void __launch_bounds__(THREADS)
zero(float *x, uint64_t n, bool aligned)
{
	const size_t i = global_thread() * GROUP;
	const struct group none = {};

	if (i < n)
		store(x + i, n - i, aligned, none);
}

static int fill_zero(struct CUstream_st *stream, float *x, uint64_t n)
{
	return LAUNCH(zero, div_up(div_up(n, GROUP), THREADS), THREADS, 0,
		      stream, x, n, at_16_bytes(x));
}

/*
 * The place of each position in the sorted list is the number of (token,
 * position) below its own: rows^2 comparisons, but no pass waits for another.
 * Eight threads share a position.
 */
#define SHARERS 8
#define SORTED_EACH (THREADS / SHARERS)
#define TILE 1024

struct token_tile {
	int32_t token[TILE];
};

static __global__ void __launch_bounds__(THREADS)
sort_positions(uint32_t *sorted, const int32_t *tokens, uint32_t rows)
{
	SHARED(struct token_tile, s);
	const uint32_t i = blockIdx.x * SORTED_EACH + threadIdx.x / SHARERS;
	const int32_t token = i < rows ? tokens[i] : 0;
	uint32_t below = 0;

	for (uint32_t at = 0; at < rows; at += TILE) {
		const uint32_t n = rows - at < TILE ? rows - at : TILE;

		__syncthreads(); /* the tile before is done with */
		for (uint32_t j = threadIdx.x; j < n; j += THREADS)
			s.token[j] = tokens[at + j];
		__syncthreads();
		for (uint32_t j = threadIdx.x % SHARERS; j < n; j += SHARERS)
			below += s.token[j] < token ||
				 (s.token[j] == token && at + j < i);
	}
#pragma unroll
	for (int mask = SHARERS / 2; mask; mask /= 2)
		below += __shfl_xor_sync(~0u, below, mask);
	if (i < rows && threadIdx.x % SHARERS == 0)
		sorted[below] = i;
}

/* A block for each place where a token begins; the others have nothing to do.
 * Rows are fetched some at a time, and added one after the other. */
#define FETCHED 4

template <class T>
static __global__ void __launch_bounds__(THREADS)
add_tokens(float *dwte, const T *dout, const int32_t *tokens,
	   const uint32_t *sorted, uint32_t rows, uint32_t c, int accumulate,
	   bool aligned)
{
	const uint32_t first = blockIdx.x;
	const int32_t token = tokens[sorted[first]];
	const uint32_t i = (blockIdx.y * THREADS + threadIdx.x) * GROUP;
	struct group sum = {}, g[FETCHED];
	uint32_t at = first;

	if (first && tokens[sorted[first - 1]] == token)
		return;
	if (i >= c)
		return;
	dwte += (size_t)token * c + i;
	if (accumulate)
		sum = load(dwte, c - i, aligned, 0.0f);
	for (bool more = true; more; at += FETCHED) {
#pragma unroll
		for (int k = 0; k < FETCHED; k++) {
			more = more && at + k < rows &&
			       tokens[sorted[at + k]] == token;
			g[k] = {};
			if (more)
				g[k] = load(dout + (size_t)sorted[at + k] * c +
						    i,
					    c - i, aligned, 0.0f);
		}
#pragma unroll
		for (int k = 0; k < FETCHED; k++)
#pragma unroll
			for (int j = 0; j < GROUP; j++)
				sum.v[j] += g[k].v[j];
	}
	store(dwte, c - i, aligned, sum);
}

/* Row blockIdx.x of wpe over the batch. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
add_places(float *dwpe, const T *dout, uint32_t batch, uint32_t seq, uint32_t c,
	   int accumulate, bool aligned)
{
	const uint32_t place = blockIdx.x;
	const uint32_t i = (blockIdx.y * THREADS + threadIdx.x) * GROUP;
	struct group sum = {};

	if (i >= c)
		return;
	dwpe += (size_t)place * c + i;
	if (accumulate)
		sum = load(dwpe, c - i, aligned, 0.0f);
#pragma unroll 4
	for (uint32_t b = 0; b < batch; b++) {
		const struct group g =
			load(dout + ((size_t)b * seq + place) * c + i, c - i,
			     aligned, 0.0f);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum.v[j] += g.v[j];
	}
	store(dwpe, c - i, aligned, sum);
}

struct backward {
	float *dwte, *dwpe;
	const int32_t *tokens;
	uint32_t *sorted;
	uint32_t batch, seq, c;
	int accumulate;
};

template <class T>
static int run_backward(struct CUstream_st *stream, const struct backward &b,
			const T *dout)
{
	const uint32_t rows = b.batch * b.seq;
	const uint32_t panels = div_up(b.c, THREADS * GROUP);
	const bool even = b.c % GROUP == 0;
	int rc;

	rc = LAUNCH(sort_positions, div_up(rows, SORTED_EACH), THREADS, 0,
		    stream, b.sorted, b.tokens, rows);
	if (!rc)
		rc = LAUNCH(add_tokens<T>, dim3(rows, panels), THREADS, 0,
			    stream, b.dwte, dout, b.tokens, b.sorted, rows, b.c,
			    b.accumulate, even && at_16_bytes(b.dwte, dout));
	if (!rc)
		rc = LAUNCH(add_places<T>, dim3(b.seq, panels), THREADS, 0,
			    stream, b.dwpe, dout, b.batch, b.seq, b.c,
			    b.accumulate, even && at_16_bytes(b.dwpe, dout));
	return rc;
}

size_t pfw_cuda_embed_backward_workspace(uint32_t batch, uint32_t seq)
{
	return (size_t)batch * seq * sizeof(uint32_t);
}

int pfw_cuda_embed_backward(struct CUstream_st *stream, uint32_t act,
			    float *dwte, float *dwpe, const void *dout,
			    const int32_t *tokens, uint32_t batch, uint32_t seq,
			    uint32_t c, uint32_t vocab, uint32_t context,
			    int accumulate, void *workspace)
{
	const struct backward b = { dwte, dwpe, tokens, (uint32_t *)workspace,
				    batch, seq, c, accumulate };
	int rc = 0;

	if (!accumulate)
		rc = fill_zero(stream, dwte, (uint64_t)vocab * c);
	if (!rc && !accumulate && context > seq)
		rc = fill_zero(stream, dwpe + (size_t)seq * c,
			       (uint64_t)(context - seq) * c);
	if (rc)
		return rc;
	return act == PFW_BF16
		       ? run_backward(stream, b, (const bf16 *)dout)
		       : run_backward(stream, b, (const float *)dout);
}
