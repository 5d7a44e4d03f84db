/*
 * Flash attention backward, causal (FlashAttention-2: Dao, arXiv 2307.08691,
 * algorithm 2), without atomics: one kernel owns rows of Q and goes over K and
 * V, for dQ; a second owns rows of K and V and goes over Q and dO, for dK and
 * dV, with scores transposed so that P and dS stay in registers.  Scores are
 * computed in both, seven products instead of five, and all sums have one order.
 *	P = exp(scale S - stats)    D = rowsum(dO O)    dS = P (dP - D)
 */
#include "flash.cuh"

#define OWN (FLASH_WARPS * 16) /* rows of a block */
/* Rows of what it goes over, at once; so that the registers suffice. */
#define NEXT (SIZE <= 64 ? 64 : 32)

/** Two tiles that a block owns, two that it goes over, twice. */
template <int SIZE> struct backward_shared {
	bf16 own[2][OWN * SIZE];
	struct {
		bf16 tile[2][NEXT * SIZE];
		float stats[OWN], dots[OWN]; /* of queries */
	} stage[2];
};
static_assert(sizeof(struct backward_shared<64>) <= FLASH_MOST_SHARED &&
	      sizeof(struct backward_shared<128>) <= FLASH_MOST_SHARED,
	      "every card has that");

/* Stats in powers of 2; beyond the end such that P is 0. */
DEVICE float stats_of(const struct heads &h, uint32_t head, uint32_t row)
{
	return row < h.seq ? h.stats[(size_t)head * h.seq + row] * LOG2E
			   : INFINITY;
}

/* D of this block's rows, into shared memory for it and to h.dots for the next
 * kernel; two threads share a row. */
template <int SIZE>
DEVICE void row_dots(float *dots, const struct heads &h, uint32_t head,
		     uint32_t first)
{
	const uint32_t row = threadIdx.x / 2, half = threadIdx.x % 2;
	const uint32_t from = first + row < h.seq ? first + row : first;
	const size_t at = out_at(h, head, SIZE, from) + half * (SIZE / 2);
	float sum = 0.0f;

#pragma unroll 4
	for (int i = 0; i < SIZE / 2; i += GROUP) {
		const struct group a = load_vector(h.out + at + i);
		const struct group b = load_vector(h.grad_out + at + i);

#pragma unroll
		for (int j = 0; j < GROUP; j++)
			sum += a.v[j] * b.v[j];
	}
	sum += __shfl_xor_sync(~0u, sum, 1);
	if (half)
		return;
	dots[row] = sum;
	if (first + row < h.seq)
		h.dots[(size_t)head * h.seq + first + row] = sum;
}

template <int SIZE>
DEVICE void fetch_keys(struct backward_shared<SIZE> &s, const struct heads &h,
		       uint32_t head, uint32_t tile)
{
	const uint32_t key = tile * NEXT;

	for (int i = 0; i < 2; i++)
		copy_tile<NEXT, SIZE, FLASH_THREADS>(
			s.stage[tile % 2].tile[i],
			h.qkv + qkv_at(h, head, 1 + i, SIZE, key),
			(size_t)3 * h.heads * SIZE, h.seq - key);
}

/* p: scores to dS; rows are queries, stats and dots of this lane's two. */
template <int SIZE>
DEVICE void query_slopes(float p[NEXT / 8][4], const float dp[NEXT / 8][4],
			 const float stats[2], const float dots[2],
			 uint32_t query, uint32_t key, float scale)
{
	const uint32_t lane = threadIdx.x % LANES;

#pragma unroll
	for (int n = 0; n < NEXT / 8; n++)
#pragma unroll
		for (int i = 0; i < 4; i++) {
			const uint32_t q = query + i / 2 * 8 + lane / 4;
			const uint32_t k = key + n * 8 + lane % 4 * 2 + i % 2;
			const float w = exp2f(p[n][i] * scale - stats[i / 2]);

			p[n][i] = k > q ? 0.0f : w * (dp[n][i] - dots[i / 2]);
		}
}

