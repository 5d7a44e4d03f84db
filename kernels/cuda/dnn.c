/* cuDNN's library and, for each queue, its handle and plans. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"
#include "dnn.h"

#ifdef HAVE_CUDNN

#include <float.h>
#include <math.h>

struct cuda_dnn {
	struct cuda_dnn_lib lib;
	cudnnHandle_t handle;
	struct cuda_dnn_plan *plans;
};

int cuda_dnn_version(size_t *version, struct pfw_error *err)
{
	struct cuda_dnn_lib lib;
	int rc = cuda_dnn_load(&lib, err);

	if (!rc)
		*version = lib.GetVersion();
	return rc;
}

/* Where attention is first asked for: other queues only copy. */
static struct cuda_dnn *open_dnn(struct cuda_queue *q)
{
	struct cuda_dnn *dnn = calloc(1, sizeof(*dnn));

	if (!dnn)
		return NULL;
	if (cuda_dnn_load(&dnn->lib, NULL) || dnn->lib.Create(&dnn->handle)) {
		free(dnn);
		return NULL;
	}
	if (dnn->lib.SetStream(dnn->handle, q->stream)) {
		cuda_dnn_close(dnn);
		return NULL;
	}
	return dnn;
}

void cuda_dnn_close(struct cuda_dnn *dnn)
{
	if (!dnn)
		return;
	while (dnn->plans) {
		struct cuda_dnn_plan *p = dnn->plans;

		dnn->plans = p->next;
		cuda_dnn_destroy(&dnn->lib, p);
		free(p);
	}
	dnn->lib.Destroy(dnn->handle);
	free(dnn);
}

/* Its workspace is of the device's memory, and goes with it. */
static struct cuda_dnn_plan *make(struct cuda_queue *q,
				  const struct cuda_dnn_shape *shape)
{
	struct cuda_dnn *dnn = q->dnn;
	struct cuda_dnn_plan *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->shape = *shape;
	p->next = dnn->plans;
	dnn->plans = p;
	if (!cuda_dnn_build(&dnn->lib, dnn->handle, NULL, p) &&
	    p->workspace_bytes &&
	    cuda_alloc(q->device, p->workspace_bytes, &p->workspace, NULL))
		p->plan = NULL;
	return p;
}

static struct cuda_dnn_plan *find(struct cuda_queue *q,
				  const struct cuda_dnn_shape *shape)
{
	for (struct cuda_dnn_plan *p = q->dnn->plans; p; p = p->next)
		if (!memcmp(&p->shape, shape, sizeof(*shape)))
			return p;
	return make(q, shape);
}

/* What a graph of either kind has, under its numbers. */
static cudnnStatus_t execute(struct cuda_queue *q, struct cuda_dnn_plan *p,
			     const int64_t *uids, void *const *pointers,
			     int64_t n)
{
	const struct cuda_dnn_lib *lib = &q->dnn->lib;
	cudnnBackendDescriptor_t pack;
	cudnnStatus_t e = lib->BackendCreateDescriptor(
		CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);

	if (e)
		return e;
	e = lib->BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS,
				     CUDNN_TYPE_INT64, n, uids);
	if (!e)
		e = lib->BackendSetAttribute(
			pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
			CUDNN_TYPE_VOID_PTR, n, pointers);
	if (!e)
		e = lib->BackendSetAttribute(
			pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
			CUDNN_TYPE_VOID_PTR, 1, &p->workspace);
	if (!e)
		e = lib->BackendFinalize(pack);
	if (!e)
		e = lib->BackendExecute(q->dnn->handle, p->plan, pack);
	lib->BackendDestroyDescriptor(pack);
	return e;
}

void cuda_dnn_attention(struct cuda_queue *q, const struct pfw_attention *a,
			int backward)
{
	const struct cuda_dnn_shape shape = { a->batch, a->seq, a->heads,
					      a->head_size,
					      (uint32_t)backward };
	static const int64_t uids[] = {
		DNN_Q, DNN_K, DNN_V, DNN_OUT, DNN_STATS, DNN_SCALE, DNN_MASKED,
		DNN_GRAD_OUT, DNN_GRAD_Q, DNN_GRAD_K, DNN_GRAD_V, DNN_SUMS,
		DNN_ONE,
	};
	size_t part = (size_t)a->heads * a->head_size * 2; /* bf16 */
	float scale = 1.0f / sqrtf((float)a->head_size);
	float masked = -FLT_MAX, one = 1;
	char *qkv = (char *)(uintptr_t)a->qkv, *grad = a->grad_qkv;
	void *pointers[] = {
		qkv, qkv + part, qkv + 2 * part, a->out, a->stats, &scale,
		&masked, (void *)(uintptr_t)a->grad_out, grad,
		backward ? grad + part : NULL, backward ? grad + 2 * part : NULL,
		q->workspace, &one,
	};
	struct cuda_dnn_plan *p;

	if (!q->dnn)
		q->dnn = open_dnn(q);
	p = q->dnn ? find(q, &shape) : NULL;
	if (!q->dnn)
		cuda_note(q, "cuDNN does not start", cudaErrorNotSupported);
	else if (!p || !p->plan)
		cuda_note(q, "cuDNN has no attention of this shape: leave out "
			  "attention = \"cudnn\"", cudaErrorNotSupported);
	else if (execute(q, p, uids, pointers, backward ? 13 : 7))
		cuda_note(q, "cudnnBackendExecute", cudaErrorLaunchFailure);
}

#else

int cuda_dnn_version(size_t *version, struct pfw_error *err)
{
	(void)version;
	return pfw_error_set(err, ENOTSUP,
			     "cuda: attention = \"cudnn\": this pipefw was built "
			     "without cudnn.h of 9.8 or newer: install cuDNN 9 "
			     "beside the CUDA toolkit and build it again, or "
			     "leave the option out");
}

void cuda_dnn_close(struct cuda_dnn *dnn)
{
	(void)dnn;
}

void cuda_dnn_attention(struct cuda_queue *q, const struct pfw_attention *a,
			int backward)
{
	(void)a;
	(void)backward;
	cuda_note(q, "attention", cudaErrorNotSupported);
}

#endif
