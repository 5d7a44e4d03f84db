/*
 * attention.h: what forward and backward of the attention share.
 *
 * Both walk over blocks of Q_BLOCK queries and, inside, over blocks of K_BLOCK
 * keys (Dao, Fu, Ermon, Rudra and Re, arXiv 2205.14135), and keep the scores
 * transposed, [key][query]: a query is a lane, so that maxima and sums over
 * keys need no horizontal step, and no score leaves the first-level cache.
 */
#ifndef PFW_KERNELS_CPU_ATTENTION_H
#define PFW_KERNELS_CPU_ATTENTION_H

#include "isa/isa.h"
#include "isa/vec.h"
#include "isa/vmath.h"

#define Q_BLOCK 32
#define Q_VECTORS (Q_BLOCK / VW)
#define K_BLOCK 64
#define HEAD_MAX 256

/** One head of one sequence; rows of q, k, v and their gradients are ld apart,
 *  rows of out and its gradient out_ld. */
struct head {
	size_t seq, size, ld, out_ld;
	float scale;
	const act *q, *k, *v;
	act *out;
	float *stats;
	const act *grad_out;
	act *grad_q, *grad_k, *grad_v;
};

/** Rows in fp32: where they are, or a copy. */
struct wide {
	const float *x;
	size_t ld;
};

/** @p room: [rows][size], for a copy. */
INLINE struct wide widen(float *room, const act *x, size_t ld, size_t rows,
			 size_t size)
{
#ifdef CPU_BF16
	for (size_t r = 0; r < rows; r++) {
		const act *from = x + r * ld;
		float *to = room + r * size;

		for (size_t i = 0; i < size; i += VW) {
			size_t left = size - i;

			STORE(to, LOAD(from));
		}
	}
	return (struct wide){ room, size };
#else
	(void)room;
	(void)rows;
	(void)size;
	return (struct wide){ x, ld };
#endif
}

INLINE struct head head_at(const struct pfw_attention *a, size_t batch,
			   size_t h)
{
	size_t c = (size_t)a->heads * a->head_size;
	size_t at = batch * a->seq * c + h * a->head_size;
	size_t qkv = batch * a->seq * 3 * c + h * a->head_size;
	struct head r = {
		.seq = a->seq, .size = a->head_size, .ld = 3 * c, .out_ld = c,
		.scale = 1.0f / sqrtf((float)a->head_size),
		.q = (const act *)a->qkv + qkv,
		.out = (act *)a->out + at,
		.stats = a->stats + (batch * a->heads + h) * a->seq,
	};

	r.k = r.q + c;
	r.v = r.k + c;
	if (a->grad_qkv) {
		r.grad_out = (const act *)a->grad_out + at;
		r.grad_q = (act *)a->grad_qkv + qkv;
		r.grad_k = r.grad_q + c;
		r.grad_v = r.grad_k + c;
	}
	return r;
}

/** -1 in the lanes of vector @p v whose query may not see key @p key; both
 *  counted from the first query of the block. */
INLINE vi hidden_lanes(int v, int key)
{
	vi lane = { 0 };

	for (int i = 0; i < VW; i++)
		lane[i] = v * VW + i;
	return lane < key;
}

#endif