template <int SIZE>
static __global__ void __launch_bounds__(FLASH_THREADS, 2)
flash_queries(const struct heads h)
{
	DYNAMIC_SHARED(dynamic);
	struct backward_shared<SIZE> &s =
		*(struct backward_shared<SIZE> *)dynamic;
	const uint32_t head = blockIdx.x, lane = threadIdx.x % LANES;
	const uint32_t first = (gridDim.y - 1 - blockIdx.y) * OWN;
	const uint32_t valid = h.seq - first;
	const uint32_t row = threadIdx.x / LANES * 16;
	const uint32_t last = first + (valid < OWN ? valid : OWN) - 1;
	const float factor[1][2] = { { h.scale, h.scale } };
	float dq[1][SIZE / 8][4] = {}, p[1][NEXT / 8][4], dp[1][NEXT / 8][4];
	float stats[2], dots[2];

	copy_tile<OWN, SIZE, FLASH_THREADS>(
		s.own[0], h.qkv + qkv_at(h, head, 0, SIZE, first),
		(size_t)3 * h.heads * SIZE, valid);
	copy_tile<OWN, SIZE, FLASH_THREADS>(
		s.own[1], h.grad_out + out_at(h, head, SIZE, first),
		(size_t)h.heads * SIZE, valid);
	fetch_keys(s, h, head, 0);
	copy_commit();
	row_dots<SIZE>(s.stage[0].dots, h, head, first);
	__syncthreads();
	for (int i = 0; i < 2; i++) {
		stats[i] = stats_of(h, head, first + row + i * 8 + lane / 4);
		dots[i] = s.stage[0].dots[row + i * 8 + lane / 4];
	}
	for (uint32_t tile = 0; tile <= last / NEXT; tile++) {
		const uint32_t key = tile * NEXT;
		bf16 *k = s.stage[tile % 2].tile[0];

		if (tile < last / NEXT)
			fetch_keys(s, h, head, tile + 1);
		copy_commit();
		copy_wait<1>();
		__syncthreads();
		product_nt<1, NEXT, SIZE>(p, s.own[0], row, k);
		product_nt<1, NEXT, SIZE>(dp, s.own[1], row,
					  s.stage[tile % 2].tile[1]);
		query_slopes<SIZE>(p[0], dp[0], stats, dots, first + row, key,
				   h.scale * LOG2E);
		product_nn<1, NEXT, SIZE>(dq, p, k);
		__syncthreads(); /* before the stage is filled again */
	}
	store_rows<1, SIZE>(h.grad_qkv + qkv_at(h, head, 0, SIZE, first),
			    (size_t)3 * h.heads * SIZE, valid, s.own[0], row,
			    dq, factor);
}

template <int SIZE>
DEVICE void fetch_queries(struct backward_shared<SIZE> &s,
			  const struct heads &h, uint32_t head, uint32_t tile)
{
	const uint32_t query = tile * NEXT, i = query + threadIdx.x % NEXT;
	const uint32_t stage = tile % 2;

	copy_tile<NEXT, SIZE, FLASH_THREADS>(
		s.stage[stage].tile[0],
		h.qkv + qkv_at(h, head, 0, SIZE, query),
		(size_t)3 * h.heads * SIZE, h.seq - query);
	copy_tile<NEXT, SIZE, FLASH_THREADS>(
		s.stage[stage].tile[1],
		h.grad_out + out_at(h, head, SIZE, query),
		(size_t)h.heads * SIZE, h.seq - query);
	if (threadIdx.x < NEXT)
		s.stage[stage].stats[threadIdx.x] = stats_of(h, head, i);
	else if (threadIdx.x < 2 * NEXT)
		s.stage[stage].dots[threadIdx.x - NEXT] =
			i < h.seq ? h.dots[(size_t)head * h.seq + i] : 0.0f;
}

/* Rows are keys, columns queries: p from scores to P, dp to dS. */
template <int SIZE>
DEVICE void key_slopes(float p[NEXT / 8][4], float dp[NEXT / 8][4],
		       const float *stats, const float *dots, uint32_t key,
		       uint32_t query, float scale)
{
	const uint32_t lane = threadIdx.x % LANES;

#pragma unroll
	for (int n = 0; n < NEXT / 8; n++)
#pragma unroll
		for (int i = 0; i < 4; i++) {
			const uint32_t at = n * 8 + lane % 4 * 2 + i % 2;
			const uint32_t k = key + i / 2 * 8 + lane / 4;
			const float w = exp2f(p[n][i] * scale - stats[at]);

			p[n][i] = k > query + at ? 0.0f : w;
			dp[n][i] = p[n][i] * (dp[n][i] - dots[at]);
		}
}

