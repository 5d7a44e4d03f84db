/* The stand-in for libcudnn: descriptors, and what is asked of them. */
#include "cuda/fake_dnn.h"

#ifdef HAVE_CUDNN

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/fake_impl.h"

struct cudnnContext {
	cudaStream_t stream;
};

/* What a descriptor may have: so many of that type, and what it must have. */
static const struct rule {
	cudnnBackendDescriptorType_t of;
	cudnnBackendAttributeName_t name;
	cudnnBackendAttributeType_t type;
	int64_t least, most; /* least 0: it may be missing */
} rules[] = {
#define TENSOR(name, type, least, most)                                        \
	{ CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_##name,           \
	  CUDNN_TYPE_##type, least, most }
	TENSOR(UNIQUE_ID, INT64, 1, 1),
	TENSOR(DATA_TYPE, DATA_TYPE, 1, 1),
	TENSOR(DIMENSIONS, INT64, 4, 4),
	TENSOR(STRIDES, INT64, 4, 4),
	TENSOR(BYTE_ALIGNMENT, INT64, 1, 1),
	TENSOR(IS_VIRTUAL, BOOLEAN, 0, 1),
	TENSOR(IS_BY_VALUE, BOOLEAN, 0, 1),
#undef TENSOR
#define RULE(of, name, type, least, most)                                      \
	{ CUDNN_BACKEND_##of##_DESCRIPTOR, CUDNN_ATTR_##name,                  \
	  CUDNN_TYPE_##type, least, most }
	RULE(MATMUL, MATMUL_COMP_TYPE, DATA_TYPE, 1, 1),
	RULE(POINTWISE, POINTWISE_MODE, POINTWISE_MODE, 1, 1),
	RULE(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE, 1, 1),
	RULE(POINTWISE, POINTWISE_AXIS, INT64, 0, 1),
	RULE(REDUCTION, REDUCTION_OPERATOR, REDUCTION_OPERATOR_TYPE, 1, 1),
	RULE(REDUCTION, REDUCTION_COMP_TYPE, DATA_TYPE, 1, 1),
#define PART(of, name, least)                                                  \
	RULE(OPERATION_##of, OPERATION_##of##_##name, BACKEND_DESCRIPTOR,      \
	     least, 1)
	PART(MATMUL, ADESC, 1), PART(MATMUL, BDESC, 1),
	PART(MATMUL, CDESC, 1), PART(MATMUL, DESC, 1),
	PART(POINTWISE, PW_DESCRIPTOR, 1), PART(POINTWISE, XDESC, 1),
	PART(POINTWISE, BDESC, 0), PART(POINTWISE, TDESC, 0),
	PART(POINTWISE, YDESC, 1), PART(REDUCTION, DESC, 1),
	PART(REDUCTION, XDESC, 1), PART(REDUCTION, YDESC, 1),
	PART(RESHAPE, XDESC, 1), PART(RESHAPE, YDESC, 1),
#undef PART
	RULE(OPERATIONGRAPH, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, 1, 256),
	RULE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE, 1, 1),
	RULE(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, 1),
	RULE(ENGINEHEUR, ENGINEHEUR_MODE, HEUR_MODE, 1, 1),
	RULE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE, 1, 1),
	RULE(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR,
	     1, 1),
	RULE(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS, INT64, 1, 64),
	RULE(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS, VOID_PTR, 1, 64),
	RULE(VARIANT_PACK, VARIANT_PACK_WORKSPACE, VOID_PTR, 1, 1),
#undef RULE
};
#define RULES (sizeof(rules) / sizeof(*rules))

/* The engines of every graph: one that adds in any order, one that wants a lot,
 * and one that works. */
enum { HASTY, GREEDY, GOOD, ENGINES };

/* A whole number of pages, which nobody else's memory may begin within. */
#define LITTLE_WORKSPACE ((int64_t)4096)

static cudnnStatus_t enter(const char *call)
{
	return (cudnnStatus_t)fake_enter(call);
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *out)
{
	if (fake_enter_safe("cudnnCreate"))
		return CUDNN_STATUS_NOT_INITIALIZED;
	*out = calloc(1, sizeof(**out));
	return *out ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_ALLOC_FAILED;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
	free(handle);
	return enter("cudnnDestroy");
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
	cudnnStatus_t e = enter("cudnnSetStream");

	if (!e)
		handle->stream = stream;
	return e;
}

size_t cudnnGetVersion(void)
{
	return CUDNN_VERSION;
}

void cudnnGetLastErrorString(char *out, size_t bytes)
{
	strncpy(out, "the stand-in says no", bytes);
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
					   cudnnBackendDescriptor_t *out)
{
	cudnnStatus_t e = enter("cudnnBackendCreateDescriptor");
	struct fake_desc *d;

	if (e)
		return e;
	d = calloc(1, sizeof(*d));
	if (!d)
		return CUDNN_STATUS_ALLOC_FAILED;
	d->type = type;
	*out = d;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t desc)
{
	struct fake_desc *d = desc;

	while (d->attributes) {
		struct fake_attribute *a = d->attributes;

		d->attributes = a->next;
		free(a);
	}
	free(d->graph);
	free(d);
	return CUDNN_STATUS_SUCCESS;
}

