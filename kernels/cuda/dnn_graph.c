/*
 * Causal attention, forward and backward, as operation graphs of cuDNN's backend
 * ("Graph API" of NVIDIA's cuDNN documentation): bf16 with fp32 inside, on packed
 * rows [batch, seq, 3, heads, head_size] that are named by their strides.
 */
#include "dnn.h"

#ifdef HAVE_CUDNN

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef cudnnBackendDescriptor_t descriptor;

#define MOST_OPS 32
#define MOST_CONFIGS 8
#define F32 CUDNN_DATA_FLOAT
#define NO_AXIS (-1)

struct build {
	const struct cuda_dnn_lib *lib;
	struct cuda_dnn_plan *out;
	descriptor ops[MOST_OPS];
	int64_t n_ops, next_uid;
	cudnnStatus_t status; /* the first fault */
};

/* Four dimensions and where the next element of each lies. */
struct layout {
	int64_t dim[4], stride[4];
};

static void note(struct build *b, cudnnStatus_t status)
{
	if (!status || b->status)
		return;
	b->status = status;
	b->lib->GetLastErrorString(b->out->why, sizeof(b->out->why));
	if (!*b->out->why)
		snprintf(b->out->why, sizeof(b->out->why), "status %d",
			 (int)status);
}

/* Gives one at all times: calls on NULL are refused by cuDNN. */
static descriptor make(struct build *b, cudnnBackendDescriptorType_t type)
{
	descriptor d = NULL;

	if (b->out->n_made == CUDA_DNN_MADE) {
		note(b, CUDNN_STATUS_INTERNAL_ERROR);
		return NULL;
	}
	note(b, b->lib->BackendCreateDescriptor(type, &d));
	if (d)
		b->out->made[b->out->n_made++] = d;
	return d;
}

static void set(struct build *b, descriptor d, cudnnBackendAttributeName_t name,
		cudnnBackendAttributeType_t type, int64_t n, const void *value)
{
	if (!b->status)
		note(b, b->lib->BackendSetAttribute(d, name, type, n, value));
}

