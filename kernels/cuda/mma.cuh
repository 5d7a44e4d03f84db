/*
 * mma.cuh: tensor cores and asynchronous copies of sm_80 and up (PTX ISA, "Warp
 * level matrix instructions", "Data movement: cp.async"), and products of tiles
 * in shared memory made of them.
 */
#ifndef PFW_CUDA_MMA_CUH
#define PFW_CUDA_MMA_CUH

#include "kernel.cuh"

#ifdef __CUDACC__
DEVICE uint32_t shared_address(const void *p)
{
	return (uint32_t)__cvta_generic_to_shared(p);
}
#endif

/** d[16,8] += a[16,16] b[16,8], in fragments: see the PTX ISA. */
DEVICE void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
#ifdef __CUDACC__
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
		     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
		     "{%0, %1, %2, %3};"
		     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]),
		       "r"(b[1]));
#else
	simt_mma_bf16(d, a, b);
#endif
}

/** Four 8 x 8 matrices, lane l giving the address of row l % 8 of the l / 8-th. */
DEVICE void ldmatrix(uint32_t r[4], const void *row)
{
#ifdef __CUDACC__
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
		     "{%0, %1, %2, %3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(shared_address(row))
		     : "memory");
#else
	simt_ldmatrix_x4(r, row, false);
#endif
}

DEVICE void ldmatrix_transposed(uint32_t r[4], const void *row)
{
#ifdef __CUDACC__
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "
		     "{%0, %1, %2, %3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(shared_address(row))
		     : "memory");
#else
	simt_ldmatrix_x4(r, row, true);
#endif
}

/** 16 bytes from global to shared memory, or zeros. */
DEVICE void copy_async(void *dst, const void *src, bool zero)
{
	const uint32_t bytes = zero ? 0 : 16;
#ifdef __CUDACC__
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
		     :: "r"(shared_address(dst)), "l"(src), "r"(bytes)
		     : "memory");
#else
	simt_cp_async(dst, src, bytes);
#endif
}

DEVICE void copy_commit(void)
{
#ifdef __CUDACC__
	asm volatile("cp.async.commit_group;" ::: "memory");
#else
	simt_cp_async_commit();
#endif
}

/** Of what this thread committed, all but the last LEFT is there. */
template <int LEFT> DEVICE void copy_wait(void)
{
#ifdef __CUDACC__
	asm volatile("cp.async.wait_group %0;" :: "n"(LEFT) : "memory");
#else
	simt_cp_async_wait(LEFT);
#endif
}

/*
 * A tile: rows of COLS bf16 in shared memory, its 16-byte chunks exchanged
 * within a row so that the eight rows that ldmatrix reads at once lie in
 * different banks.
 */
template <int COLS>
DEVICE bf16 *chunk_of(bf16 *tile, uint32_t row, uint32_t chunk)
{
	const uint32_t mix = COLS >= 64 ? row & 7 : (row >> 1) & 3;

	return tile + row * COLS + (chunk ^ mix) * 8;
}

/** ROWS rows from @p src on (@p stride elements apart), those from @p valid on
 *  as zeros; by all THREADS, and to be waited for. */
template <int ROWS, int COLS, int THREADS>
DEVICE void copy_tile(bf16 *tile, const bf16 *src, size_t stride,
		      uint32_t valid)
{
	const uint32_t chunks = COLS / 8;

#pragma unroll
	for (uint32_t k = 0; k < ROWS * chunks / THREADS; k++) {
		const uint32_t i = k * THREADS + threadIdx.x;
		const uint32_t row = i / chunks, chunk = i % chunks;
		const uint32_t from = row < valid ? row : 0;

		copy_async(chunk_of<COLS>(tile, row, chunk),
			   src + from * stride + chunk * 8, row >= valid);
	}
}