const void *fake_dnn_get(const struct fake_desc *d,
			 cudnnBackendAttributeName_t name, int64_t *n)
{
	for (const struct fake_attribute *a = d->attributes; a; a = a->next)
		if (a->name == name) {
			*n = a->n;
			return a->value;
		}
	*n = 0;
	return NULL;
}

static size_t bytes_of(cudnnBackendAttributeType_t type)
{
	switch (type) {
	case CUDNN_TYPE_BOOLEAN:
		return sizeof(bool);
	case CUDNN_TYPE_INT64:
		return sizeof(int64_t);
	case CUDNN_TYPE_HANDLE:
	case CUDNN_TYPE_VOID_PTR:
	case CUDNN_TYPE_BACKEND_DESCRIPTOR:
		return sizeof(void *);
	default:
		return sizeof(int); /* enumerations */
	}
}

/* Only what is finished is part of another. */
static int are_final(const struct rule *r, int64_t n, const void *values)
{
	const struct fake_desc *const *d = values;

	if (r->type != CUDNN_TYPE_BACKEND_DESCRIPTOR)
		return 1;
	for (int64_t i = 0; i < n; i++)
		if (!d[i] || !d[i]->final)
			return 0;
	return 1;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t desc,
				       cudnnBackendAttributeName_t name,
				       cudnnBackendAttributeType_t type,
				       int64_t n, const void *values)
{
	cudnnStatus_t e = enter("cudnnBackendSetAttribute");
	struct fake_desc *d = desc;
	const struct rule *r = rules;
	struct fake_attribute *a;
	size_t bytes = (size_t)n * bytes_of(type);

	if (e)
		return e;
	while (r < rules + RULES && (r->of != d->type || r->name != name))
		r++;
	if (r == rules + RULES || d->final || r->type != type || n < 1 ||
	    n < r->least || n > r->most || !are_final(r, n, values))
		return CUDNN_STATUS_BAD_PARAM;
	a = malloc(sizeof(*a) + bytes);
	if (!a)
		return CUDNN_STATUS_ALLOC_FAILED;
	*a = (struct fake_attribute){ d->attributes, name, n };
	memcpy(a->value, values, bytes);
	d->attributes = a;
	return CUDNN_STATUS_SUCCESS;
}

static int is_pack(const struct fake_desc *d)
{
	int64_t n, pointers;
	const int64_t *uid =
		fake_dnn_get(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, &n);

	fake_dnn_get(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &pointers);
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < i; k++)
			if (uid[i] == uid[k])
				return 0;
	return n == pointers;
}

