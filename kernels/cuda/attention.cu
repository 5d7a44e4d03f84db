/*
 * Attention: which kernels take it, and the plain ones, which take every type
 * and head size.  Plain: a warp owns a row (a query; backward also a key) and
 * goes over the others 32 at a time, a lane each for the scores, a lane each
 * some columns for the sums.
 */
#include "kernel.cuh"

#define WARPS 4
#define THREADS (WARPS * LANES)

template <class T> struct plain {
	const T *qkv;
	T *out;
	float *stats;
	const T *grad_out;
	T *grad_qkv;
	float *dots;
	uint32_t seq, heads, size;
	float scale;
};

/** Row @p row of q (0), k (1) or v (2). */
template <class T>
DEVICE size_t qkv_row(const struct plain<T> &a, uint32_t which, uint32_t row)
{
	const size_t c = (size_t)a.heads * a.size, head = blockIdx.x;

	return (head / a.heads * a.seq + row) * 3 * c + which * c +
	       head % a.heads * a.size;
}

template <class T> DEVICE size_t out_row(const struct plain<T> &a, uint32_t row)
{
	const size_t c = (size_t)a.heads * a.size, head = blockIdx.x;

	return (head / a.heads * a.seq + row) * c + head % a.heads * a.size;
}

template <class T> DEVICE float dot(const T *a, const T *b, uint32_t n)
{
	float sum = 0.0f;

	for (uint32_t i = 0; i < n; i++)
		sum += to_float(a[i]) * to_float(b[i]);
	return sum;
}

/* acc += sum over the lanes, in order, of each one's weight times its row; lane
 * l's row is @p rows[l * stride], and those from @p n on are left out. */
template <class T>
DEVICE void add_rows(float *acc, float weight, const T *rows, size_t stride,
		     uint32_t n, uint32_t size)
{
	const uint32_t lane = threadIdx.x % LANES;

	for (uint32_t j = 0; j < n; j++) {
		const float w = __shfl_sync(~0u, weight, (int)j);

		for (uint32_t i = lane; i < size; i += LANES)
			acc[i] += w * to_float(rows[j * stride + i]);
	}
}

DEVICE void scale_row(float *acc, float factor, uint32_t size)
{
	for (uint32_t i = threadIdx.x % LANES; i < size; i += LANES)
		acc[i] *= factor;
}

