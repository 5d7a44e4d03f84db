/* Kernels that work on rows: layernorm, bias, embeddings, classifier. */
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>

static const uint32_t shapes[][2] = {
	{ 1, 1 }, { 3, 5 }, { 5, 16 }, { 4, 33 }, { 9, 128 }, { 7, 771 },
	{ 66, 256 },
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void layernorm(struct path *p, uint32_t rows, uint32_t c, int accumulate,
		      int with_residual)
{
	const uint32_t act = p->props.act_dtype;
	const size_t n = (size_t)rows * c;
	struct buf x = buf_random(p, n, act, 2.0);
	struct buf w = buf_random(p, c, PFW_F32, 1.0);
	struct buf b = buf_random(p, c, PFW_F32, 1.0);
	struct buf dout = buf_random(p, n, act, 1.0);
	struct buf residual = buf_random(p, n, act, 1.0);
	struct buf out = buf_poison(p, n, act), dx = buf_poison(p, n, act);
	struct buf mean = buf_poison(p, rows, PFW_F32);
	struct buf rstd = buf_poison(p, rows, PFW_F32);
	struct buf dw = accumulate ? buf_random(p, c, PFW_F32, 1.0)
				   : buf_poison(p, c, PFW_F32);
	struct buf db = accumulate ? buf_random(p, c, PFW_F32, 1.0)
				   : buf_poison(p, c, PFW_F32);
	double *want = doubles(n), *wmean = doubles(rows);
	double *wrstd = doubles(rows), *wdw = doubles(c), *wdb = doubles(c);

	ref_layernorm(x.host, w.host, b.host, rows, c, want, wmean, wrstd);
	p->k->layernorm_forward(p->queue, out.ptr, mean.ptr, rstd.ptr, x.ptr,
				w.ptr, b.ptr, rows, c);
	buf_get(&out);
	buf_get(&mean);
	buf_get(&rstd);
	check_close(p, "layernorm out", out.host, want, n, 1e-6, 5e-3);
	check_close(p, "layernorm mean", mean.host, wmean, rows, 2e-6, 2e-6);
	check_close(p, "layernorm rstd", rstd.host, wrstd, rows, 2e-6, 2e-6);

	for (uint32_t i = 0; accumulate && i < c; i++) {
		wdw[i] = dw.host[i];
		wdb[i] = db.host[i];
	}
	ref_layernorm_backward(x.host, w.host, dout.host, rows, c, want, wdw,
			       wdb);
	for (size_t i = 0; with_residual && i < n; i++)
		want[i] += residual.host[i];
	/* With a residual the result goes into it: that must work too. */
	p->k->layernorm_backward(p->queue,
				 with_residual ? residual.ptr : dx.ptr, dw.ptr,
				 db.ptr, dout.ptr,
				 with_residual ? residual.ptr : NULL, x.ptr,
				 mean.ptr, rstd.ptr, w.ptr, rows, c,
				 accumulate);
	buf_get(with_residual ? &residual : &dx);
	buf_get(&dw);
	buf_get(&db);
	if (c > 1) /* else the true gradient is 0 */
		check_close(p, "layernorm dx",
			    with_residual ? residual.host : dx.host, want, n,
			    5e-6, 6e-3);
	check_close(p, "layernorm dweight", dw.host, wdw, c, 5e-6, 1e-4);
	check_close(p, "layernorm dbias", db.host, wdb, c, 1e-6, 1e-4);
	buf_free(&x);
	buf_free(&w);
	buf_free(&b);
	buf_free(&dout);
	buf_free(&residual);
	buf_free(&out);
	buf_free(&dx);
	buf_free(&mean);
	buf_free(&rstd);
	buf_free(&dw);
	buf_free(&db);
	free(want);
	free(wmean);
	free(wrstd);
	free(wdw);
	free(wdb);
}

void check_layernorm(struct path *p)
{
	for (size_t i = 0; i < N_SHAPES; i++)
		for (int k = 0; k < 4; k++)
			layernorm(p, shapes[i][0], shapes[i][1], k & 1, k & 2);
}

void check_bias(struct path *p)
{
	for (size_t i = 0; i < 2 * N_SHAPES; i++) {
		uint32_t rows = shapes[i / 2][0], n = shapes[i / 2][1];
		int accumulate = i & 1;
		struct buf dy = buf_random(p, (size_t)rows * n,
					   p->props.act_dtype, 1.0);
		struct buf db = accumulate ? buf_random(p, n, PFW_F32, 1.0)
					   : buf_poison(p, n, PFW_F32);
		double *want = doubles(n);

		for (uint32_t j = 0; accumulate && j < n; j++)
			want[j] = db.host[j];
		for (size_t j = 0; j < (size_t)rows * n; j++)
			want[j % n] += dy.host[j];
		p->k->bias_backward(p->queue, db.ptr, dy.ptr, rows, n,
				    accumulate);
		buf_get(&db);
		check_close(p, "bias_backward", db.host, want, n, 1e-6, 1e-6);
		buf_free(&dy);
		buf_free(&db);
		free(want);
	}
}

enum { BATCH = 3, SEQ = 7, CONTEXT = 9, VOCAB = 11 };

static void embed_backward(struct path *p, uint32_t c, const struct buf *tokens,
			   int accumulate)
{
	struct buf dout = buf_random(p, (size_t)BATCH * SEQ * c,
				     p->props.act_dtype, 1.0);
	struct buf dwte = accumulate
				  ? buf_random(p, VOCAB * c, PFW_F32, 1.0)
				  : buf_poison(p, VOCAB * c, PFW_F32);
	struct buf dwpe = accumulate
				  ? buf_random(p, CONTEXT * c, PFW_F32, 1.0)
				  : buf_poison(p, CONTEXT * c, PFW_F32);
	double *word = doubles(VOCAB * c), *place = doubles(CONTEXT * c);

	for (size_t i = 0; accumulate && i < VOCAB * c; i++)
		word[i] = dwte.host[i];
	for (size_t i = 0; accumulate && i < CONTEXT * c; i++)
		place[i] = dwpe.host[i];
	for (size_t t = 0; t < BATCH * SEQ; t++)
		for (size_t i = 0; i < c; i++) {
			word[(size_t)tokens->host[t] * c + i] +=
				dout.host[t * c + i];
			place[t % SEQ * c + i] += dout.host[t * c + i];
		}
	p->k->embed_backward(p->queue, dwte.ptr, dwpe.ptr, dout.ptr,
			     tokens->ptr, BATCH, SEQ, c, VOCAB, CONTEXT,
			     accumulate);
	buf_get(&dwte);
	buf_get(&dwpe);
	check_close(p, "embed dwte", dwte.host, word, VOCAB * c, 1e-6, 1e-6);
	check_close(p, "embed dwpe", dwpe.host, place, CONTEXT * c, 1e-6, 1e-6);
	buf_free(&dout);
	buf_free(&dwte);
	buf_free(&dwpe);
	free(word);
	free(place);
}

static void embed(struct path *p, uint32_t c)
{
	size_t n = (size_t)BATCH * SEQ * c;
	struct buf wte = buf_random(p, VOCAB * c, PFW_F32, 1.0);
	struct buf wpe = buf_random(p, CONTEXT * c, PFW_F32, 1.0);
	struct buf tokens = buf_tokens(p, BATCH * SEQ, VOCAB - 2);
	struct buf out = buf_poison(p, n, p->props.act_dtype);
	double *want = doubles(n);

	for (size_t i = 0; i < n; i++)
		want[i] = wte.host[(size_t)tokens.host[i / c] * c + i % c] +
			  wpe.host[i / c % SEQ * c + i % c];
	p->k->embed_forward(p->queue, out.ptr, tokens.ptr, wte.ptr, wpe.ptr,
			    BATCH, SEQ, c);
	buf_get(&out);
	check_close(p, "embed_forward", out.host, want, n, 1e-6, 5e-3);
	embed_backward(p, c, &tokens, 0);
	embed_backward(p, c, &tokens, 1);
	buf_free(&wte);
	buf_free(&wpe);
	buf_free(&tokens);
	buf_free(&out);
	free(want);
}

void check_embed(struct path *p)
{
	embed(p, 1);
	embed(p, 20);
	embed(p, 64);
}

static void classifier(struct path *p, uint32_t rows, uint32_t vocab,
		       float scale, double spread)
{
	const size_t n = (size_t)rows * vocab;
	const double before = 3.5;
	struct buf logits = buf_random(p, n, p->props.act_dtype, spread);
	struct buf targets = buf_tokens(p, rows, vocab);
	int32_t *t = as_tokens(&targets);
	double *want = doubles(n), loss = before;
	void *dloss;

	loss += ref_classifier(logits.host, t, rows, vocab, want);
	for (size_t i = 0; i < n; i++)
		want[i] = scale == 0.0f ? logits.host[i]
					: want[i] * (double)scale;
	if (p->ops->alloc(p->device, sizeof(double), &dloss, NULL))
		need(NULL);
	p->ops->copy(p->queue, dloss, &before, sizeof(before), PFW_COPY_IN,
		     NULL);
	p->k->classifier(p->queue, logits.ptr, targets.ptr, rows, vocab, scale,
			 dloss);
	{
		double got;

		p->ops->copy(p->queue, &got, dloss, sizeof(got), PFW_COPY_OUT,
			     NULL);
		p->ops->sync(p->queue, NULL);
		check_close(p, "classifier loss", &got, &loss, 1, 1e-6, 1e-6);
	}
	buf_get(&logits);
	/* Of few words the right one may have p near 1, and p - 1 no digits. */
	check_close(p, "classifier gradient", logits.host, want, n,
		    vocab < 16 ? 1e-3 : 3e-6, 6e-3);
	p->ops->free(p->device, dloss);
	buf_free(&logits);
	buf_free(&targets);
	free(t);
	free(want);
}

void check_classifier(struct path *p)
{
	for (size_t i = 0; i < N_SHAPES; i++)
		classifier(p, shapes[i][0], shapes[i][1] + 1, 0.25f, 3.0);
	classifier(p, 3, 5000, 1.0f, 1.0);
	classifier(p, 3, 300, 1.0f, 60.0);
	classifier(p, 4, 100, 0.0f, 3.0);
}
