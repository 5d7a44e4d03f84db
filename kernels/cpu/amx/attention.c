/* Causal attention on tiles, forward. */
#include "amx/attention.h"

#define KEY_BLOCKS 4 /* of keys whose scores are made at once */

struct work {
	bf16 q[HEAD_MAX * BLOCK];                   /* B: size by queries */
	float scores[KEY_BLOCKS * BLOCK * BLOCK];   /* [key][query] */
	bf16 probs[KEY_BLOCKS * STEP];              /* B: keys by queries */
	float out[HEAD_MAX * BLOCK];                /* [size][query] */
	float max[BLOCK], sum[BLOCK];
	bf16 packed[]; /* A: keys by size, then values, size by keys */
};

/* Half the queries of a block: scores to probabilities, running maximum and sum
 * brought up to date; gives what the sums so far are to be multiplied by.
 * Rows from @p diagonal on are of the block on the diagonal. */
INLINE vf softmax_half(struct work *w, const int half, size_t keys,
		       size_t diagonal, float scale)
{
	float *s = w->scores + half * 16;
	vf old = vf_load(w->max + half * 16), max = old, shrink, sum;

	for (size_t j = 0; j < diagonal; j++)
		max = vf_max(vf_load(s + j * BLOCK) * scale, max);
	for (size_t j = diagonal; j < keys; j++) {
		vf x = hide(vf_load(s + j * BLOCK), -INFINITY, half,
			    j - diagonal);

		vf_store(s + j * BLOCK, x);
		max = vf_max(x * scale, max);
	}
	shrink = vf_exp(old - max);
	sum = vf_load(w->sum + half * 16) * shrink;
	for (size_t j = 0; j < keys; j += 2) {
		vf even = vf_exp(vf_load(s + j * BLOCK) * scale - max);
		vf odd = vf_exp(vf_load(s + (j + 1) * BLOCK) * scale - max);

		sum += even;
		sum += odd;
		_mm512_store_si512(w->probs + j / BLOCK * STEP + half * TILE +
					   j % BLOCK * 16,
				   bf16_pairs(even, odd));
	}
	vf_store(w->max + half * 16, max);
	vf_store(w->sum + half * 16, sum);
	return shrink;
}

/* The block of queries and key blocks [k0, k0 + n). */
static void key_blocks(const struct head *h, struct work *w, size_t query,
		       size_t k0, size_t n)
{
	const size_t ht = blocks(h->size), kt = blocks(h->seq);
	const bf16 *values = w->packed + kt * ht * STEP;
	const int on_diagonal = k0 + n == query + 1;
	const size_t keys = n * BLOCK;
	vf shrink[2];

	for (size_t j = 0; j < n; j++)
		tiles_multiply(w->packed + (k0 + j) * ht * STEP, w->q, ht,
			       w->scores + j * BLOCK * BLOCK, 1);
	for (int half = 0; half < 2; half++)
		shrink[half] = softmax_half(
			w, half, keys, on_diagonal ? keys - BLOCK : keys,
			h->scale);
	for (size_t i = 0; k0 && i < ht * BLOCK; i++)
		for (int half = 0; half < 2; half++) {
			float *o = w->out + i * BLOCK + half * 16;

			vf_store(o, vf_load(o) * shrink[half]);
		}
	for (size_t i = 0; i < ht; i++)
		tiles_multiply(values + (i * kt + k0) * STEP, w->probs, n,
			       w->out + i * BLOCK * BLOCK, !k0);
}

static void query_block(const struct head *h, struct work *w, size_t query)
{
	const size_t q0 = query * BLOCK;
	const size_t rows = h->seq - q0 < BLOCK ? h->seq - q0 : BLOCK;
	struct amx_source q = head_rows(h, h->q, h->ld, q0, rows, 1);

	amx_pack_b(w->q, &q);
	for (int i = 0; i < BLOCK; i++) {
		w->max[i] = -INFINITY;
		w->sum[i] = 0.0f;
	}
	for (size_t k0 = 0; k0 <= query; k0 += KEY_BLOCKS)
		key_blocks(h, w, query, k0, query + 1 - k0 < KEY_BLOCKS
						    ? query + 1 - k0
						    : KEY_BLOCKS);
	for (size_t i = 0; i < h->size; i++)
		for (int half = 0; half < 2; half++) {
			float *o = w->out + i * BLOCK + half * 16;

			vf_store(o, vf_load(o) / vf_load(w->sum + half * 16));
		}
	for (size_t i = 0; i < rows; i++)
		h->stats[q0 + i] = w->max[i] + logf(w->sum[i]);
	store_turned(h->out + q0 * h->out_ld, h->out_ld, w->out, rows, h->size);
}

static void one_head(const struct head *h, struct work *w)
{
	const size_t ht = blocks(h->size), kt = blocks(h->seq);
	struct amx_source k = head_rows(h, h->k, h->ld, 0, h->seq, 1);
	struct amx_source v = head_rows(h, h->v, h->ld, 0, h->seq, 0);

	amx_pack_a(w->packed, &k);
	amx_pack_a(w->packed + kt * ht * STEP, &v);
	for (size_t query = 0; query < kt; query++)
		query_block(h, w, query);
}

static void some_heads(const void *context, size_t first, size_t end,
		       float *scratch)
{
	const struct pfw_attention *a = context;

	tiles_configure();
	for (size_t i = first; i < end; i++) {
		struct head h = head_at(a, i / a->heads, i % a->heads);

		one_head(&h, (struct work *)scratch);
	}
	_tile_release();
}

void amx_attention_forward(void *queue, const struct pfw_attention *a)
{
	const size_t packed = 2 * blocks(a->head_size) * blocks(a->seq) * STEP;

	if (sizeof(struct work) + packed * sizeof(bf16) > AMX_SCRATCH)
		ISA(attention_forward)(queue, a);
	else
		cpu_each(queue, (size_t)a->batch * a->heads, 1, some_heads, a);
}
