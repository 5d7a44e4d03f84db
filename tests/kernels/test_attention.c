/* Causal attention, forward and backward; inputs are exact in bf16, so that its
 * bounds are those of rounded probabilities alone. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void attention(struct path *p, uint32_t batch, uint32_t seq,
		      uint32_t heads, uint32_t size, double spread)
{
	const uint32_t act = p->props.act_dtype;
	const size_t n = (size_t)batch * seq * heads * size;
	const size_t ns = (size_t)batch * heads * seq;
	struct buf qkv = buf_coarse(p, 3 * n, act, spread);
	struct buf dout = buf_coarse(p, n, act, 1.0);
	struct buf out = buf_poison(p, n, act);
	struct buf grad = buf_poison(p, 3 * n, act);
	struct buf stats = buf_poison(p, ns, PFW_F32);
	double *want = doubles(3 * n), *wstats = doubles(ns);
	struct pfw_attention a = {
		.size = sizeof(a), .batch = batch, .seq = seq, .heads = heads,
		.head_size = size, .qkv = qkv.ptr, .out = out.ptr,
		.stats = stats.ptr,
	};
	const int bf16 = p->policy == PFW_BF16;
	char what[96];

	snprintf(what, sizeof(what), "attention b%u t%u h%u x %u", batch, seq,
		 heads, size);
	ref_attention(qkv.host, batch, seq, heads, size, want, wstats);
	p->k->attention_forward(p->queue, &a);
	buf_get(&out);
	buf_get(&stats);
	check_close(p, what, out.host, want, n, bf16 ? 5e-3 : 2e-6, 6e-3);
	for (size_t i = 0; i < ns; i++) { /* logs: what counts is absolute */
		stats.host[i] += 10.0;
		wstats[i] += 10.0;
	}
	check_close(p, what, stats.host, wstats, ns, bf16 ? 2e-3 : 1e-6,
		    2e-3);

	a.grad_out = dout.ptr;
	a.grad_qkv = grad.ptr;
	ref_attention_backward(qkv.host, dout.host, batch, seq, heads, size,
			       want);
	p->k->attention_backward(p->queue, &a);
	buf_get(&grad);
	check_close(p, what, grad.host, want, 3 * n, bf16 ? 1e-2 : 4e-6,
		    1.2e-2);
	buf_free(&qkv);
	buf_free(&dout);
	buf_free(&out);
	buf_free(&grad);
	buf_free(&stats);
	free(want);
	free(wstats);
}

void check_attention(struct path *p)
{
	attention(p, 1, 1, 1, 8, 1.0);
	attention(p, 2, 5, 3, 8, 1.0);
	attention(p, 1, 33, 2, 20, 1.0);
	attention(p, 1, 64, 1, 16, 1.0);
	attention(p, 2, 97, 2, 32, 1.0);
	attention(p, 1, 130, 1, 64, 2.0);
	attention(p, 1, 65, 1, 256, 1.0);
	attention(p, 1, 100, 1, 13, 4.0); /* peaked: large scores */
	attention(p, 1, 200, 2, 80, 1.0);
	attention(p, 2, 1, 2, 64, 1.0);
	attention(p, 1, 128, 2, 64, 1.0);
	attention(p, 1, 193, 1, 64, 4.0);
	attention(p, 1, 129, 1, 128, 1.0);
	attention(p, 1, 31, 2, 128, 1.0);
}