static void set_descriptor(struct build *b, descriptor d,
			   cudnnBackendAttributeName_t name, descriptor value)
{
	if (value)
		set(b, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finish(struct build *b, descriptor d)
{
	if (!b->status)
		note(b, b->lib->BackendFinalize(d));
}

/* Operations are done in the order in which they come here. */
static void finish_op(struct build *b, descriptor op)
{
	finish(b, op);
	if (b->n_ops < MOST_OPS)
		b->ops[b->n_ops++] = op;
	else
		note(b, CUDNN_STATUS_INTERNAL_ERROR);
}

static descriptor tensor(struct build *b, int64_t uid, const struct layout *l,
			 cudnnDataType_t type)
{
	descriptor d = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
	const int64_t align = 16;
	const bool inner = uid >= DNN_TENSORS;
	const bool by_value = uid == DNN_SCALE || uid == DNN_MASKED ||
			      uid == DNN_ONE;

	set(b, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
	set(b, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
	set(b, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, l->dim);
	set(b, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, l->stride);
	set(b, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1,
	    &align);
	set(b, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &inner);
	if (by_value)
		set(b, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1,
		    &by_value);
	finish(b, d);
	return d;
}

static descriptor inner(struct build *b, const struct layout *l,
			cudnnDataType_t type)
{
	return tensor(b, b->next_uid++, l, type);
}

/* How an operation computes: in numbers of this type. */
static descriptor way(struct build *b, cudnnBackendDescriptorType_t type,
		      cudnnBackendAttributeName_t name, cudnnDataType_t in)
{
	descriptor how = make(b, type);

	set(b, how, name, CUDNN_TYPE_DATA_TYPE, 1, &in);
	return how;
}

struct operand {
	cudnnBackendAttributeName_t name;
	descriptor value; /* NULL: it has none */
};

static void operate(struct build *b, cudnnBackendDescriptorType_t type,
		    const struct operand *with, size_t n)
{
	descriptor op = make(b, type);

	for (size_t i = 0; i < n; i++)
		set_descriptor(b, op, with[i].name, with[i].value);
	finish_op(b, op);
}
#define OPERATE(b, type, with)                                                 \
	operate(b, type, with, sizeof(with) / sizeof((with)[0]))

static descriptor multiply(struct build *b, descriptor x, descriptor y,
			   descriptor out)
{
	descriptor how = way(b, CUDNN_BACKEND_MATMUL_DESCRIPTOR,
			     CUDNN_ATTR_MATMUL_COMP_TYPE, F32);
	const struct operand with[] = {
		{ CUDNN_ATTR_OPERATION_MATMUL_ADESC, x },
		{ CUDNN_ATTR_OPERATION_MATMUL_BDESC, y },
		{ CUDNN_ATTR_OPERATION_MATMUL_CDESC, out },
		{ CUDNN_ATTR_OPERATION_MATMUL_DESC, how },
	};

	finish(b, how);
	OPERATE(b, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, with);
	return out;
}

/* out = mode(x, y), or where mask says so x, else y. */
static descriptor select_each(struct build *b, cudnnPointwiseMode_t mode,
			      descriptor x, descriptor y, descriptor mask,
			      int64_t axis, descriptor out)
{
	descriptor how = way(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
			     CUDNN_ATTR_POINTWISE_MATH_PREC,
			     mode == CUDNN_POINTWISE_CMP_GE ?
				     CUDNN_DATA_BOOLEAN : F32);
	const struct operand with[] = {
		{ CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how },
		{ CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x },
		{ CUDNN_ATTR_OPERATION_POINTWISE_BDESC, y },
		{ CUDNN_ATTR_OPERATION_POINTWISE_TDESC, mask },
		{ CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out },
	};

	set(b, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1,
	    &mode);
	if (axis != NO_AXIS)
		set(b, how, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1,
		    &axis);
	finish(b, how);
	OPERATE(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, with);
	return out;
}

static descriptor each(struct build *b, cudnnPointwiseMode_t mode, descriptor x,
		       descriptor y, descriptor out)
{
	return select_each(b, mode, x, y, NULL, NO_AXIS, out);
}

/* Over the last dimension. */
static descriptor reduce(struct build *b, cudnnReduceTensorOp_t what,
			 descriptor x, descriptor out)
{
	descriptor how = way(b, CUDNN_BACKEND_REDUCTION_DESCRIPTOR,
			     CUDNN_ATTR_REDUCTION_COMP_TYPE, F32);
	const struct operand with[] = {
		{ CUDNN_ATTR_OPERATION_REDUCTION_DESC, how },
		{ CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x },
		{ CUDNN_ATTR_OPERATION_REDUCTION_YDESC, out },
	};

	set(b, how, CUDNN_ATTR_REDUCTION_OPERATOR,
	    CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &what);
	finish(b, how);
	OPERATE(b, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, with);
	return out;
}

static descriptor transpose(struct build *b, descriptor x, descriptor out)
{
	const struct operand with[] = {
		{ CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x },
		{ CUDNN_ATTR_OPERATION_RESHAPE_YDESC, out },
	};

	OPERATE(b, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, with);
	return out;
}

/* How everything lies. */
struct layouts {
	struct layout packed;  /* q, k, v and their gradients */
	struct layout turned;  /* k and v as the second of a product */
	struct layout out;
	struct layout dense;   /* like out, between operations */
	struct layout scores, scores_turned;
	struct layout rows;    /* a number for each row */
	struct layout one;
};

static struct layouts lay_out(const struct cuda_dnn_shape *s)
{
	const int64_t n = s->batch, t = s->seq, h = s->heads, d = s->head_size;

	return (struct layouts){
		.packed = { { n, h, t, d }, { 3 * h * d * t, d, 3 * h * d, 1 } },
		.turned = { { n, h, d, t }, { 3 * h * d * t, d, 1, 3 * h * d } },
		.out = { { n, h, t, d }, { h * d * t, d, h * d, 1 } },
		.dense = { { n, h, t, d }, { h * t * d, t * d, d, 1 } },
		.scores = { { n, h, t, t }, { h * t * t, t * t, t, 1 } },
		.scores_turned = { { n, h, t, t }, { h * t * t, t * t, 1, t } },
		.rows = { { n, h, t, 1 }, { h * t, t, 1, 1 } },
		.one = { { 1, 1, 1, 1 }, { 1, 1, 1, 1 } },
	};
}

/* Where the column is beyond the row it is as good as -infinity. */
static descriptor mask(struct build *b, const struct layouts *l, descriptor x)
{
	descriptor row = inner(b, &l->scores, CUDNN_DATA_INT32);
	descriptor column = inner(b, &l->scores, CUDNN_DATA_INT32);
	descriptor seen = inner(b, &l->scores, CUDNN_DATA_BOOLEAN);
	descriptor masked = tensor(b, DNN_MASKED, &l->one, F32);

	select_each(b, CUDNN_POINTWISE_GEN_INDEX, x, NULL, NULL, 2, row);
	select_each(b, CUDNN_POINTWISE_GEN_INDEX, x, NULL, NULL, 3, column);
	each(b, CUDNN_POINTWISE_CMP_GE, row, column, seen);
	return select_each(b, CUDNN_POINTWISE_BINARY_SELECT, x, masked, seen,
			   NO_AXIS, inner(b, &l->scores, F32));
}

static void forward(struct build *b, const struct layouts *l)
{
	descriptor q = tensor(b, DNN_Q, &l->packed, CUDNN_DATA_BFLOAT16);
	descriptor k = tensor(b, DNN_K, &l->turned, CUDNN_DATA_BFLOAT16);
	descriptor v = tensor(b, DNN_V, &l->packed, CUDNN_DATA_BFLOAT16);
	descriptor out = tensor(b, DNN_OUT, &l->out, CUDNN_DATA_BFLOAT16);
	descriptor stats = tensor(b, DNN_STATS, &l->rows, F32);
	descriptor scale = tensor(b, DNN_SCALE, &l->one, F32);
	descriptor x, most, sum, part;

	x = multiply(b, q, k, inner(b, &l->scores, F32));
	x = each(b, CUDNN_POINTWISE_MUL, x, scale, inner(b, &l->scores, F32));
	x = mask(b, l, x);
	most = reduce(b, CUDNN_REDUCE_TENSOR_MAX, x, inner(b, &l->rows, F32));
	x = each(b, CUDNN_POINTWISE_SUB, x, most, inner(b, &l->scores, F32));
	x = each(b, CUDNN_POINTWISE_EXP, x, NULL, inner(b, &l->scores, F32));
	sum = reduce(b, CUDNN_REDUCE_TENSOR_ADD, x, inner(b, &l->rows, F32));
	part = each(b, CUDNN_POINTWISE_LOG, sum, NULL, inner(b, &l->rows, F32));
	each(b, CUDNN_POINTWISE_ADD, most, part, stats);
	x = each(b, CUDNN_POINTWISE_DIV, x, sum,
		 inner(b, &l->scores, CUDNN_DATA_BFLOAT16));
	multiply(b, x, v, out);
}

/* The gradient of q is made by one product, not by additions in any order. */
static void backward(struct build *b, const struct layouts *l)
{
	const cudnnDataType_t bf16 = CUDNN_DATA_BFLOAT16;
	descriptor q = tensor(b, DNN_Q, &l->packed, bf16);
	descriptor k = tensor(b, DNN_K, &l->turned, bf16);
	descriptor v = tensor(b, DNN_V, &l->turned, bf16);
	descriptor out = tensor(b, DNN_OUT, &l->out, bf16);
	descriptor dout = tensor(b, DNN_GRAD_OUT, &l->out, bf16);
	descriptor stats = tensor(b, DNN_STATS, &l->rows, F32);
	descriptor scale = tensor(b, DNN_SCALE, &l->one, F32);
	descriptor one = tensor(b, DNN_ONE, &l->one, F32);
	descriptor sums = tensor(b, DNN_SUMS, &l->rows, F32);
	descriptor x, p, ds;

	/* sums = rows of dout * out */
	x = each(b, CUDNN_POINTWISE_MUL, dout, out, inner(b, &l->dense, F32));
	x = reduce(b, CUDNN_REDUCE_TENSOR_ADD, x, inner(b, &l->rows, F32));
	each(b, CUDNN_POINTWISE_MUL, x, one, sums);
	/* p = exp(masked scores - stats);  dv = p^T dout */
	x = multiply(b, q, k, inner(b, &l->scores, F32));
	x = each(b, CUDNN_POINTWISE_MUL, x, scale, inner(b, &l->scores, F32));
	x = each(b, CUDNN_POINTWISE_SUB, x, stats, inner(b, &l->scores, F32));
	x = mask(b, l, x);
	p = each(b, CUDNN_POINTWISE_EXP, x, NULL, inner(b, &l->scores, F32));
	x = transpose(b, p, inner(b, &l->scores_turned, bf16));
	multiply(b, x, dout, tensor(b, DNN_GRAD_V, &l->packed, bf16));
	/* ds = scale p (dout v^T - sums);  dk = ds^T q, dq = ds k */
	x = multiply(b, dout, v, inner(b, &l->scores, F32));
	x = each(b, CUDNN_POINTWISE_SUB, x, sums, inner(b, &l->scores, F32));
	x = each(b, CUDNN_POINTWISE_MUL, x, p, inner(b, &l->scores, F32));
	ds = each(b, CUDNN_POINTWISE_MUL, x, scale, inner(b, &l->scores, bf16));
	x = transpose(b, ds, inner(b, &l->scores_turned, bf16));
	multiply(b, x, q, tensor(b, DNN_GRAD_K, &l->packed, bf16));
	x = transpose(b, k, inner(b, &l->packed, bf16));
	multiply(b, ds, x, tensor(b, DNN_GRAD_Q, &l->packed, bf16));
}

static descriptor graph_of(struct build *b, cudnnHandle_t handle)
{
	const struct layouts l = lay_out(&b->out->shape);
	descriptor g;

	if (b->out->shape.backward)
		backward(b, &l);
	else
		forward(b, &l);
	g = make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
	set(b, g, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
	    b->n_ops, b->ops);
	if (handle)
		set(b, g, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE,
		    1, &handle);
	finish(b, g);
	return g;
}

/* The card, where it is described in words. */
static descriptor card_of(struct build *b, const char *properties)
{
	descriptor d = make(b, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);

	set(b, d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
	    (int64_t)strlen(properties), properties);
	finish(b, d);
	return d;
}

/* The ways that cuDNN knows, the one it likes best first. */
static int64_t ask(struct build *b, descriptor graph, descriptor card,
		   descriptor configs[MOST_CONFIGS])
{
	const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
	descriptor h = make(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
	int64_t n = 0;

	set_descriptor(b, h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
	set(b, h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
	set_descriptor(b, h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, card);
	finish(b, h);
	for (int i = 0; i < MOST_CONFIGS; i++)
		configs[i] = make(b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
	if (!b->status)
		note(b, b->lib->BackendGetAttribute(
				h, CUDNN_ATTR_ENGINEHEUR_RESULTS,
				CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_CONFIGS, &n,
				configs));
	return n < MOST_CONFIGS ? n : MOST_CONFIGS;
}

#define TILE 128u
#define LITTLE ((uint64_t)1 << 20)

uint64_t cuda_dnn_workspace(const struct cuda_dnn_shape *s)
{
	const uint64_t rows = ((uint64_t)s->seq + TILE - 1) / TILE * TILE;

	if (!s->backward)
		return LITTLE;
	return LITTLE + rows * rows * s->batch * s->heads * sizeof(uint16_t);
}

/* Memory is planned, so an engine that wants more is none. */
static bool fits(struct build *b, int64_t bytes)
{
	const uint64_t most = cuda_dnn_workspace(&b->out->shape);

	if (b->status || (bytes >= 0 && (uint64_t)bytes <= most))
		return !b->status;
	snprintf(b->out->why, sizeof(b->out->why), "an engine wants %lld MiB "
		 "of workspace, and %llu MiB are planned",
		 (long long)(bytes >> 20), (unsigned long long)(most >> 20));
	return false;
}

/* Known before its kernel is compiled. */
static bool config_fits(struct build *b, descriptor config)
{
	int64_t n, bytes = 0;

	if (!b->status)
		note(b, b->lib->BackendGetAttribute(
				config, CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE,
				CUDNN_TYPE_INT64, 1, &n, &bytes));
	return fits(b, bytes);
}

/* Sums in any order are not for us. */
static bool is_deterministic(struct build *b, descriptor config)
{
	cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
	descriptor engine = make(b, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
	int64_t n = 0;

	if (!b->status)
		note(b, b->lib->BackendGetAttribute(
				config, CUDNN_ATTR_ENGINECFG_ENGINE,
				CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine));
	n = 0;
	if (!b->status)
		note(b, b->lib->BackendGetAttribute(
				engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
				CUDNN_TYPE_NUMERICAL_NOTE,
				CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes));
	for (int64_t i = 0; i < n; i++)
		if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)
			return false;
	return !b->status;
}

static void try(struct build *b, cudnnHandle_t handle, descriptor card,
		descriptor config)
{
	descriptor p = make(b, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
	int64_t n, bytes = 0;

	if (handle)
		set(b, p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
		    &handle);
	set_descriptor(b, p, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, card);
	set_descriptor(b, p, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
	finish(b, p);
	if (!b->status)
		note(b, b->lib->BackendGetAttribute(
				p, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
				CUDNN_TYPE_INT64, 1, &n, &bytes));
	if (!fits(b, bytes))
		return;
	b->out->plan = p;
	b->out->workspace_bytes = (size_t)bytes;
}

int cuda_dnn_build(const struct cuda_dnn_lib *lib, cudnnHandle_t handle,
		   const char *properties, struct cuda_dnn_plan *out)
{
	struct build b = { .lib = lib, .out = out, .next_uid = DNN_TENSORS };
	descriptor configs[MOST_CONFIGS], graph, card = NULL;
	int64_t n;

	if (!handle)
		card = card_of(&b, properties);
	graph = graph_of(&b, handle);
	n = ask(&b, graph, card, configs);
	if (b.status)
		return -1;
	snprintf(out->why, sizeof(out->why), "no engine that keeps an order");
	for (int64_t i = 0; i < n && !out->plan; i++) {
		b.status = CUDNN_STATUS_SUCCESS;
		if (is_deterministic(&b, configs[i]) &&
		    config_fits(&b, configs[i]))
			try(&b, handle, card, configs[i]);
	}
	return out->plan ? 0 : -1;
}

/* The last first: what came later was made of what came before. */
void cuda_dnn_destroy(const struct cuda_dnn_lib *lib,
		      struct cuda_dnn_plan *plan)
{
	while (plan->n_made)
		lib->BackendDestroyDescriptor(plan->made[--plan->n_made]);
	plan->plan = NULL;
}

#endif
