/*
 * Causal attention, backward: probabilities are made again from the scores and
 * the log-sum-exp kept by forward.
 *
 * For each block of queries the keys' and values' gradients grow in memory, in
 * the order of the blocks; the block in which a key first appears overwrites.
 * bf16 is no place for them to grow: there they are copied when done.
 */
#include "isa/attention.h"

struct work {
	float q[HEAD_MAX * Q_BLOCK];     /* [size][query], scaled */
	float dout[HEAD_MAX * Q_BLOCK];  /* [size][query] */
	float probs[K_BLOCK * Q_BLOCK];  /* [key][query] */
	float dscores[K_BLOCK * Q_BLOCK];
	float dq[Q_BLOCK * HEAD_MAX];    /* [query][size] */
	float stats[Q_BLOCK], dots[Q_BLOCK];
	/* Copies in fp32, where they are something else: */
	float wide_q[Q_BLOCK * HEAD_MAX], wide_dout[Q_BLOCK * HEAD_MAX];
	float wide_k[K_BLOCK * HEAD_MAX], wide_v[K_BLOCK * HEAD_MAX];
	float sums[]; /* of keys' and values' gradients, likewise */
};

/* Keys [first, end), whose gradients grow row by row. */
struct chunk {
	size_t first, end, ld;
	float *dk, *dv; /* of the first */
};

