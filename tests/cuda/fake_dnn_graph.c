/* The stand-in for libcudnn: is that a graph. */
#include "cuda/fake_dnn.h"

#ifdef HAVE_CUDNN

#include <stdlib.h>
#include <string.h>

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x))                                                      \
			return -1;                                             \
	} while (0)

static void read(const struct fake_desc *d, cudnnBackendAttributeName_t name,
		 void *out, size_t bytes)
{
	int64_t n;
	const void *value = fake_dnn_get(d, name, &n);

	if (value)
		memcpy(out, value, bytes);
}

/* The same number is the same tensor. */
static int add_tensor(struct fake_graph *g, const struct fake_desc *d)
{
	struct fake_tensor t;

	memset(&t, 0, sizeof(t)); /* the gaps are compared, too */
	read(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, &t.uid, 8);
	read(d, CUDNN_ATTR_TENSOR_DIMENSIONS, t.dim, sizeof(t.dim));
	read(d, CUDNN_ATTR_TENSOR_STRIDES, t.stride, sizeof(t.stride));
	read(d, CUDNN_ATTR_TENSOR_DATA_TYPE, &t.type, sizeof(t.type));
	read(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, &t.is_virtual, 1);
	read(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, &t.by_value, 1);
	for (int i = 0; i < g->n_tensors; i++)
		if (g->tensor[i].uid == t.uid)
			return memcmp(&g->tensor[i], &t, sizeof(t)) ? -2 : i;
	if (g->n_tensors == FAKE_DNN_TENSORS)
		return -2;
	g->tensor[g->n_tensors] = t;
	return g->n_tensors++;
}

static int add_named(struct fake_graph *g, const struct fake_desc *op,
		     cudnnBackendAttributeName_t name)
{
	const struct fake_desc *t = NULL;

	read(op, name, &t, sizeof(t));
	return t ? add_tensor(g, t) : -1;
}

static int sizes_fit(const struct fake_graph *g, const struct fake_op *op)
{
	const int64_t *x = g->tensor[op->x].dim, *y = g->tensor[op->y].dim;
	const int64_t *b = op->b < 0 ? NULL : g->tensor[op->b].dim;

	if (op->type == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR)
		return b && x[3] == b[2] && y[2] == x[2] && y[3] == b[3] &&
		       x[0] == y[0] && b[0] == y[0] && x[1] == y[1] &&
		       b[1] == y[1];
	if (op->type == CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR)
		return x[0] * x[1] * x[2] * x[3] == y[0] * y[1] * y[2] * y[3];
	if (op->type == CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)
		return !memcmp(x, y, 3 * sizeof(*x)) && y[3] == 1;
	for (int i = 0; i < 4; i++)
		if (x[i] != y[i] || (b && b[i] != 1 && b[i] != y[i]))
			return 0;
	return 1;
}

static void read_op(struct fake_graph *g, const struct fake_desc *d,
		    struct fake_op *op)
{
	const struct fake_desc *how = NULL;

	*op = (struct fake_op){ .type = d->type, .b = -1, .t = -1 };
	switch (d->type) {
	case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
		op->x = add_named(g, d, CUDNN_ATTR_OPERATION_MATMUL_ADESC);
		op->b = add_named(g, d, CUDNN_ATTR_OPERATION_MATMUL_BDESC);
		op->y = add_named(g, d, CUDNN_ATTR_OPERATION_MATMUL_CDESC);
		break;
	case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
		op->x = add_named(g, d, CUDNN_ATTR_OPERATION_REDUCTION_XDESC);
		op->y = add_named(g, d, CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
		read(d, CUDNN_ATTR_OPERATION_REDUCTION_DESC, &how, sizeof(how));
		read(how, CUDNN_ATTR_REDUCTION_OPERATOR, &op->mode, 4);
		break;
	case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
		op->x = add_named(g, d, CUDNN_ATTR_OPERATION_RESHAPE_XDESC);
		op->y = add_named(g, d, CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
		break;
	default:
		op->x = add_named(g, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
		op->b = add_named(g, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
		op->t = add_named(g, d, CUDNN_ATTR_OPERATION_POINTWISE_TDESC);
		op->y = add_named(g, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
		read(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, &how,
		     sizeof(how));
		read(how, CUDNN_ATTR_POINTWISE_MODE, &op->mode, 4);
		read(how, CUDNN_ATTR_POINTWISE_AXIS, &op->axis, 8);
	}
}

static int read_ops(struct fake_graph *g, const struct fake_desc *d)
{
	bool made[FAKE_DNN_TENSORS] = { false };
	int64_t n;
	const struct fake_desc *const *ops =
		fake_dnn_get(d, CUDNN_ATTR_OPERATIONGRAPH_OPS, &n);

	CHECK(n <= FAKE_DNN_OPS);
	for (; g->n_ops < n; g->n_ops++) {
		struct fake_op *op = &g->op[g->n_ops];
		const int *in[] = { &op->x, &op->b, &op->t };

		read_op(g, ops[g->n_ops], op);
		CHECK(op->x >= 0 && op->y >= 0 && op->b != -2 && op->t != -2);
		for (int i = 0; i < 3; i++)
			CHECK(*in[i] < 0 || made[*in[i]] ||
			      !g->tensor[*in[i]].is_virtual);
		CHECK(!made[op->y] && !g->tensor[op->y].by_value);
		made[op->y] = true;
		CHECK(sizes_fit(g, op));
	}
	return 0;
}

int fake_dnn_read_graph(struct fake_desc *d)
{
	d->graph = calloc(1, sizeof(*d->graph));
	return d->graph ? read_ops(d->graph, d) : -1;
}

#endif
