/*
 * Causal attention on tiles, backward.
 *
 * Chunks of CHUNK query blocks by as many key blocks: first all probabilities
 * and score gradients of a chunk, in bf16, then the products they are for,
 * each with up to CHUNK steps between load and store of its sums.
 */
#include "amx/attention.h"

#define CHUNK 4
#define SQUARE ((size_t)BLOCK * BLOCK)

struct work {
	/* Of the chunk's queries, and of the gradient of their outputs: */
	bf16 q_columns[CHUNK * HEAD_MAX * BLOCK];    /* B: size by queries */
	bf16 dout_columns[CHUNK * HEAD_MAX * BLOCK];
	bf16 q_rows[CHUNK * HEAD_MAX * BLOCK];       /* B: queries by size */
	bf16 dout_rows[CHUNK * HEAD_MAX * BLOCK];
	float stats[CHUNK * BLOCK], dots[CHUNK * BLOCK];
	float dq[CHUNK * HEAD_MAX * BLOCK];          /* [block][size][query] */
	/* Of the chunk's key blocks by query blocks: */
	bf16 probs[CHUNK * CHUNK * STEP];            /* A: keys by queries */
	bf16 dscores[CHUNK * CHUNK * STEP];          /* A: keys by queries */
	bf16 dscore_columns[CHUNK * CHUNK * STEP];   /* B: keys by queries,
							[query block][key] */
	float scores[SQUARE], dprobs[SQUARE];
	float sums[]; /* [block][size block]: dk, dv; then bf16, A: keys by
			 size; values by size; keys, size by keys */
};

/* One head, its packed forms, and the chunk that is being worked on. */
struct job {
	const struct head *h;
	struct work *w;
	size_t ht, kt;          /* blocks of the head's size; of the sequence */
	bf16 *keys, *values, *key_columns;
	float *dk, *dv;
	size_t q0, nq, k0, nk;  /* blocks */
};

static size_t scratch_bytes(size_t ht, size_t kt)
{
	return sizeof(struct work) +
	       kt * ht * (3 * STEP * sizeof(bf16) + 2 * SQUARE * sizeof(float));
}

/* Row @p key of a block of scores: P and dS, this half of the queries. */
INLINE void score_row(const struct job *j, size_t qb, size_t key, int half,
		      int diagonal, vf *p, vf *ds)
{
	const struct work *w = j->w;
	const size_t at = key * BLOCK + half * 16, q = qb * BLOCK + half * 16;
	vf x = vf_exp(vf_load(w->scores + at) * j->h->scale -
		      vf_load(w->stats + q));

	if (diagonal)
		x = hide(x, 0.0f, half, key);
	*p = x;
	*ds = x * (vf_load(w->dprobs + at) - vf_load(w->dots + q)) *
	      j->h->scale;
}

/* From scores and dP of key block @p kb and query block @p qb (of the chunk)
 * to the operands. */
INLINE void score_block(const struct job *j, size_t kb, size_t qb,
			const int diagonal)
{
	struct work *w = j->w;
	bf16 *probs = w->probs + (kb * CHUNK + qb) * STEP;
	bf16 *ds = w->dscores + (kb * CHUNK + qb) * STEP;
	bf16 *columns = w->dscore_columns + (qb * CHUNK + kb) * STEP;
	vf p[2], d[2][2]; /* [row][half] */

	for (size_t key = 0; key < BLOCK; key += 2) {
		for (size_t r = 0; r < 2; r++) {
			for (int half = 0; half < 2; half++)
				score_row(j, qb, key + r, half, diagonal,
					  &p[half], &d[r][half]);
			_mm512_store_si512(
				probs + (key + r) * BLOCK,
				(__m512i)_mm512_cvtne2ps_pbh(p[1], p[0]));
			_mm512_store_si512(
				ds + (key + r) * BLOCK,
				(__m512i)_mm512_cvtne2ps_pbh(d[r][1], d[r][0]));
		}
		for (int half = 0; half < 2; half++)
			_mm512_store_si512(columns + half * TILE + key * 16,
					   bf16_pairs(d[0][half], d[1][half]));
	}
}

/* First block of queries, of the chunk, that sees key block @p kb. */
static size_t first_query(const struct job *j, size_t kb)
{
	return j->k0 + kb > j->q0 ? j->k0 + kb - j->q0 : 0;
}

static void make_scores(const struct job *j)
{
	struct work *w = j->w;

	for (size_t kb = 0; kb < j->nk; kb++)
		for (size_t qb = first_query(j, kb); qb < j->nq; qb++) {
			size_t a = (j->k0 + kb) * j->ht * STEP;
			size_t b = qb * j->ht * STEP;

			tiles_multiply(j->keys + a, w->q_columns + b, j->ht,
				       w->scores, 1);
			tiles_multiply(j->values + a, w->dout_columns + b,
				       j->ht, w->dprobs, 1);
			if (j->k0 + kb == j->q0 + qb)
				score_block(j, kb, qb, 1);
			else
				score_block(j, kb, qb, 0);
		}
}