/* A block of queries. */
struct queries {
	size_t first, rows;
	struct wide q, dout;
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
static void score_tile(const struct head *h, float *tile, const struct wide *x,
		       const float *y, size_t keys)
{
	struct cpu_tile t = {
		.a = x->x, .a_row = x->ld, .a_k = 1, .b = y, .ldb = Q_BLOCK,
		.c = tile, .ldc = Q_BLOCK, .m = keys, .n = Q_BLOCK,
		.k = h->size,
	};

	ISA(tile_multiply)(&t);
}

/* Adds to the gradients of keys [k0, k0 + keys), of which those that these
 * queries are the first to see have none yet. */
static void add_key_gradients(const struct head *h, const struct work *w,
			      const struct chunk *c, const struct queries *q,
			      size_t k0, size_t keys)
{
	size_t seen = q->first > k0 ? q->first - k0 : 0;

	seen = seen < keys ? seen : keys;
	for (int fresh = 0; fresh < 2; fresh++) {
		size_t at = fresh ? seen : 0, n = fresh ? keys - seen : seen;
		size_t to = (k0 + at - c->first) * c->ld;

		tile_times(h, c->dv + to, c->ld, w->probs + at * Q_BLOCK, 0,
			   q->dout.x, q->dout.ld, n, q->rows, !fresh);
		tile_times(h, c->dk + to, c->ld, w->dscores + at * Q_BLOCK, 0,
			   q->q.x, q->q.ld, n, q->rows, !fresh);
	}
}

static void key_block(const struct head *h, struct work *w,
		      const struct chunk *c, const struct queries *q, size_t k0,
		      size_t keys)
{
	const struct wide k = widen(w->wide_k, h->k + k0 * h->ld, h->ld, keys,
				    h->size);
	const struct wide v = widen(w->wide_v, h->v + k0 * h->ld, h->ld, keys,
				    h->size);

	score_tile(h, w->probs, &k, w->q, keys);
	score_tile(h, w->dscores, &v, w->dout, keys);
	for (int i = 0; i < Q_VECTORS; i++)
		softmax_vector(w, i, keys, (ptrdiff_t)k0 - (ptrdiff_t)q->first,
			       h->scale);
	add_key_gradients(h, w, c, q, k0, keys);
	tile_times(h, w->dq, h->size, w->dscores, 1, k.x, k.ld, q->rows, keys,
		   k0 != c->first);
}

static float dot(const act *a, const act *b, size_t n)
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

/* What later chunks of keys give is added. */
static void store_query_gradient(const struct head *h, const struct work *w,
				 const struct queries *q, int later)
{
	for (size_t r = 0; r < q->rows; r++) {
		act *to = h->grad_q + (q->first + r) * h->ld;
		const float *from = w->dq + r * h->size;

		for (size_t i = 0; i < h->size; i += VW) {
			size_t left = h->size - i;
			vf x = LOAD(from);

			STORE(to, later ? x + LOAD(to) : x);
		}
	}
}

static void query_block(const struct head *h, struct work *w,
			const struct chunk *c, size_t q0, size_t rows)
{
	const struct queries q = {
		q0, rows, widen(w->wide_q, h->q + q0 * h->ld, h->ld, rows,
				h->size),
		widen(w->wide_dout, h->grad_out + q0 * h->out_ld, h->out_ld,
		      rows, h->size)
	};
	const size_t end = q0 + rows < c->end ? q0 + rows : c->end;

	ISA(tile_transpose)(w->q, Q_BLOCK, q.q.x, q.q.ld, rows, h->size,
			    h->scale);
	ISA(tile_transpose)(w->dout, Q_BLOCK, q.dout.x, q.dout.ld, rows,
			    h->size, 1.0f);
	for (size_t r = 0; r < Q_BLOCK; r++) {
		size_t at = (q0 + r) * h->out_ld;

		w->stats[r] = r < rows ? h->stats[q0 + r] : 0.0f;
		w->dots[r] = r < rows ? dot(h->grad_out + at, h->out + at,
					    h->size)
				      : 0.0f;
	}
	for (size_t k0 = c->first; k0 < end; k0 += K_BLOCK)
		key_block(h, w, c, &q, k0,
			  end - k0 < K_BLOCK ? end - k0 : K_BLOCK);
	store_query_gradient(h, w, &q, c->first != 0);
}

static void one_chunk(const struct head *h, struct work *w,
		      const struct chunk *c)
{
	for (size_t q0 = c->first; q0 < h->seq; q0 += Q_BLOCK)
		query_block(h, w, c, q0,
			    h->seq - q0 < Q_BLOCK ? h->seq - q0 : Q_BLOCK);
}

#ifdef CPU_BF16
static void store_sums(const struct head *h, const struct chunk *c, act *to,
		       const float *from)
{
	to += c->first * h->ld;
	for (size_t r = c->first; r < c->end; r++, to += h->ld, from += c->ld)
		for (size_t i = 0; i < h->size; i += VW) {
			size_t left = h->size - i;

			STORE(to, LOAD(from));
		}
}

/* Sums are fp32, so of as many keys as have room in the scratch. */
static void one_head(const struct head *h, struct work *w)
{
	const size_t room = CPU_SCRATCH - sizeof(*w) / sizeof(float);
	const size_t most = room / (2 * h->size) / K_BLOCK * K_BLOCK;
	struct chunk c = { .ld = h->size };

	for (; c.first < h->seq; c.first = c.end) {
		c.end = h->seq - c.first < most ? h->seq : c.first + most;
		c.dk = w->sums;
		c.dv = c.dk + (c.end - c.first) * h->size;
		one_chunk(h, w, &c);
		store_sums(h, &c, h->grad_k, c.dk);
		store_sums(h, &c, h->grad_v, c.dv);
	}
}
#else
/* Sums grow where they belong. */
static void one_head(const struct head *h, struct work *w)
{
	const struct chunk c = { 0, h->seq, h->ld, h->grad_k, h->grad_v };

	one_chunk(h, w, &c);
}
#endif

static void some_heads(const void *context, size_t first, size_t end,
		       float *scratch)
{
	const struct pfw_attention *a = context;

	for (size_t i = first; i < end; i++) {
		struct head h = head_at(a, i / a->heads, i % a->heads);

		one_head(&h, (struct work *)scratch);
	}
}

void ISA(attention_backward)(void *queue, const struct pfw_attention *a)
{
	_Static_assert(sizeof(struct work) <= CPU_SCRATCH * sizeof(float) / 2,
		       "scratch");
	cpu_each(queue, (size_t)a->batch * a->heads, 1, some_heads, a);
}
