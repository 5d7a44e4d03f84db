/* Causal attention, forward. */
#include "isa/attention.h"

struct work {
	float q[HEAD_MAX * Q_BLOCK];       /* [size][query], scaled */
	float scores[K_BLOCK * Q_BLOCK];   /* [key][query] */
	float out[Q_BLOCK * HEAD_MAX];     /* [query][size] */
	float max[Q_BLOCK], sum[Q_BLOCK], shrink[Q_BLOCK];
	/* Copies in fp32, where they are something else: */
	float wide_q[Q_BLOCK * HEAD_MAX];
	float wide_k[K_BLOCK * HEAD_MAX], wide_v[K_BLOCK * HEAD_MAX];
};

/* Turns scores of @p keys keys into exp(score - max) and brings the running
 * maximum and sum up to date.  @p first: the number of the first key counted
 * from the first query; keys after a query are hidden from it. */
INLINE void softmax_vector(struct work *w, int v, size_t keys, ptrdiff_t first)
{
	float *s = w->scores + v * VW;
	vf old = vf_load(w->max + v * VW), max = old, sum, shrink;

	for (size_t j = 0; j < keys; j++) {
		vf x = vf_load(s + j * Q_BLOCK);
		ptrdiff_t key = first + (ptrdiff_t)j;

		if (key > 0) {
			x = vf_select(hidden_lanes(v, (int)key),
				      vf_set(-INFINITY), x);
			vf_store(s + j * Q_BLOCK, x);
		}
		max = vf_max(x, max);
	}
	shrink = vf_exp(old - max);
	sum = vf_load(w->sum + v * VW) * shrink;
	for (size_t j = 0; j < keys; j++) {
		vf p = vf_exp(vf_load(s + j * Q_BLOCK) - max);

		sum += p;
		vf_store(s + j * Q_BLOCK, p);
	}
	vf_store(w->max + v * VW, max);
	vf_store(w->sum + v * VW, sum);
	vf_store(w->shrink + v * VW, shrink);
}

static void shrink_out(struct work *w, size_t rows, size_t size)
{
	for (size_t r = 0; r < rows; r++) {
		float *row = w->out + r * size;

		for (size_t i = 0; i < size; i += VW) {
			size_t left = size - i;

			STORE(row, LOAD(row) * w->shrink[r]);
		}
	}
}

static void key_block(const struct head *h, struct work *w, size_t q0,
		      size_t rows, size_t k0, size_t keys)
{
	const struct wide k = widen(w->wide_k, h->k + k0 * h->ld, h->ld, keys,
				    h->size);
	const struct wide v = widen(w->wide_v, h->v + k0 * h->ld, h->ld, keys,
				    h->size);
	struct cpu_tile scores = {
		.a = k.x, .a_row = k.ld, .a_k = 1,
		.b = w->q, .ldb = Q_BLOCK, .c = w->scores, .ldc = Q_BLOCK,
		.m = keys, .n = Q_BLOCK, .k = h->size,
	};
	struct cpu_tile out = {
		.a = w->scores, .a_row = 1, .a_k = Q_BLOCK,
		.b = v.x, .ldb = v.ld,
		.c = w->out, .ldc = h->size,
		.m = rows, .n = h->size, .k = keys, .accumulate = k0 != 0,
	};

	ISA(tile_multiply)(&scores);
	for (int i = 0; i < Q_VECTORS; i++)
		softmax_vector(w, i, keys, (ptrdiff_t)k0 - (ptrdiff_t)q0);
	if (k0)
		shrink_out(w, rows, h->size);
	ISA(tile_multiply)(&out);
}

static void query_block(const struct head *h, struct work *w, size_t q0,
			size_t rows)
{
	const struct wide q = widen(w->wide_q, h->q + q0 * h->ld, h->ld, rows,
				    h->size);
	size_t end = q0 + rows;

	ISA(tile_transpose)(w->q, Q_BLOCK, q.x, q.ld, rows, h->size, h->scale);
	for (int i = 0; i < Q_BLOCK; i++) {
		w->max[i] = -INFINITY;
		w->sum[i] = 0.0f;
	}
	for (size_t k0 = 0; k0 < end; k0 += K_BLOCK)
		key_block(h, w, q0, rows, k0,
			  end - k0 < K_BLOCK ? end - k0 : K_BLOCK);
	for (size_t r = 0; r < rows; r++) {
		act *to = h->out + (q0 + r) * h->out_ld;
		const float *from = w->out + r * h->size;
		float inverse = 1.0f / w->sum[r];

		h->stats[q0 + r] = w->max[r] + logf(w->sum[r]);
		for (size_t i = 0; i < h->size; i += VW) {
			size_t left = h->size - i;

			STORE(to, LOAD(from) * inverse);
		}
	}
}

/* Blocks of queries, head by head. */
static void some_queries(const void *context, size_t first, size_t end,
			 float *scratch)
{
	const struct pfw_attention *a = context;
	const size_t per_head = ((size_t)a->seq + Q_BLOCK - 1) / Q_BLOCK;

	for (size_t i = first; i < end; i++) {
		size_t nth = i / per_head, q0 = i % per_head * Q_BLOCK;
		struct head h = head_at(a, nth / a->heads, nth % a->heads);

		query_block(&h, (struct work *)scratch, q0,
			    h.seq - q0 < Q_BLOCK ? h.seq - q0 : Q_BLOCK);
	}
}

void ISA(attention_forward)(void *queue, const struct pfw_attention *a)
{
	const size_t blocks = ((size_t)a->seq + Q_BLOCK - 1) / Q_BLOCK;

	_Static_assert(sizeof(struct work) <= CPU_SCRATCH * sizeof(float),
		       "scratch");
	cpu_each(queue, blocks * a->batch * a->heads, 1, some_queries, a);
}
