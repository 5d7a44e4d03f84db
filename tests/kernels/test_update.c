/* The optimizer's kernels: AdamW, sums, copies. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

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
}
