/* The stand-in for libcudnn: what a graph computes, one operation at a time. */
#include "cuda/fake_dnn.h"

#ifdef HAVE_CUDNN

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bf16.h"

struct operand {
	const struct fake_tensor *t;
	void *at;
};

int64_t fake_dnn_span(const struct fake_tensor *t)
{
	int64_t n = 1;

	for (int i = 0; i < 4; i++)
		n += (t->dim[i] - 1) * t->stride[i];
	return n;
}

/* One of a dimension is there for all. */
static int64_t offset(const struct fake_tensor *t, const int64_t *i)
{
	int64_t at = 0;

	for (int k = 0; k < 4; k++)
		at += t->dim[k] == 1 ? 0 : i[k] * t->stride[k];
	return at;
}

/* What is virtual is kept as floats, of the precision that it has. */
static float get(const struct operand *o, int64_t at)
{
	if (!o->t->is_virtual && o->t->type == CUDNN_DATA_BFLOAT16)
		return from_bf16(((const uint16_t *)o->at)[at]);
	return ((const float *)o->at)[at];
}

static void put(const struct operand *o, int64_t at, float value)
{
	if (o->t->type != CUDNN_DATA_BFLOAT16)
		((float *)o->at)[at] = value;
	else if (o->t->is_virtual)
		((float *)o->at)[at] = from_bf16(to_bf16(value));
	else
		((uint16_t *)o->at)[at] = to_bf16(value);
}

/* The next of a tensor's elements; 0: there is none. */
static int next(const struct fake_tensor *t, int64_t *i)
{
	for (int k = 3; k >= 0; k--) {
		if (++i[k] < t->dim[k])
			return 1;
		i[k] = 0;
	}
	return 0;
}

static float multiply(const struct operand *a, const struct operand *b,
		      const int64_t *i)
{
	float sum = 0;

	for (int64_t k = 0; k < a->t->dim[3]; k++) {
		const int64_t left[] = { i[0], i[1], i[2], k };
		const int64_t right[] = { i[0], i[1], k, i[3] };

		sum += get(a, offset(a->t, left)) * get(b, offset(b->t, right));
	}
	return sum;
}

static float reduce(int how, const struct operand *x, const int64_t *i)
{
	const int most = how == CUDNN_REDUCE_TENSOR_MAX;
	float out = most ? -INFINITY : 0;

	for (int64_t k = 0; k < x->t->dim[3]; k++) {
		const int64_t at[] = { i[0], i[1], i[2], k };
		float v = get(x, offset(x->t, at));

		out = most ? fmaxf(out, v) : out + v;
	}
	return out;
}

static float each(int mode, float x, float b, float t)
{
	switch (mode) {
	case CUDNN_POINTWISE_MUL:
		return x * b;
	case CUDNN_POINTWISE_ADD:
		return x + b;
	case CUDNN_POINTWISE_SUB:
		return x - b;
	case CUDNN_POINTWISE_DIV:
		return x / b;
	case CUDNN_POINTWISE_EXP:
		return expf(x);
	case CUDNN_POINTWISE_LOG:
		return logf(x);
	case CUDNN_POINTWISE_CMP_GE:
		return x >= b;
	case CUDNN_POINTWISE_BINARY_SELECT:
		return t != 0 ? x : b;
	default:
		abort();
	}
}

static float value_of(const struct fake_op *op, const struct operand *x,
		      const struct operand *b, const struct operand *t,
		      const struct operand *y, const int64_t *i)
{
	switch (op->type) {
	case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
		return multiply(x, b, i);
	case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
		return reduce(op->mode, x, i);
	case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
		return get(x, offset(y->t, i)); /* the same memory */
	default:
		if (op->mode == CUDNN_POINTWISE_GEN_INDEX)
			return (float)i[op->axis];
		return each(op->mode, get(x, offset(x->t, i)),
			    b->t ? get(b, offset(b->t, i)) : 0,
			    t->t ? get(t, offset(t->t, i)) : 0);
	}
}

static struct operand operand(const struct fake_graph *g, void *const *at, int i)
{
	if (i < 0)
		return (struct operand){ NULL, NULL };
	return (struct operand){ &g->tensor[i], at[i] };
}

void fake_dnn_run(const struct fake_graph *g, void *const *given)
{
	void *at[FAKE_DNN_TENSORS];

	for (int i = 0; i < g->n_tensors; i++) {
		at[i] = given[i];
		if (g->tensor[i].is_virtual)
			at[i] = calloc((size_t)fake_dnn_span(&g->tensor[i]),
				       sizeof(float));
		if (!at[i])
			abort();
	}
	for (int n = 0; n < g->n_ops; n++) {
		const struct fake_op *op = &g->op[n];
		struct operand x = operand(g, at, op->x);
		struct operand b = operand(g, at, op->b);
		struct operand t = operand(g, at, op->t);
		struct operand y = operand(g, at, op->y);
		int64_t i[4] = { 0 };

		do
			put(&y, offset(y.t, i),
			    value_of(op, &x, &b, &t, &y, i));
		while (next(y.t, i));
	}
	for (int i = 0; i < g->n_tensors; i++)
		if (g->tensor[i].is_virtual)
			free(at[i]);
}

#endif