template <class T>
DEVICE void put_row(T *dst, const float *acc, float factor, uint32_t size)
{
	for (uint32_t i = threadIdx.x % LANES; i < size; i += LANES)
		put(dst + i, acc[i] * factor);
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
plain_forward(const struct plain<T> a)
{
	DYNAMIC_SHARED(dynamic);
	const uint32_t lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
	const uint32_t query = blockIdx.y * WARPS + warp;
	const size_t stride = (size_t)3 * a.heads * a.size;
	float *acc = (float *)dynamic + warp * a.size;
	float max = -FLT_MAX, sum = 0.0f;

	if (query >= a.seq)
		return;
	for (uint32_t i = lane; i < a.size; i += LANES)
		acc[i] = 0.0f;
	for (uint32_t key = 0; key <= query; key += LANES) {
		const uint32_t n = query + 1 - key < LANES ? query + 1 - key
							   : LANES;
		float s = -INFINITY, m;

		if (lane < n)
			s = dot(a.qkv + qkv_row(a, 0, query),
				a.qkv + qkv_row(a, 1, key + lane), a.size) *
			    a.scale;
		m = fmaxf(max, warp_max(s));
		sum *= expf(max - m);
		scale_row(acc, expf(max - m), a.size);
		max = m;
		s = expf(s - max);
		sum += warp_sum(s);
		add_rows(acc, s, a.qkv + qkv_row(a, 2, key), stride, n, a.size);
	}
	put_row(a.out + out_row(a, query), acc, 1.0f / sum, a.size);
	if (lane == 0)
		a.stats[(size_t)blockIdx.x * a.seq + query] = max + logf(sum);
}

/* What a query and a key that may see each other have in common. */
template <class T>
DEVICE void slopes(const struct plain<T> &a, uint32_t query, uint32_t key,
		   float *p, float *ds)
{
	const size_t at = (size_t)blockIdx.x * a.seq + query;
	const float s = dot(a.qkv + qkv_row(a, 0, query),
			    a.qkv + qkv_row(a, 1, key), a.size);
	const float dp = dot(a.grad_out + out_row(a, query),
			     a.qkv + qkv_row(a, 2, key), a.size);

	*p = expf(s * a.scale - a.stats[at]);
	*ds = *p * (dp - a.dots[at]);
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
plain_queries(const struct plain<T> a)
{
	DYNAMIC_SHARED(dynamic);
	const uint32_t lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
	const uint32_t query = blockIdx.y * WARPS + warp;
	const size_t stride = (size_t)3 * a.heads * a.size;
	float *dq = (float *)dynamic + warp * a.size, sum = 0.0f;

	if (query >= a.seq)
		return;
	for (uint32_t i = lane; i < a.size; i += LANES) {
		dq[i] = 0.0f;
		sum += to_float(a.out[out_row(a, query) + i]) *
		       to_float(a.grad_out[out_row(a, query) + i]);
	}
	sum = warp_sum(sum);
	if (lane == 0)
		a.dots[(size_t)blockIdx.x * a.seq + query] = sum;
	__syncwarp();
	for (uint32_t key = 0; key <= query; key += LANES) {
		const uint32_t n = query + 1 - key < LANES ? query + 1 - key
							   : LANES;
		float p, ds = 0.0f;

		if (lane < n)
			slopes(a, query, key + lane, &p, &ds);
		add_rows(dq, ds, a.qkv + qkv_row(a, 1, key), stride, n, a.size);
	}
	put_row(a.grad_qkv + qkv_row(a, 0, query), dq, a.scale, a.size);
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
plain_keys(const struct plain<T> a)
{
	DYNAMIC_SHARED(dynamic);
	const uint32_t lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
	const uint32_t key = blockIdx.y * WARPS + warp;
	const size_t c = (size_t)a.heads * a.size;
	float *dk = (float *)dynamic + 2 * warp * a.size, *dv = dk + a.size;

	if (key >= a.seq)
		return;
	for (uint32_t i = lane; i < a.size; i += LANES)
		dk[i] = dv[i] = 0.0f;
	for (uint32_t query = key; query < a.seq; query += LANES) {
		const uint32_t n = a.seq - query < LANES ? a.seq - query
							 : LANES;
		float p = 0.0f, ds = 0.0f;

		if (lane < n)
			slopes(a, query + lane, key, &p, &ds);
		add_rows(dv, p, a.grad_out + out_row(a, query), c, n, a.size);
		add_rows(dk, ds, a.qkv + qkv_row(a, 0, query), 3 * c, n,
			 a.size);
	}
	put_row(a.grad_qkv + qkv_row(a, 1, key), dk, a.scale, a.size);
	put_row(a.grad_qkv + qkv_row(a, 2, key), dv, 1.0f, a.size);
}

template <class T>
static struct plain<T> plain_of(const struct pfw_attention *a, void *dots)
{
	const struct plain<T> p = {
		(const T *)a->qkv, (T *)a->out, a->stats,
		(const T *)a->grad_out, (T *)a->grad_qkv, (float *)dots,
		a->seq, a->heads, a->head_size,
		1.0f / sqrtf((float)a->head_size),
	};

	return p;
}

template <class T>
static int forward(struct CUstream_st *stream, const struct pfw_attention *a)
{
	const dim3 grid(a->batch * a->heads, div_up(a->seq, WARPS));
	const size_t shared = WARPS * a->head_size * sizeof(float);
	const struct plain<T> p = plain_of<T>(a, NULL);

	return LAUNCH(plain_forward<T>, grid, THREADS, shared, stream, p);
}

template <class T>
static int backward(struct CUstream_st *stream, const struct pfw_attention *a,
		    void *dots)
{
	const dim3 grid(a->batch * a->heads, div_up(a->seq, WARPS));
	const size_t shared = WARPS * a->head_size * sizeof(float);
	const struct plain<T> p = plain_of<T>(a, dots);
	int rc = LAUNCH(plain_queries<T>, grid, THREADS, shared, stream, p);

	if (rc)
		return rc;
	return LAUNCH(plain_keys<T>, grid, THREADS, 2 * shared, stream, p);
}

/* Sizes that flash attention has, and rows that lie on 16 bytes. */
static bool flash_takes(uint32_t act, const struct pfw_attention *a)
{
	return act == PFW_BF16 &&
	       (a->head_size == 32 || a->head_size == 64 ||
		a->head_size == 128) &&
	       at_16_bytes(a->qkv, a->out, a->grad_out, a->grad_qkv);
}

int pfw_cuda_attention_forward(struct CUstream_st *stream, uint32_t act,
			       const struct pfw_attention *a)
{
	if (flash_takes(act, a))
		return pfw_cuda_flash_forward(stream, a);
	return act == PFW_BF16 ? forward<bf16>(stream, a)
			       : forward<float>(stream, a);
}

size_t pfw_cuda_attention_backward_workspace(uint32_t batch, uint32_t seq,
					     uint32_t heads)
{
	return (size_t)batch * seq * heads * sizeof(float);
}

int pfw_cuda_attention_backward(struct CUstream_st *stream, uint32_t act,
				const struct pfw_attention *a, void *workspace)
{
	if (flash_takes(act, a))
		return pfw_cuda_flash_backward(stream, a, (float *)workspace);
	return act == PFW_BF16 ? backward<bf16>(stream, a, workspace)
			       : backward<float>(stream, a, workspace);
}

int pfw_cuda_prepare(void)
{
	int rc = pfw_cuda_prepare_layernorm();

	if (!rc)
		rc = pfw_cuda_prepare_flash_forward();
	return rc ? rc : pfw_cuda_prepare_flash_backward();
}
