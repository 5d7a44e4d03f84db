/*
 * Causal attention, backward: probabilities are made again from the scores and
 * the log-sum-exp kept by forward.
 *
 * For each block of queries the keys' and values' gradients grow in memory, in
 * the order of the blocks; the block in which a key first appears overwrites.
 */
#include "isa/attention.h"

struct work {
	float q[HEAD_MAX * Q_BLOCK];     /* [size][query], scaled */
	float dout[HEAD_MAX * Q_BLOCK];  /* [size][query] */
	float probs[K_BLOCK * Q_BLOCK];  /* [key][query] */
	float dscores[K_BLOCK * Q_BLOCK];
	float dq[Q_BLOCK * HEAD_MAX];    /* [query][size] */
	float stats[Q_BLOCK], dots[Q_BLOCK];
};

/* From scores and dP to P and dS = P (dP - dots) scale. */
INLINE void softmax_vector(struct work *w, int v, size_t keys, ptrdiff_t first,
			   float scale)
{
	float *p = w->probs + v * VW, *d = w->dscores + v * VW;
	vf stats = vf_load(w->stats + v * VW), dots = vf_load(w->dots + v * VW);

	for (size_t j = 0; j < keys; j++, p += Q_BLOCK, d += Q_BLOCK) {
		vf x = vf_exp(vf_load(p) - stats);
		ptrdiff_t key = first + (ptrdiff_t)j;

		if (key > 0)
			x = vf_select(hidden_lanes(v, (int)key), vf_set(0.0f),
				      x);
		vf_store(p, x);
		vf_store(d, x * (vf_load(d) - dots) * scale);
	}
}

/* c[m, size] (+)= A b, where A is a tile of scores, either way round. */
static void tile_times(const struct head *h, float *c, size_t ldc,
		       const float *tile, int by_query, const float *b,
		       size_t ldb, size_t m, size_t k, int accumulate)
{
	struct cpu_tile t = {
		.a = tile, .a_row = by_query ? 1 : Q_BLOCK,
		.a_k = by_query ? Q_BLOCK : 1, .b = b, .ldb = ldb, .c = c,
		.ldc = ldc, .m = m, .n = h->size, .k = k,
		.accumulate = accumulate,
	};

	ISA(tile_multiply)(&t);
}

/* tile[key][query] = rows of x times the transposed block y. */
static void score_tile(const struct head *h, float *tile, const float *x,
		       const float *y, size_t keys)
{
	struct cpu_tile t = {
		.a = x, .a_row = h->ld, .a_k = 1, .b = y, .ldb = Q_BLOCK,
		.c = tile, .ldc = Q_BLOCK, .m = keys, .n = Q_BLOCK,
		.k = h->size,
	};

	ISA(tile_multiply)(&t);
}

/* Adds to the gradients of keys [k0, k0 + keys), of which those from @p fresh
 * on have not been met before. */
static void add_key_gradients(const struct head *h, const struct work *w,
			      size_t q0, size_t rows, size_t k0, size_t keys)
{
	size_t seen = q0 > k0 ? q0 - k0 : 0;

	seen = seen < keys ? seen : keys;
	for (int fresh = 0; fresh < 2; fresh++) {
		size_t at = fresh ? seen : 0, n = fresh ? keys - seen : seen;
		size_t to = (k0 + at) * h->ld;

		tile_times(h, h->grad_v + to, h->ld, w->probs + at * Q_BLOCK,
			   0, h->grad_out + q0 * h->out_ld, h->out_ld, n, rows,
			   !fresh);
		tile_times(h, h->grad_k + to, h->ld, w->dscores + at * Q_BLOCK,
			   0, h->q + q0 * h->ld, h->ld, n, rows, !fresh);
	}
}

static void key_block(const struct head *h, struct work *w, size_t q0,
		      size_t rows, size_t k0, size_t keys)
{
	score_tile(h, w->probs, h->k + k0 * h->ld, w->q, keys);
	score_tile(h, w->dscores, h->v + k0 * h->ld, w->dout, keys);
	for (int v = 0; v < Q_VECTORS; v++)
		softmax_vector(w, v, keys, (ptrdiff_t)k0 - (ptrdiff_t)q0,
			       h->scale);
	add_key_gradients(h, w, q0, rows, k0, keys);
	tile_times(h, w->dq, h->size, w->dscores, 1, h->k + k0 * h->ld, h->ld,
		   rows, keys, k0 != 0);
}

static float dot(const float *a, const float *b, size_t n)
{
	struct lanes s = { 0 }, x, y;

	for (size_t i = 0; i < n; i += LANES) {
		x = lanes_load(a + i, n - i, 0.0f);
		y = lanes_load(b + i, n - i, 0.0f);
		UNROLL(4)
		for (int l = 0; l < NV; l++)
			s.v[l] += x.v[l] * y.v[l];
	}
	return lanes_sum(s);
}

static void query_block(const struct head *h, struct work *w, size_t q0,
			size_t rows)
{
	size_t end = q0 + rows;

	ISA(tile_transpose)(w->q, Q_BLOCK, h->q + q0 * h->ld, h->ld, rows,
			    h->size, h->scale);
	ISA(tile_transpose)(w->dout, Q_BLOCK, h->grad_out + q0 * h->out_ld,
			    h->out_ld, rows, h->size, 1.0f);
	for (size_t r = 0; r < Q_BLOCK; r++) {
		size_t at = (q0 + r) * h->out_ld;

		w->stats[r] = r < rows ? h->stats[q0 + r] : 0.0f;
		w->dots[r] = r < rows ? dot(h->grad_out + at, h->out + at,
					    h->size)
				      : 0.0f;
	}
	for (size_t k0 = 0; k0 < end; k0 += K_BLOCK)
		key_block(h, w, q0, rows, k0,
			  end - k0 < K_BLOCK ? end - k0 : K_BLOCK);
	for (size_t r = 0; r < rows; r++)
		memcpy(h->grad_q + (q0 + r) * h->ld, w->dq + r * h->size,
		       h->size * sizeof(float));
}

static void some_heads(const void *context, size_t first, size_t end,
		       float *scratch)
{
	const struct pfw_attention *a = context;

	for (size_t i = first; i < end; i++) {
		struct head h = head_at(a, i / a->heads, i % a->heads);

		for (size_t q0 = 0; q0 < h.seq; q0 += Q_BLOCK)
			query_block(&h, (struct work *)scratch, q0,
				    h.seq - q0 < Q_BLOCK ? h.seq - q0
							 : Q_BLOCK);
	}
}

void ISA(attention_backward)(void *queue, const struct pfw_attention *a)
{
	_Static_assert(sizeof(struct work) <= CPU_SCRATCH * sizeof(float),
		       "scratch");
	cpu_each(queue, (size_t)a->batch * a->heads, 1, some_heads, a);
}