/* A key first meets queries in the chunk on the diagonal. */
static void key_gradients(const struct job *j)
{
	const int first = j->k0 == j->q0;
	struct work *w = j->w;

	for (size_t kb = 0; kb < j->nk; kb++) {
		size_t q = first_query(j, kb), n = j->nq - q;
		size_t a = (kb * CHUNK + q) * STEP;

		for (size_t i = 0; i < j->ht; i++) {
			size_t b = (i * j->nq + q) * STEP;
			size_t c = ((j->k0 + kb) * j->ht + i) * SQUARE;

			tiles_multiply(w->probs + a, w->dout_rows + b, n,
				       j->dv + c, first);
			tiles_multiply(w->dscores + a, w->q_rows + b, n,
				       j->dk + c, first);
		}
	}
}

static void query_gradients(const struct job *j)
{
	struct work *w = j->w;

	for (size_t qb = 0; qb < j->nq; qb++) {
		size_t n = j->q0 + qb + 1 - j->k0;

		n = n < j->nk ? n : j->nk;
		for (size_t i = 0; i < j->ht; i++)
			tiles_multiply(j->key_columns +
					       (i * j->kt + j->k0) * STEP,
				       w->dscore_columns + qb * CHUNK * STEP, n,
				       w->dq + (qb * j->ht + i) * SQUARE,
				       !j->k0);
	}
}

static float dot(const bf16 *a, const bf16 *b, size_t size)
{
	vf sum = vf_set(0.0f);

	for (size_t i = 0; i < size; i += VW) {
		size_t left = size - i;

		sum += LOAD(a) * LOAD(b);
	}
	return _mm512_reduce_add_ps(sum);
}

static void pack_queries(const struct job *j, size_t first, size_t n)
{
	const struct head *h = j->h;
	struct work *w = j->w;
	struct amx_source s = head_rows(h, h->q, h->ld, first, n, 1);

	amx_pack_b(w->q_columns, &s);
	s = head_rows(h, h->q, h->ld, first, n, 0);
	amx_pack_b(w->q_rows, &s);
	s = head_rows(h, h->grad_out, h->out_ld, first, n, 1);
	amx_pack_b(w->dout_columns, &s);
	s = head_rows(h, h->grad_out, h->out_ld, first, n, 0);
	amx_pack_b(w->dout_rows, &s);
	for (size_t i = 0; i < j->nq * BLOCK; i++) {
		size_t at = (first + i) * h->out_ld;

		w->stats[i] = i < n ? h->stats[first + i] : 0.0f;
		w->dots[i] = i < n ? dot(h->grad_out + at, h->out + at, h->size)
				   : 0.0f;
	}
}

static void query_chunk(struct job *j)
{
	const struct head *h = j->h;
	const size_t first = j->q0 * BLOCK;
	size_t left = h->seq - first;

	j->nq = j->kt - j->q0 < CHUNK ? j->kt - j->q0 : CHUNK;
	pack_queries(j, first, left < j->nq * BLOCK ? left : j->nq * BLOCK);
	for (j->k0 = 0; j->k0 < j->q0 + j->nq; j->k0 += CHUNK) {
		j->nk = j->kt - j->k0 < CHUNK ? j->kt - j->k0 : CHUNK;
		make_scores(j);
		key_gradients(j);
		query_gradients(j);
	}
	for (size_t qb = 0; qb < j->nq; qb++, left -= BLOCK)
		store_turned(h->grad_q + (first + qb * BLOCK) * h->ld, h->ld,
			     j->w->dq + qb * j->ht * SQUARE,
			     left < BLOCK ? left : BLOCK, h->size);
}

/* Sums in blocks to rows of a gradient. */
static void store_rows(const struct job *j, bf16 *dst, const float *sums)
{
	const struct head *h = j->h;

	for (size_t row = 0; row < h->seq; row++, dst += h->ld)
		for (size_t i = 0; i < h->size; i += VW) {
			const float *from = sums +
				(row / BLOCK * j->ht + i / BLOCK) * SQUARE +
				row % BLOCK * BLOCK + i % BLOCK;

			vh_store_n(dst + i, vf_load(from),
				   h->size - i < VW ? h->size - i : VW);
		}
}

static void one_head(const struct head *h, struct work *w)
{
	struct job j = { .h = h, .w = w, .ht = blocks(h->size),
			 .kt = blocks(h->seq) };
	const size_t each = j.kt * j.ht * STEP;
	struct amx_source s = head_rows(h, h->k, h->ld, 0, h->seq, 1);

	j.dk = w->sums;
	j.dv = j.dk + j.kt * j.ht * SQUARE;
	j.keys = (bf16 *)(j.dv + j.kt * j.ht * SQUARE);
	j.values = j.keys + each;
	j.key_columns = j.values + each;
	amx_pack_a(j.keys, &s);
	s = head_rows(h, h->v, h->ld, 0, h->seq, 1);
	amx_pack_a(j.values, &s);
	s = head_rows(h, h->k, h->ld, 0, h->seq, 0);
	amx_pack_a(j.key_columns, &s);
	for (j.q0 = 0; j.q0 < j.kt; j.q0 += CHUNK)
		query_chunk(&j);
	store_rows(&j, h->grad_k, j.dk);
	store_rows(&j, h->grad_v, j.dv);
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

void amx_attention_backward(void *queue, const struct pfw_attention *a)
{
	if (scratch_bytes(blocks(a->head_size), blocks(a->seq)) > AMX_SCRATCH)
		ISA(attention_backward)(queue, a);
	else
		cpu_each(queue, (size_t)a->batch * a->heads, 1, some_heads, a);
}
