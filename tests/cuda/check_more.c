/* Epilogues, shapes of several blocks, and many updates in one launch. */
#include "cuda/grids.h"

#include "cuda/kernels.h"

#include <math.h>
#include <stdlib.h>

static double epilogue_of(uint32_t flags, double x, double bias, double aux,
			  double residual)
{
	if (flags & PFW_EPI_BIAS)
		x += bias;
	if (flags & PFW_EPI_GELU)
		x = ref_gelu(x);
	if (flags & PFW_EPI_DGELU)
		x *= ref_gelu_slope(aux);
	if (flags & PFW_EPI_RESIDUAL)
		x += residual;
	return x;
}

static void epilogue(struct path *p, uint32_t flags, uint32_t m, uint32_t n,
		     uint32_t c_dtype)
{
	const uint32_t act = p->props.act_dtype;
	const size_t total = (size_t)m * n;
	struct buf c = buf_poison(p, total, c_dtype);
	struct buf product = buf_coarse(p, total, PFW_F32, 2.0);
	struct buf bias = buf_coarse(p, n, PFW_F32, 1.0);
	struct buf residual = buf_coarse(p, total, act, 1.0);
	struct buf aux = flags & PFW_EPI_DGELU ? buf_coarse(p, total, act, 2.0)
					       : buf_poison(p, total, act);
	struct pfw_gemm g = {
		.size = sizeof(g), .epilogue = flags, .m = m, .n = n, .k = 1,
		.c_dtype = c_dtype, .c = c.ptr, .bias = bias.ptr,
		.aux = aux.ptr, .residual = residual.ptr,
	};
	double *want = doubles(total);

	for (size_t i = 0; i < total; i++)
		want[i] = epilogue_of(flags, product.host[i], bias.host[i % n],
				      aux.host[i], residual.host[i]);
	check_true(p, "epilogue is enqueued",
		   !pfw_cuda_epilogue(NULL, act, &g, product.ptr, PFW_F32));
	buf_get(&c);
	check_close(p, "epilogue", c.host, want, total, 2e-6, 5e-3);
	if (flags & PFW_EPI_GELU) {
		for (size_t i = 0; i < total; i++)
			want[i] = product.host[i] + (flags & PFW_EPI_BIAS
							     ? bias.host[i % n]
							     : 0.0);
		buf_get(&aux);
		check_close(p, "what gelu notes", aux.host, want, total, 1e-6,
			    5e-3);
	}
	buf_free(&c);
	buf_free(&product);
	buf_free(&bias);
	buf_free(&residual);
	buf_free(&aux);
	free(want);
}

void check_epilogue(struct path *p)
{
	const uint32_t act = p->props.act_dtype;

	epilogue(p, PFW_EPI_BIAS, 3, 5, act);
	epilogue(p, PFW_EPI_BIAS | PFW_EPI_GELU, 9, 33, act);
	epilogue(p, PFW_EPI_DGELU, 7, 64, act);
	epilogue(p, PFW_EPI_BIAS | PFW_EPI_RESIDUAL, 70, 40, act);
	epilogue(p, 0, 2, 8, act);
}

/* Column sums over several blocks of rows. */
static void tall(struct path *p, uint32_t rows, uint32_t c)
{
	const uint32_t act = p->props.act_dtype;
	const size_t n = (size_t)rows * c;
	struct buf x = buf_random(p, n, act, 2.0), w, b, out, mean, rstd;
	struct buf dout = buf_random(p, n, act, 1.0);
	struct buf dw = buf_poison(p, c, PFW_F32);
	struct buf db = buf_poison(p, c, PFW_F32);
	double *want = doubles(n), *wdw = doubles(c), *wdb = doubles(c);

	w = buf_random(p, c, PFW_F32, 1.0);
	b = buf_random(p, c, PFW_F32, 1.0);
	out = buf_poison(p, n, act);
	mean = buf_poison(p, rows, PFW_F32);
	rstd = buf_poison(p, rows, PFW_F32);
	p->k->layernorm_forward(p->queue, out.ptr, mean.ptr, rstd.ptr, x.ptr,
				w.ptr, b.ptr, rows, c);
	p->k->layernorm_backward(p->queue, out.ptr, dw.ptr, db.ptr, dout.ptr,
				 NULL, x.ptr, mean.ptr, rstd.ptr, w.ptr, rows,
				 c, 0);
	ref_layernorm_backward(x.host, w.host, dout.host, rows, c, want, wdw,
			       wdb);
	buf_get(&out);
	buf_get(&dw);
	buf_get(&db);
	check_close(p, "tall layernorm dx", out.host, want, n, 5e-6, 6e-3);
	check_close(p, "tall layernorm dweight", dw.host, wdw, c, 5e-6, 1e-4);
	check_close(p, "tall layernorm dbias", db.host, wdb, c, 2e-6, 1e-4);
	p->k->bias_backward(p->queue, db.ptr, dout.ptr, rows, c, 0);
	buf_get(&db);
	check_close(p, "tall bias", db.host, wdb, c, 2e-6, 2e-6);
	buf_free(&x);
	buf_free(&w);
	buf_free(&b);
	buf_free(&out);
	buf_free(&mean);
	buf_free(&rstd);
	buf_free(&dout);
	buf_free(&dw);
	buf_free(&db);
	free(want);
	free(wdw);
	free(wdb);
}

/* So many positions that sorting them takes several tiles. */
static void long_text(struct path *p)
{
	enum { BATCH = 2, SEQ = 700, C = 3, VOCAB = 40 };
	const size_t rows = BATCH * SEQ;
	struct buf tokens = buf_tokens(p, rows, VOCAB - 1);
	struct buf dout = buf_random(p, rows * C, p->props.act_dtype, 1.0);
	struct buf dwte = buf_poison(p, VOCAB * C, PFW_F32);
	struct buf dwpe = buf_poison(p, SEQ * C, PFW_F32);
	double *want = doubles(VOCAB * C);

	for (size_t i = 0; i < rows * C; i++)
		want[(size_t)tokens.host[i / C] * C + i % C] += dout.host[i];
	p->k->embed_backward(p->queue, dwte.ptr, dwpe.ptr, dout.ptr, tokens.ptr,
			     BATCH, SEQ, C, VOCAB, SEQ, 0);
	buf_get(&dwte);
	check_close(p, "long text", dwte.host, want, VOCAB * C, 2e-6, 2e-6);
	buf_free(&tokens);
	buf_free(&dout);
	buf_free(&dwte);
	buf_free(&dwpe);
	free(want);
}

void check_wide_rows(struct path *p)
{
	tall(p, 300, 40);
	tall(p, 35, 2056);
	long_text(p);
}
