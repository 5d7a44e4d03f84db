/* Weights rounded to bf16 at random: to a neighbour, right on average, and the
 * same in every form. */
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 200

/* The bf16 number at or next to x towards 0, and the one after that. */
static void neighbours(double x, double *near, double *far)
{
	float f = (float)x, g;
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	u &= 0xffff0000;
	memcpy(&g, &u, sizeof(g));
	*near = g;
	u += 0x10000;
	memcpy(&g, &u, sizeof(g));
	*far = g;
}

static struct buf copy_of(struct path *p, const struct buf *weight,
			  uint32_t rows, uint32_t cols, uint32_t key)
{
	struct buf b = buf_poison(p, weight->n, PFW_BF16);

	p->k->copy_at_random(p->queue, b.ptr, rows, cols, weight->ptr, key);
	buf_get(&b);
	return b;
}

/* Of each element over the keys, and of all elements. */
static void check_mean(struct path *p, uint32_t rows, uint32_t cols)
{
	struct buf w = buf_random(p, (size_t)rows * cols, PFW_F32, 1.0);
	double *up = doubles(w.n), near, far, off = 0.0;
	int neighbour = 1, fair = 1;

	for (uint32_t key = 0; key < KEYS; key++) {
		struct buf b = copy_of(p, &w, rows, cols, 77 + 1000 * key);

		for (size_t i = 0; i < w.n; i++) {
			neighbours(w.host[i], &near, &far);
			neighbour &= b.host[i] == near || b.host[i] == far;
			up[i] += b.host[i] == far;
		}
		buf_free(&b);
	}
	for (size_t i = 0; i < w.n; i++) {
		double want, sigma;

		neighbours(w.host[i], &near, &far);
		want = (w.host[i] - near) / (far - near);
		sigma = sqrt(KEYS * want * (1.0 - want)) + 0.3;
		fair &= fabs(up[i] - KEYS * want) < 7.0 * sigma;
		off += up[i] / KEYS - want;
	}
	check_true(p, "rounding: to a neighbour", neighbour);
	check_true(p, "rounding: each element's mean", fair);
	check_true(p, "rounding: the mean of all",
		   fabs(off) < 5.0 * sqrt((double)w.n / KEYS / 4.0));
	buf_free(&w);
	free(up);
}

/* What bf16 holds stays; what is no number stays none. */
static void check_exact(struct path *p)
{
	const double values[] = { 0.0, -1.0, 1.5, 0x1p-100, INFINITY, -INFINITY,
				  NAN };
	const size_t n = sizeof(values) / sizeof(values[0]);
	struct buf w = buf_from(p, n, PFW_F32, values);
	int same = 1;

	for (uint32_t key = 0; key < 64; key++) {
		struct buf b = copy_of(p, &w, 1, (uint32_t)n, key);

		for (size_t i = 0; i < n; i++)
			same &= b.host[i] == values[i] ||
				(isnan(values[i]) && isnan(b.host[i]));
		buf_free(&b);
	}
	check_true(p, "rounding: what needs none", same);
	buf_free(&w);
}

/* The packed weight, as the product of 1 and it. */
static struct buf unpacked(struct path *p, uint32_t kind, const struct buf *w,
			   uint32_t rows, uint32_t cols, uint32_t key)
{
	const uint32_t n = kind == PFW_GEMM_NT ? rows : cols;
	const uint32_t k = kind == PFW_GEMM_NT ? cols : rows;
	double *one = doubles((size_t)k * k);
	struct buf a, c = buf_poison(p, (size_t)k * n, PFW_F32);
	struct buf packed = buf_poison(
		p, p->k->pack_bytes(p->queue, kind, rows, cols) / 4, PFW_F32);
	const struct pfw_gemm g = {
		.size = sizeof(g), .kind = kind, .m = k, .n = n, .k = k,
		.c_dtype = PFW_F32, .b_packed = packed.ptr, .c = c.ptr,
	};
	struct pfw_gemm with_a = g;

	for (uint32_t i = 0; i < k; i++)
		one[(size_t)i * k + i] = 1.0;
	a = buf_from(p, (size_t)k * k, p->props.act_dtype, one);
	with_a.a = a.ptr;
	p->k->pack_at_random(p->queue, kind, rows, cols, w->ptr, packed.ptr,
			     key);
	p->k->gemm(p->queue, &with_a);
	buf_get(&c);
	buf_get(&packed);
	buf_free(&a);
	buf_free(&packed);
	free(one);
	return c;
}

static void check_forms(struct path *p, uint32_t rows, uint32_t cols)
{
	struct buf w = buf_random(p, (size_t)rows * cols, PFW_F32, 1.0);
	struct buf copy = copy_of(p, &w, rows, cols, 5);
	struct buf other = copy_of(p, &w, rows, cols, 6);
	size_t differ = 0;

	for (size_t i = 0; i < w.n; i++)
		differ += copy.host[i] != other.host[i];
	check_true(p, "rounding: another key, other numbers", differ > w.n / 8);
	for (uint32_t kind = 0; p->k->pack_bytes && kind < 2; kind++) {
		struct buf c = unpacked(p, kind, &w, rows, cols, 5);
		int same = 1;

		for (size_t i = 0; i < w.n; i++) {
			size_t row = i / cols, col = i % cols;
			size_t at = kind == PFW_GEMM_NT ? col * rows + row : i;

			same &= c.host[at] == copy.host[i];
		}
		check_true(p, kind == PFW_GEMM_NT ?
				   "rounding: packed for NT as copied" :
				   "rounding: packed for NN as copied", same);
		buf_free(&c);
	}
	buf_free(&w);
	buf_free(&copy);
	buf_free(&other);
}

/* Many threads write what one does. */
static void check_wide(struct path *p, uint32_t rows, uint32_t cols)
{
	struct buf w = buf_random(p, (size_t)rows * cols, PFW_F32, 1.0);
	struct buf one = copy_of(p, &w, rows, cols, 9), many;
	void *queue = p->queue;

	p->queue = p->wide_queue[3];
	many = copy_of(p, &w, rows, cols, 9);
	check_forms(p, rows, cols);
	p->queue = queue;
	check_close(p, "rounding: on threads", many.host, one.host, w.n, 0.0,
		    0.0);
	buf_free(&w);
	buf_free(&one);
	buf_free(&many);
}

void check_rounding(struct path *p)
{
	if (!p->k->copy_at_random)
		return;
	check_mean(p, 5, 71);
	check_exact(p);
	check_forms(p, 70, 45);
	check_forms(p, 33, 130);
	if (p->wide_queue[3])
		check_wide(p, 300, 200);
}