template <int SIZE>
static __global__ void __launch_bounds__(FLASH_THREADS, 2)
flash_keys(const struct heads h)
{
	DYNAMIC_SHARED(dynamic);
	struct backward_shared<SIZE> &s =
		*(struct backward_shared<SIZE> *)dynamic;
	const uint32_t head = blockIdx.x;
	const uint32_t first = blockIdx.y * OWN, valid = h.seq - first;
	const uint32_t row = threadIdx.x / LANES * 16;
	const uint32_t end = (h.seq + NEXT - 1) / NEXT;
	const size_t stride = (size_t)3 * h.heads * SIZE;
	const float dk_factor[1][2] = { { h.scale, h.scale } };
	const float dv_factor[1][2] = { { 1.0f, 1.0f } };
	float dk[1][SIZE / 8][4] = {}, dv[1][SIZE / 8][4] = {};
	float p[1][NEXT / 8][4], dp[1][NEXT / 8][4];

	for (int i = 0; i < 2; i++)
		copy_tile<OWN, SIZE, FLASH_THREADS>(
			s.own[i], h.qkv + qkv_at(h, head, 1 + i, SIZE, first),
			stride, valid);
	fetch_queries(s, h, head, first / NEXT);
	copy_commit();
	for (uint32_t tile = first / NEXT; tile < end; tile++) {
		auto &stage = s.stage[tile % 2];

		if (tile + 1 < end)
			fetch_queries(s, h, head, tile + 1);
		copy_commit();
		copy_wait<1>();
		__syncthreads();
		product_nt<1, NEXT, SIZE>(p, s.own[0], row, stage.tile[0]);
		product_nt<1, NEXT, SIZE>(dp, s.own[1], row, stage.tile[1]);
		key_slopes<SIZE>(p[0], dp[0], stage.stats, stage.dots,
				 first + row, tile * NEXT, h.scale * LOG2E);
		product_nn<1, NEXT, SIZE>(dv, p, stage.tile[1]);
		product_nn<1, NEXT, SIZE>(dk, dp, stage.tile[0]);
		__syncthreads(); /* before the stage is filled again */
	}
	store_rows<1, SIZE>(h.grad_qkv + qkv_at(h, head, 1, SIZE, first),
			    stride, valid, s.own[0], row, dk, dk_factor);
	store_rows<1, SIZE>(h.grad_qkv + qkv_at(h, head, 2, SIZE, first),
			    stride, valid, s.own[1], row, dv, dv_factor);
}

template <int SIZE>
static int run(struct CUstream_st *stream, const struct pfw_attention *a,
	       float *dots)
{
	const dim3 grid(a->batch * a->heads, div_up(a->seq, OWN));
	const size_t shared = sizeof(struct backward_shared<SIZE>);
	const struct heads h = heads_of(a, dots);
	int rc = LAUNCH(flash_queries<SIZE>, grid, FLASH_THREADS, shared,
			stream, h);

	if (rc)
		return rc;
	return LAUNCH(flash_keys<SIZE>, grid, FLASH_THREADS, shared, stream, h);
}

int pfw_cuda_flash_backward(struct CUstream_st *stream,
			    const struct pfw_attention *a, float *dots)
{
	if (a->head_size == 32)
		return run<32>(stream, a, dots);
	if (a->head_size == 64)
		return run<64>(stream, a, dots);
	return run<128>(stream, a, dots);
}

template <int SIZE> static int allow(void)
{
	const size_t shared = sizeof(struct backward_shared<SIZE>);
	int rc = ALLOW_SHARED(flash_queries<SIZE>, shared);

	return rc ? rc : ALLOW_SHARED(flash_keys<SIZE>, shared);
}

int pfw_cuda_prepare_flash_backward(void)
{
	int rc = allow<32>();

	if (!rc)
		rc = allow<64>();
	return rc ? rc : allow<128>();
}