/** acc[M * 16, N] = A B^T over COLS, of A the rows from @p row on. */
template <int M, int N, int COLS>
DEVICE void product_nt(float acc[M][N / 8][4], bf16 *a, uint32_t row, bf16 *b)
{
	const uint32_t lane = threadIdx.x % LANES;

#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int n = 0; n < N / 8; n++)
#pragma unroll
			for (int i = 0; i < 4; i++)
				acc[m][n][i] = 0.0f;
#pragma unroll
	for (int k = 0; k < COLS / 16; k++) {
		uint32_t fa[M][4], fb[4];

#pragma unroll
		for (int m = 0; m < M; m++)
			ldmatrix(fa[m], chunk_of<COLS>(a,
						       row + m * 16 + lane % 16,
						       2 * k + lane / 16));
#pragma unroll
		for (int n = 0; n < N / 16; n++) {
			ldmatrix(fb, chunk_of<COLS>(
					     b,
					     n * 16 + lane / 16 * 8 + lane % 8,
					     2 * k + lane / 8 % 2));
#pragma unroll
			for (int m = 0; m < M; m++) {
				mma_bf16(acc[m][2 * n], fa[m], fb);
				mma_bf16(acc[m][2 * n + 1], fa[m], fb + 2);
			}
		}
	}
}

/** acc[M * 16, COLS] += P B over the N rows of B; P as product_nt left it. */
template <int M, int N, int COLS>
DEVICE void product_nn(float acc[M][COLS / 8][4], float p[M][N / 8][4], bf16 *b)
{
	const uint32_t lane = threadIdx.x % LANES;

#pragma unroll
	for (int k = 0; k < N / 16; k++) {
		uint32_t fp[M][4], fb[4];

#pragma unroll
		for (int m = 0; m < M; m++)
#pragma unroll
			for (int i = 0; i < 4; i++) {
				const float *v = p[m][2 * k + i / 2] +
						 i % 2 * 2;

				fp[m][i] = bf16_pair(v[0], v[1]);
			}
#pragma unroll
		for (int n = 0; n < COLS / 16; n++) {
			ldmatrix_transposed(
				fb, chunk_of<COLS>(b, k * 16 + lane % 16,
						   2 * n + lane / 16));
#pragma unroll
			for (int m = 0; m < M; m++) {
				mma_bf16(acc[m][2 * n], fp[m], fb);
				mma_bf16(acc[m][2 * n + 1], fp[m], fb + 2);
			}
		}
	}
}

/** Sums (maxima) over the four lanes that share rows of an accumulator. */
DEVICE float quad_sum(float x)
{
	x += __shfl_xor_sync(~0u, x, 1);
	return x + __shfl_xor_sync(~0u, x, 2);
}

DEVICE float quad_max(float x)
{
	x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
	return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}

/**
 * A warp's accumulator, M * 16 rows of COLS, times scale[m][row half], to rows
 * of global memory; by way of the warp's own rows of @p tile, from @p row on.
 */
template <int M, int COLS>
DEVICE void store_rows(bf16 *dst, size_t stride, uint32_t valid, bf16 *tile,
		       uint32_t row, float acc[M][COLS / 8][4],
		       const float scale[M][2])
{
	const uint32_t lane = threadIdx.x % LANES, chunks = COLS / 8;

	__syncwarp();
#pragma unroll
	for (int m = 0; m < M; m++)
#pragma unroll
		for (int n = 0; n < COLS / 8; n++)
#pragma unroll
			for (int h = 0; h < 2; h++) {
				bf16 *at = chunk_of<COLS>(
					tile, row + m * 16 + h * 8 + lane / 4,
					n);

				((uint32_t *)at)[lane % 4] = bf16_pair(
					acc[m][n][2 * h] * scale[m][h],
					acc[m][n][2 * h + 1] * scale[m][h]);
			}
	__syncwarp();
#pragma unroll
	for (uint32_t k = 0; k < M * 16 * chunks / LANES; k++) {
		const uint32_t i = k * LANES + lane;
		const uint32_t r = row + i / chunks;

		if (r < valid)
			*vectors_at<uint4>(dst + r * stride + i % chunks * 8) =
				*(uint4 *)chunk_of<COLS>(tile, r, i % chunks);
	}
}

#endif
