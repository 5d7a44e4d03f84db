/* The optimizer's kernels: AdamW, sums, copies. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t lengths[] = { 1, 15, 16, 33, 4099 };
#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* A float or an int32 on the device, as a buffer of one. */
static struct buf scalar(struct path *p, uint32_t dtype, double value)
{
	return buf_from(p, 1, dtype, &value);
}

static void adamw(struct path *p, size_t n, int with_copy, int skip)
{
	const uint32_t act = p->props.act_dtype;
	struct buf w = buf_random(p, n, PFW_F32, 1.0);
	struct buf g = buf_random(p, n, PFW_F32, 1.0);
	struct buf m = buf_random(p, n, PFW_F32, 0.1);
	struct buf v = buf_random(p, n, PFW_F32, 0.1);
	struct buf copy = buf_poison(p, n, act), scale, flag;
	double *ww = doubles(n), *wm = doubles(n), *wv = doubles(n);
	struct pfw_adamw a = {
		.size = sizeof(a), .n = n, .lr = 0.02f, .beta1 = 0.9f,
		.beta2 = 0.95f, .epsilon = 1e-8f, .weight_decay = 0.1f,
		.correction1 = 0.271f, .correction2 = 0.142625f,
	};

	for (size_t i = 0; i < n; i++)
		v.host[i] = fabs(v.host[i]);
	flag = buf_from(p, n, PFW_F32, v.host);
	buf_free(&v);
	v = flag;
	flag = scalar(p, PFW_I32, skip);
	scale = scalar(p, PFW_F32, 0.5);
	for (size_t i = 0; i < n; i++) {
		double x = g.host[i] * 0.5, mi, vi;

		mi = a.beta1 * m.host[i] + (1.0 - a.beta1) * x;
		vi = a.beta2 * v.host[i] + (1.0 - a.beta2) * x * x;
		wm[i] = skip ? m.host[i] : mi;
		wv[i] = skip ? v.host[i] : vi;
		ww[i] = w.host[i];
		if (!skip)
			ww[i] -= a.lr * (mi / a.correction1 /
						 (sqrt(vi / a.correction2) +
						  a.epsilon) +
					 a.weight_decay * w.host[i]);
	}
	a.weight = w.ptr;
	a.weight_act = with_copy ? copy.ptr : NULL;
	a.grad = g.ptr;
	a.m = m.ptr;
	a.v = v.ptr;
	a.grad_scale = scale.ptr;
	a.skip = flag.ptr;
	p->k->adamw(p->queue, &a);
	buf_get(&w);
	buf_get(&m);
	buf_get(&v);
	buf_get(&copy);
	check_close(p, "adamw weight", w.host, ww, n, 1e-6, 1e-6);
	check_close(p, "adamw m", m.host, wm, n, 1e-6, 1e-6);
	check_close(p, "adamw v", v.host, wv, n, 1e-6, 1e-6);
	if (with_copy && !skip)
		check_close(p, "adamw copy", copy.host, ww, n, 1e-6, 5e-3);
	buf_free(&w);
	buf_free(&g);
	buf_free(&m);
	buf_free(&v);
	buf_free(&copy);
	buf_free(&scale);
	buf_free(&flag);
	free(ww);
	free(wm);
	free(wv);
}

static void sums(struct path *p, size_t n)
{
	struct buf a = buf_random(p, n, PFW_F32, 1.0);
	struct buf b = buf_random(p, n, PFW_F32, 1.0);
	double *want = doubles(n), total = 0.0, got;
	void *out;

	for (size_t i = 0; i < n; i++)
		total += a.host[i] * a.host[i];
	if (p->ops->alloc(p->device, sizeof(double), &out, NULL))
		need(NULL);
	p->k->sum_squares(p->queue, a.ptr, n, out);
	p->ops->copy(p->queue, &got, out, sizeof(got), PFW_COPY_OUT, NULL);
	p->ops->sync(p->queue, NULL);
	p->ops->free(p->device, out);
	check_close(p, "sum_squares", &got, &total, 1, 1e-13, 1e-13);

	for (size_t i = 0; i < n; i++)
		want[i] = a.host[i] + b.host[i];
	p->k->add(p->queue, a.ptr, a.ptr, b.ptr, n);
	buf_get(&a);
	check_close(p, "add", a.host, want, n, 1e-7, 1e-7);
	buf_free(&a);
	buf_free(&b);
	free(want);
}

static void convert(struct path *p, size_t n, uint32_t dtype)
{
	struct buf src = buf_random(p, n, PFW_F32, 1.0);
	struct buf dst = buf_poison(p, n, dtype);
	struct buf want = buf_from(p, n, dtype, src.host);

	p->k->convert(p->queue, dst.ptr, dtype, src.ptr, n);
	buf_get(&dst);
	check_close(p, "convert", dst.host, want.host, n, 0.0, 0.0);
	buf_free(&src);
	buf_free(&dst);
	buf_free(&want);
}

