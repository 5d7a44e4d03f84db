/* Kernels that treat each element alone: add, convert, AdamW, epilogues. */
#include "kernel.cuh"

#define THREADS 256

/* Blocks of one group for each thread. */
static uint32_t blocks(uint64_t n)
{
	return div_up(div_up(n, GROUP), THREADS);
}

static __global__ void __launch_bounds__(THREADS)
add(float *dst, const float *a, const float *b, uint64_t n, bool aligned)
{
	const size_t i = global_thread() * GROUP;
	struct group x, y;

	if (i >= n)
		return;
	x = load(a + i, n - i, aligned, 0.0f);
	y = load(b + i, n - i, aligned, 0.0f);
#pragma unroll
	for (int j = 0; j < GROUP; j++)
		x.v[j] += y.v[j];
	store(dst + i, n - i, aligned, x);
}

int pfw_cuda_add(struct CUstream_st *stream, float *dst, const float *a,
		 const float *b, uint64_t n)
{
	if (!n)
		return 0;
	return LAUNCH(add, blocks(n), THREADS, 0, stream, dst, a, b, n,
		      at_16_bytes(dst, a, b));
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
convert(T *dst, const float *src, uint64_t n, bool aligned)
{
	const size_t i = global_thread() * GROUP;

	if (i < n)
		store(dst + i, n - i, aligned,
		      load(src + i, n - i, aligned, 0.0f));
}

int pfw_cuda_convert(struct CUstream_st *stream, void *dst, uint32_t dtype,
		     const float *src, uint64_t n)
{
	const bool aligned = at_16_bytes(dst, src);

	if (!n)
		return 0;
	if (dtype == PFW_BF16)
		return LAUNCH(convert<bf16>, blocks(n), THREADS, 0, stream,
			      (bf16 *)dst, src, n, aligned);
	return LAUNCH(convert<float>, blocks(n), THREADS, 0, stream,
		      (float *)dst, src, n, aligned);
}

/* Many updates in one launch; as a kernel's argument it may have 4 KiB. */
#define TENSORS 48

struct tensor {
	float *weight, *m, *v;
	void *weight_act;
	const float *grad;
	uint64_t n;
	float weight_decay;
	uint32_t first_block; /* of the grid */
};

struct updates {
	struct tensor tensor[TENSORS];
	uint32_t count;
	float beta1, beta2, epsilon, lr, correction1, correction2;
	const float *grad_scale;
	const int32_t *skip;
};

/* AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2). */
DEVICE void update_group(const struct updates &u, const struct tensor &t,
			 struct group g, struct group &w, struct group &m,
			 struct group &v)
{
	const float scale = *u.grad_scale;
	const float step = u.lr / u.correction1;
	const float root = 1.0f / sqrtf(u.correction2);
	const float decay = 1.0f - u.lr * t.weight_decay;

#pragma unroll
	for (int j = 0; j < GROUP; j++) {
		const float x = g.v[j] * scale;

		m.v[j] = u.beta1 * m.v[j] + (1.0f - u.beta1) * x;
		v.v[j] = u.beta2 * v.v[j] + (1.0f - u.beta2) * x * x;
		w.v[j] = w.v[j] * decay -
			 step * m.v[j] / (sqrtf(v.v[j]) * root + u.epsilon);
	}
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
adamw(const struct updates u)
{
	uint32_t k = 0;
	struct group w, m, v;
	size_t i, left;
	bool aligned;

	if (*u.skip)
		return;
	while (k + 1 < u.count && u.tensor[k + 1].first_block <= blockIdx.x)
		k++;
	const struct tensor &t = u.tensor[k];
	i = ((size_t)(blockIdx.x - t.first_block) * THREADS + threadIdx.x) *
	    GROUP;
	if (i >= t.n)
		return;
	left = t.n - i;
	aligned = (((uintptr_t)t.weight | (uintptr_t)t.m | (uintptr_t)t.v |
		    (uintptr_t)t.grad | (uintptr_t)t.weight_act) & 15) == 0;
	w = load(t.weight + i, left, aligned, 0.0f);
	m = load(t.m + i, left, aligned, 0.0f);
	v = load(t.v + i, left, aligned, 0.0f);
	update_group(u, t, load(t.grad + i, left, aligned, 0.0f), w, m, v);
	store(t.m + i, left, aligned, m);
	store(t.v + i, left, aligned, v);
	store(t.weight + i, left, aligned, w);
	if (t.weight_act)
		store((T *)t.weight_act + i, left, aligned, w);
}

/* Takes what fits into one launch; gives how many that were. */
static uint32_t gather(struct updates *u, const struct pfw_adamw *a,
		       uint32_t count, uint32_t *grid)
{
	uint64_t total = 0;
	uint32_t i;

	*u = {};
	u->beta1 = a->beta1;
	u->beta2 = a->beta2;
	u->epsilon = a->epsilon;
	u->lr = a->lr;
	u->correction1 = a->correction1;
	u->correction2 = a->correction2;
	u->grad_scale = a->grad_scale;
	u->skip = a->skip;
	for (i = 0; i < count && u->count < TENSORS; i++) {
		if (!a[i].n)
			continue;
		if (u->count && total + blocks(a[i].n) > INT32_MAX)
			break;
		u->tensor[u->count++] = {
			a[i].weight, a[i].m, a[i].v, a[i].weight_act,
			a[i].grad, a[i].n, a[i].weight_decay, (uint32_t)total,
		};
		total += blocks(a[i].n);
	}
	*grid = (uint32_t)total;
	return i;
}

int pfw_cuda_adamw(struct CUstream_st *stream, uint32_t act,
		   const struct pfw_adamw *a, uint32_t count)
{
	struct updates u;
	uint32_t done, grid;
	int rc = 0;

	for (; count && !rc; a += done, count -= done) {
		done = gather(&u, a, count, &grid);
		if (!grid)
			continue;
		rc = act == PFW_BF16
			     ? LAUNCH(adamw<bf16>, grid, THREADS, 0, stream, u)
			     : LAUNCH(adamw<float>, grid, THREADS, 0, stream, u);
	}
	return rc;
}

#define ROOT_2_PI 0.7978845608028654f
#define CUBIC 0.044715f

/* The tanh form (Hendrycks and Gimpel, arXiv 1606.08415). */
DEVICE float gelu(float x)
{
	return 0.5f * x *
	       (1.0f + tanhf(ROOT_2_PI * (x + CUBIC * x * x * x)));
}

DEVICE float gelu_slope(float x)
{
	const float t = tanhf(ROOT_2_PI * (x + CUBIC * x * x * x));

	return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * ROOT_2_PI *
					   (1.0f + 3.0f * CUBIC * x * x);
}

struct epilogue {
	uint32_t flags, n;
	size_t total;
	const float *bias;
	void *aux;
	const void *residual;
	bool aligned; /* 16 bytes at a time everywhere */
};

template <class P, class C, class A>
static __global__ void __launch_bounds__(THREADS)
epilogue(C *c, const P *product, const struct epilogue e)
{
	const size_t i = global_thread() * GROUP, left = e.total - i;
	struct group x, y;

	if (i >= e.total)
		return;
	x = load(product + i, left, e.aligned, 0.0f);
	if (e.flags & PFW_EPI_BIAS)
#pragma unroll
		for (int j = 0; j < GROUP; j++)
			x.v[j] += e.bias[(i + j) % e.n];
	if (e.flags & PFW_EPI_GELU) {
		store((A *)e.aux + i, left, e.aligned, x);
#pragma unroll
		for (int j = 0; j < GROUP; j++)
			x.v[j] = gelu(x.v[j]);
	}
	if (e.flags & PFW_EPI_DGELU) {
		y = load((const A *)e.aux + i, left, e.aligned, 0.0f);
#pragma unroll
		for (int j = 0; j < GROUP; j++)
			x.v[j] *= gelu_slope(y.v[j]);
	}
	if (e.flags & PFW_EPI_RESIDUAL) {
		y = load((const A *)e.residual + i, left, e.aligned, 0.0f);
#pragma unroll
		for (int j = 0; j < GROUP; j++)
			x.v[j] += y.v[j];
	}
	store(c + i, left, e.aligned, x);
}

template <class P, class C, class A>
static int run_epilogue(struct CUstream_st *stream, void *c,
			const void *product, const struct epilogue &e)
{
	return LAUNCH((epilogue<P, C, A>), blocks(e.total), THREADS, 0, stream,
		      (C *)c, (const P *)product, e);
}

int pfw_cuda_epilogue(struct CUstream_st *stream, uint32_t act,
		      const struct pfw_gemm *g, const void *product,
		      uint32_t product_dtype)
{
	const struct epilogue e = {
		g->epilogue, g->n, (size_t)g->m * g->n, g->bias, g->aux,
		g->residual,
		at_16_bytes(g->c, product, g->aux, g->residual),
	};

	if (!e.total)
		return 0;
	if (act != PFW_BF16)
		return run_epilogue<float, float, float>(stream, g->c, product,
							 e);
	if (g->c_dtype == PFW_F32)
		return run_epilogue<float, float, bf16>(stream, g->c, product,
							e);
	if (product_dtype == PFW_F32)
		return run_epilogue<float, bf16, bf16>(stream, g->c, product,
						       e);
	return run_epilogue<bf16, bf16, bf16>(stream, g->c, product, e);
}