/* A plan is made of a configuration that a heuristic filled in. */
static cudnnStatus_t finalize(struct fake_desc *d)
{
	struct fake_desc *const *config;
	int64_t n;

	if (d->type == CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
		return fake_dnn_read_graph(d) ? CUDNN_STATUS_BAD_PARAM :
						CUDNN_STATUS_SUCCESS;
	if (d->type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
		return is_pack(d) ? CUDNN_STATUS_SUCCESS :
				    CUDNN_STATUS_BAD_PARAM;
	if (d->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
		return CUDNN_STATUS_SUCCESS;
	config = fake_dnn_get(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, &n);
	if (!(*config)->of)
		return CUDNN_STATUS_BAD_PARAM;
	d->of = (*config)->of;
	d->engine = (*config)->engine;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t desc)
{
	cudnnStatus_t e = enter("cudnnBackendFinalize");
	struct fake_desc *d = desc;
	int64_t n;

	for (size_t i = 0; !e && i < RULES; i++)
		if (rules[i].of == d->type && rules[i].least &&
		    !fake_dnn_get(d, rules[i].name, &n))
			e = CUDNN_STATUS_BAD_PARAM;
	if (!e && d->final)
		e = CUDNN_STATUS_BAD_PARAM;
	if (!e)
		e = finalize(d);
	d->final = !e;
	return e;
}

/* Gradients of scores in bf16, of whole tiles, as the last engine wants it. */
static int64_t workspace_of(const struct fake_desc *d)
{
	const struct fake_graph *g = d->of->graph;
	const int64_t *q = g->tensor[0].dim;
	int64_t rows = (q[2] + 127) / 128 * 128;

	if (d->engine == GREEDY)
		return (int64_t)1 << 40;
	return LITTLE_WORKSPACE +
	       (g->n_ops > 16 ? q[0] * q[1] * rows * rows * 2 : 0);
}

static cudnnStatus_t list_configs(struct fake_desc *d, int64_t asked,
				  int64_t *n, struct fake_desc **out)
{
	int64_t size;
	struct fake_desc *const *graph = fake_dnn_get(
		d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, &size);

	*n = ENGINES;
	for (int64_t i = 0; i < asked && i < ENGINES; i++) {
		if (out[i]->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
			return CUDNN_STATUS_BAD_PARAM;
		out[i]->of = *graph;
		out[i]->engine = (int)i;
		out[i]->final = true;
	}
	return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t note_of(const struct fake_desc *engine, int64_t asked,
			     int64_t *n, cudnnBackendNumericalNote_t *out)
{
	*n = engine->engine == HASTY;
	if (*n && asked > 0)
		*out = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t desc,
				       cudnnBackendAttributeName_t name,
				       cudnnBackendAttributeType_t type,
				       int64_t asked, int64_t *n, void *out)
{
	cudnnStatus_t e = enter("cudnnBackendGetAttribute");
	struct fake_desc *d = desc;

	if (e || !d->final)
		return e ? e : CUDNN_STATUS_BAD_PARAM;
	(void)type;
	switch (name) {
	case CUDNN_ATTR_ENGINEHEUR_RESULTS:
		return list_configs(d, asked, n, out);
	case CUDNN_ATTR_ENGINECFG_ENGINE:
		(*(struct fake_desc **)out)->engine = d->engine;
		(*(struct fake_desc **)out)->final = true;
		*n = 1;
		return CUDNN_STATUS_SUCCESS;
	case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
		return note_of(d, asked, n, out);
	case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
	case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
		*(int64_t *)out = workspace_of(d);
		*n = 1;
		return CUDNN_STATUS_SUCCESS;
	default:
		return CUDNN_STATUS_BAD_PARAM;
	}
}

struct job {
	const struct fake_graph *graph;
	void *at[FAKE_DNN_TENSORS];
	float value[FAKE_DNN_TENSORS]; /* of what is no pointer */
	void *workspace;
	size_t workspace_bytes;
};

/* All of the workspace is used: whoever else's it is, is overwritten. */
static void run(void *arg)
{
	struct job *j = arg;

	memset(j->workspace, 0x5a, j->workspace_bytes);
	for (int i = 0; i < j->graph->n_tensors; i++)
		if (j->graph->tensor[i].by_value)
			j->at[i] = &j->value[i];
	fake_dnn_run(j->graph, j->at);
}

static cudnnStatus_t take(struct job *j, int i, void *p)
{
	const struct fake_tensor *t = &j->graph->tensor[i];
	size_t size = t->type == CUDNN_DATA_BFLOAT16 ? 2 : 4;

	if (t->by_value) {
		if (!p || fake_cuda_is_device(p, 1))
			return CUDNN_STATUS_BAD_PARAM;
		memcpy(&j->value[i], p, sizeof(float));
		return CUDNN_STATUS_SUCCESS;
	}
	j->at[i] = p;
	return (uintptr_t)p % 16 == 0 &&
	       fake_cuda_is_device(p, (size_t)fake_dnn_span(t) * size) ?
		       CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

/* Every tensor that is not the graph's own has its pointer. */
static cudnnStatus_t unpack(struct job *j, const struct fake_desc *pack)
{
	int64_t n, m;
	const int64_t *uid =
		fake_dnn_get(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, &n);
	void *const *p =
		fake_dnn_get(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &m);
	cudnnStatus_t e = CUDNN_STATUS_SUCCESS;

	for (int i = 0; !e && i < j->graph->n_tensors; i++) {
		if (j->graph->tensor[i].is_virtual)
			continue;
		m = 0;
		while (m < n && uid[m] != j->graph->tensor[i].uid)
			m++;
		e = m < n ? take(j, i, p[m]) : CUDNN_STATUS_BAD_PARAM;
	}
	return e;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle,
				  cudnnBackendDescriptor_t plan,
				  cudnnBackendDescriptor_t pack)
{
	const struct fake_desc *p = plan, *v = pack;
	cudnnStatus_t e = enter("cudnnBackendExecute");
	cudnnHandle_t const *of;
	void *const *workspace;
	struct job j = { 0 };
	int64_t n;

	if (e || !p->final || !v->final || p->engine != GOOD)
		return e ? e : CUDNN_STATUS_BAD_PARAM;
	of = fake_dnn_get(p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, &n);
	workspace = fake_dnn_get(v, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, &n);
	j.graph = p->of->graph;
	j.workspace = *workspace;
	j.workspace_bytes = (size_t)workspace_of(p);
	if (*of != handle || (uintptr_t)j.workspace % 256 ||
	    !fake_cuda_is_device(j.workspace, j.workspace_bytes))
		return CUDNN_STATUS_BAD_PARAM;
	e = unpack(&j, v);
	if (!e && fake_cuda_run(handle->stream, run, &j, sizeof(j)))
		e = CUDNN_STATUS_EXECUTION_FAILED;
	return e;
}

#endif