/* A weight, its moments and packed forms. */
struct state {
	struct buf w, m, v, packed[2];
};

static struct state open_state(struct path *p, const struct buf *w,
			       uint32_t rows, uint32_t cols)
{
	struct state s = { .w = buf_from(p, w->n, PFW_F32, w->host),
			   .m = buf_from(p, w->n, PFW_F32, w->host),
			   .v = buf_random(p, w->n, PFW_F32, 0.0) };

	for (uint32_t kind = 0; kind < 2; kind++)
		s.packed[kind] = buf_poison(
			p, p->k->pack_bytes(p->queue, kind, rows, cols) / 2,
			PFW_BF16);
	return s;
}

/* What adamw_packed made of it is what adamw and pack did. */
static void same_state(struct path *p, struct state *got, struct state *want)
{
	struct buf *g[] = { &got->w, &got->m, &got->v, &got->packed[0],
			    &got->packed[1] };
	struct buf *w[] = { &want->w, &want->m, &want->v, &want->packed[0],
			    &want->packed[1] };

	for (size_t i = 0; i < sizeof(g) / sizeof(g[0]); i++) {
		int same = 1;

		buf_get(g[i]);
		buf_get(w[i]);
		for (size_t k = 0; k < g[i]->n; k++)
			same &= g[i]->host[k] == w[i]->host[k] ||
				(isnan(g[i]->host[k]) && isnan(w[i]->host[k]));
		check_true(p, i < 3 ? "adamw_packed: as adamw" :
				      "adamw_packed: as pack", same);
		buf_free(g[i]);
		buf_free(w[i]);
	}
}

static void packed_update(struct path *p, uint32_t rows, uint32_t cols, int skip)
{
	const size_t n = (size_t)rows * cols;
	struct buf w = buf_random(p, n, PFW_F32, 1.0);
	struct buf g = buf_random(p, n, PFW_F32, 1.0);
	struct buf scale = scalar(p, PFW_F32, 0.5);
	struct buf flag = scalar(p, PFW_I32, skip);
	struct state s[2] = { open_state(p, &w, rows, cols),
			      open_state(p, &w, rows, cols) };

	for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
		const struct state *t = &s[one_by_one];
		void *const packed[2] = { t->packed[0].ptr, t->packed[1].ptr };
		const struct pfw_adamw a = {
			.size = sizeof(a), .n = n, .weight = t->w.ptr,
			.grad = g.ptr, .m = t->m.ptr, .v = t->v.ptr,
			.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f,
			.epsilon = 1e-8f, .weight_decay = 0.1f,
			.correction1 = 0.1f, .correction2 = 0.05f,
			.grad_scale = scale.ptr, .skip = flag.ptr,
		};

		if (!one_by_one)
			p->k->adamw_packed(p->queue, &a, rows, cols, packed);
		else
			p->k->adamw(p->queue, &a);
		for (uint32_t k = 0; k < 2 && one_by_one && !skip; k++)
			p->k->pack(p->queue, k, rows, cols, t->w.ptr,
				   packed[k]);
	}
	same_state(p, &s[0], &s[1]);
	buf_free(&w);
	buf_free(&g);
	buf_free(&scale);
	buf_free(&flag);
}

/* Whole blocks and others; by many threads, too. */
static void packed_updates(struct path *p)
{
	struct path wide = *p;

	packed_update(p, 96, 64, 0);
	packed_update(p, 96, 64, 1);
	packed_update(p, 70, 45, 0);
	packed_update(p, 33, 130, 0);
	wide.queue = p->wide_queue[3];
	if (wide.queue)
		packed_update(&wide, 300, 200, 0);
}

/* More tensors than one launch takes, empty ones among them. */
enum { TENSORS = 140, EACH = 37 };

static void many_updates(struct path *p)
{
	struct buf w = buf_random(p, TENSORS * EACH, PFW_F32, 1.0);
	struct buf g = buf_random(p, TENSORS * EACH, PFW_F32, 1.0);
	struct buf m = buf_from(p, TENSORS * EACH, PFW_F32, g.host);
	double zero = 0.0, one = 1.0, *want = doubles(TENSORS * EACH);
	struct buf v = buf_random(p, TENSORS * EACH, PFW_F32, 0.0);
	struct buf skip = buf_from(p, 1, PFW_I32, &zero);
	struct buf scale = buf_from(p, 1, PFW_F32, &one);
	struct pfw_adamw a[TENSORS] = { { 0 } };

	for (size_t t = 0; t < TENSORS; t++) {
		const size_t at = t * EACH, n = t % EACH;

		a[t] = (struct pfw_adamw){
			.size = sizeof(a[t]), .n = n,
			.weight = (float *)w.ptr + at,
			.grad = (const float *)g.ptr + at,
			.m = (float *)m.ptr + at, .v = (float *)v.ptr + at,
			.lr = 0.25f, .beta1 = 0.5f, .beta2 = 0.75f,
			.epsilon = 1e-8f, .correction1 = 1.0f,
			.correction2 = 1.0f, .grad_scale = scale.ptr,
			.skip = skip.ptr, .weight_decay = t % 2 ? 0.5f : 0.0f,
		};
		for (size_t i = at; i < at + EACH; i++) {
			double x = g.host[i], step = x / (0.5 * fabs(x) + 1e-8);

			want[i] = w.host[i];
			if (i < at + n)
				want[i] -= 0.25 * (step + (double)a[t].weight_decay *
								  w.host[i]);
		}
	}
	p->k->adamw_of(p->queue, a, TENSORS);
	buf_get(&w);
	check_close(p, "many updates", w.host, want, TENSORS * EACH, 1e-6,
		    1e-6);
	buf_free(&w);
	buf_free(&g);
	buf_free(&m);
	buf_free(&v);
	buf_free(&skip);
	buf_free(&scale);
	free(want);
}

