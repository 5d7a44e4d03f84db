/*
 * Flash attention forward, causal (FlashAttention-2: Dao, arXiv 2307.08691,
 * algorithm 1): a block takes QUERIES rows of Q of one head and goes over the
 * tiles of K and V up to the diagonal, with the softmax's maximum and sum
 * brought along row by row.  The next tiles come in while these are worked on.
 */
#include "flash.cuh"

#define M 2 /* of 16 rows a warp, so that each fragment of K serves twice */
#define QUERIES (FLASH_WARPS * M * 16)
#define KEYS (SIZE <= 64 ? 64 : 32) /* so that the registers suffice */

template <int SIZE> struct forward_shared {
	bf16 q[QUERIES * SIZE];
	struct {
		bf16 k[KEYS * SIZE], v[KEYS * SIZE];
	} stage[2];
};
static_assert(sizeof(struct forward_shared<64>) <= FLASH_MOST_SHARED &&
	      sizeof(struct forward_shared<128>) <= FLASH_MOST_SHARED,
	      "every card has that");

/* Of the rows of a warp: two for each m in a lane, 8 apart. */
struct softmax {
	float max[M][2], sum[M][2];
};

/* Keys behind a query's own are out. */
template <int SIZE>
DEVICE void mask(float s[M][KEYS / 8][4], uint32_t query, uint32_t key)
{
	const uint32_t lane = threadIdx.x % LANES;

#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
			for (int i = 0; i < 4; i++)
				if (key + n * 8 + lane % 4 * 2 + i % 2 >
				    query + m * 16 + i / 2 * 8 + lane / 4)
					s[m][n][i] = -INFINITY;
}

/* s becomes exp(s - maximum); what was summed before is scaled to the new one.
 * Exponents are of 2: @p scale has log2(e) in it. */
template <int SIZE>
DEVICE void weigh(struct softmax &t, float s[M][KEYS / 8][4],
		  float o[M][SIZE / 8][4], float scale)
{
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int h = 0; h < 2; h++) {
			float max = t.max[m][h], sum = 0.0f, old;

#pragma unroll
			for (int n = 0; n < KEYS / 8; n++)
				max = fmaxf(max, fmaxf(s[m][n][2 * h],
						       s[m][n][2 * h + 1]));
			max = quad_max(max);
			old = exp2f((t.max[m][h] - max) * scale);
			t.max[m][h] = max;
#pragma unroll
			for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
				for (int i = 2 * h; i < 2 * h + 2; i++) {
					s[m][n][i] =
						exp2f((s[m][n][i] - max) *
						      scale);
					sum += s[m][n][i];
				}
			t.sum[m][h] = t.sum[m][h] * old + sum;
#pragma unroll
			for (int n = 0; n < SIZE / 8; n++) {
				o[m][n][2 * h] *= old;
				o[m][n][2 * h + 1] *= old;
			}
		}
}

/* The sums of all four lanes of a row; logs of them to stats. */
DEVICE void finish(const struct softmax &t, float *stats, uint32_t row,
		   uint32_t valid, float scale, float factor[M][2])
{
	const uint32_t lane = threadIdx.x % LANES;

#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int h = 0; h < 2; h++) {
			const float sum = quad_sum(t.sum[m][h]);
			const uint32_t r = row + m * 16 + h * 8 + lane / 4;

			factor[m][h] = 1.0f / sum;
			if (lane % 4 == 0 && r < valid)
				stats[r] = t.max[m][h] * scale + logf(sum);
		}
}

template <int SIZE>
DEVICE void fetch(struct forward_shared<SIZE> &s, const struct heads &h,
		  uint32_t head, uint32_t tile)
{
	const size_t stride = (size_t)3 * h.heads * SIZE;
	const uint32_t key = tile * KEYS, valid = h.seq - key;

	copy_tile<KEYS, SIZE, FLASH_THREADS>(
		s.stage[tile % 2].k, h.qkv + qkv_at(h, head, 1, SIZE, key),
		stride, valid);
	copy_tile<KEYS, SIZE, FLASH_THREADS>(
		s.stage[tile % 2].v, h.qkv + qkv_at(h, head, 2, SIZE, key),
		stride, valid);
}

template <int SIZE>
static __global__ void __launch_bounds__(FLASH_THREADS, 2)
flash_forward(const struct heads h)
{
	DYNAMIC_SHARED(dynamic);
	struct forward_shared<SIZE> &s =
		*(struct forward_shared<SIZE> *)dynamic;
	const uint32_t head = blockIdx.x;
	/* The longest rows first: the last blocks of a grid are short. */
	const uint32_t first = (gridDim.y - 1 - blockIdx.y) * QUERIES;
	const uint32_t valid = h.seq - first;
	const uint32_t row = threadIdx.x / LANES * (M * 16);
	const uint32_t last = first + (valid < QUERIES ? valid : QUERIES) - 1;
	float o[M][SIZE / 8][4] = {}, p[M][KEYS / 8][4], factor[M][2];
	struct softmax t = {};

#pragma unroll
	for (int m = 0; m < M; m++)
		t.max[m][0] = t.max[m][1] = -FLT_MAX;
	copy_tile<QUERIES, SIZE, FLASH_THREADS>(
		s.q, h.qkv + qkv_at(h, head, 0, SIZE, first),
		(size_t)3 * h.heads * SIZE, valid);
	fetch(s, h, head, 0);
	copy_commit();
	for (uint32_t tile = 0; tile <= last / KEYS; tile++) {
		const uint32_t key = tile * KEYS;

		if (tile < last / KEYS)
			fetch(s, h, head, tile + 1);
		copy_commit(); /* the last one of nothing, to be counted */
		copy_wait<1>();
		__syncthreads();
		if (key < first + row + M * 16) {
			product_nt<M, KEYS, SIZE>(p, s.q, row,
						  s.stage[tile % 2].k);
			if (key + KEYS > first + row + 1)
				mask<SIZE>(p, first + row, key);
			weigh<SIZE>(t, p, o, h.scale * LOG2E);
			product_nn<M, KEYS, SIZE>(o, p, s.stage[tile % 2].v);
		}
		__syncthreads(); /* before the stage is filled again */
	}
	finish(t, h.stats + (size_t)head * h.seq + first, row, valid, h.scale,
	       factor);
	store_rows<M, SIZE>(h.out + out_at(h, head, SIZE, first),
			    (size_t)h.heads * SIZE, valid, s.q, row, o, factor);
}

template <int SIZE>
static int run(struct CUstream_st *stream, const struct pfw_attention *a)
{
	const dim3 grid(a->batch * a->heads, div_up(a->seq, QUERIES));
	const struct heads h = heads_of(a, NULL);

	return LAUNCH(flash_forward<SIZE>, grid, FLASH_THREADS,
		      sizeof(struct forward_shared<SIZE>), stream, h);
}

int pfw_cuda_flash_forward(struct CUstream_st *stream,
			   const struct pfw_attention *a)
{
	if (a->head_size == 32)
		return run<32>(stream, a);
	if (a->head_size == 64)
		return run<64>(stream, a);
	return run<128>(stream, a);
}

int pfw_cuda_prepare_flash_forward(void)
{
	int rc = ALLOW_SHARED(flash_forward<32>,
			      sizeof(struct forward_shared<32>));

	if (!rc)
		rc = ALLOW_SHARED(flash_forward<64>,
				  sizeof(struct forward_shared<64>));
	if (!rc)
		rc = ALLOW_SHARED(flash_forward<128>,
				  sizeof(struct forward_shared<128>));
	return rc;
}