/* Sums of many arrays at once have the bits that they have one by one. */
static void many_sums(struct path *p)
{
	struct buf x = buf_random(p, TENSORS * EACH, PFW_F32, 1.0);
	double *got = doubles(TENSORS), *want = doubles(TENSORS);
	struct pfw_vector of[TENSORS];
	double *out;

	if (p->ops->alloc(p->device, 2 * TENSORS * sizeof(*out), (void **)&out,
			  NULL))
		need(NULL);
	for (size_t t = 0; t < TENSORS; t++) {
		of[t] = (struct pfw_vector){ (const float *)x.ptr + t * EACH,
					     t == 1 ? TENSORS / 2 * EACH :
						      t % EACH };
		p->k->sum_squares(p->queue, of[t].x, of[t].n, out + t);
	}
	p->k->sum_squares_of(p->queue, of, TENSORS, out + TENSORS);
	p->ops->copy(p->queue, want, out, TENSORS * sizeof(*out), PFW_COPY_OUT,
		     NULL);
	p->ops->copy(p->queue, got, out + TENSORS, TENSORS * sizeof(*out),
		     PFW_COPY_OUT, NULL);
	p->ops->sync(p->queue, NULL);
	check_true(p, "sum_squares_of has other bits",
		   !memcmp(got, want, TENSORS * sizeof(*out)));
	p->ops->free(p->device, out);
	buf_free(&x);
	free(got);
	free(want);
}

/* The host's arithmetic, to the bit. */
static void clip(struct path *p, double limit, double square, double loss)
{
	double host[6] = { 0.1, 1e-30, square, 0.3, 7.0 / 3.0, loss }, *in;
	double sum = 0, norm, scale = 1;
	double one = -1;
	struct buf got = buf_from(p, 1, PFW_F32, &one);
	struct buf skip = buf_from(p, 1, PFW_I32, &one);
	struct pfw_clip c = { .size = sizeof(c), .count = 5, .limit = limit,
			      .epsilon = 1e-6, .scale = got.ptr,
			      .skip = skip.ptr };
	int bad;

	if (p->ops->alloc(p->device, sizeof(host), (void **)&in, NULL))
		need(NULL);
	p->ops->copy(p->queue, in, host, sizeof(host), PFW_COPY_IN, NULL);
	c.squares = in;
	c.loss = in + 5;
	p->k->clip(p->queue, &c);
	buf_get(&got);
	buf_get(&skip);
	for (size_t i = 0; i < 5; i++)
		sum += host[i];
	norm = sqrt(sum);
	if (limit > 0 && norm + c.epsilon > limit)
		scale = limit / (norm + c.epsilon);
	bad = !isfinite(norm) || !isfinite(loss);
	check_true(p, "clip: skip", (int)skip.host[0] == bad);
	check_true(p, "clip: scale", bad || (float)got.host[0] == (float)scale);
	p->ops->free(p->device, in);
	buf_free(&got);
	buf_free(&skip);
}

void check_update(struct path *p)
{
	for (size_t i = 0; i < N_LENGTHS; i++) {
		adamw(p, lengths[i], 0, 0);
		adamw(p, lengths[i], 1, 0);
		adamw(p, lengths[i], 1, 1);
		sums(p, lengths[i]);
		convert(p, lengths[i], PFW_F32);
		convert(p, lengths[i], PFW_BF16);
	}
	if (p->k->adamw_of)
		many_updates(p);
	if (p->k->adamw_packed)
		packed_updates(p);
	if (p->k->sum_squares_of)
		many_sums(p);
	if (p->k->clip) {
		clip(p, 1.0, 2.0, 5.0);
		clip(p, 100.0, 2.0, 5.0);
		clip(p, 0.0, 1e300, 5.0);
		clip(p, 1.0, 1e300, 5.0);
		clip(p, 1.0, (double)INFINITY, 5.0);
		clip(p, 1.0, (double)NAN, 5.0);
		clip(p, 1.0, 2.0, (double)NAN);
	}
}
