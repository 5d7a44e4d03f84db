/* Attention of a device by cuDNN: its handle, its plans and their workspace. */
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
	cudaStream_t stream; /* that the handle has */
	struct cuda_dnn_plan plan[2]; /* forward, backward */
	struct cuda_device *device;
	void *workspace; /* of either */
};

static struct cuda_dnn_shape shape_of(const struct pfw_attention *a,
				      int backward)
{
	return (struct cuda_dnn_shape){ a->batch, a->seq, a->heads,
					a->head_size, (uint32_t)backward };
}

uint64_t cuda_dnn_bytes(const struct pfw_attention *a)
{
	const struct cuda_dnn_shape shape = shape_of(a, 1);

	return cuda_dnn_workspace(&shape);
}

int cuda_dnn_there(void)
{
	struct cuda_dnn_lib lib;

	return !cuda_dnn_load(&lib, NULL);
}

size_t cuda_dnn_version(const struct cuda_dnn *dnn)
{
	return dnn->lib.GetVersion();
}

static int build(struct cuda_dnn *dnn, const struct pfw_attention *a,
		 int backward, struct pfw_error *err)
{
	struct cuda_dnn_plan *p = &dnn->plan[backward];
	const size_t version = cuda_dnn_version(dnn);

	p->shape = shape_of(a, backward);
	if (!cuda_dnn_build(&dnn->lib, dnn->handle, NULL, p))
		return 0;
	return pfw_error_set(err, ENOTSUP,
			     "cuDNN %zu.%zu has no %s attention for "
			     "microbatch_size = %u, context = %u, heads = %u of "
			     "%u: %s", version / 10000, version / 100 % 100,
			     backward ? "backward" : "forward", a->batch,
			     a->seq, a->heads, a->head_size, p->why);
}

static int build_both(struct cuda_dnn *dnn, const struct pfw_attention *a,
		      struct pfw_error *err)
{
	size_t bytes;
	int rc = build(dnn, a, 0, err);

	if (!rc)
		rc = build(dnn, a, 1, err);
	if (rc)
		return rc;
	bytes = dnn->plan[0].workspace_bytes;
	if (bytes < dnn->plan[1].workspace_bytes)
		bytes = dnn->plan[1].workspace_bytes;
	return bytes ? cuda_alloc(dnn->device, bytes, &dnn->workspace, err) : 0;
}

int cuda_dnn_open(struct cuda_device *dev, const struct pfw_attention *a,
		  struct cuda_dnn **out, struct pfw_error *err)
{
	struct cuda_dnn *dnn = calloc(1, sizeof(*dnn));
	cudnnStatus_t e;
	int rc;

	if (!dnn)
		return pfw_error_set(err, ENOMEM, "out of memory");
	dnn->device = dev;
	rc = cuda_dnn_load(&dnn->lib, err);
	if (rc) {
		free(dnn);
		return rc;
	}
	e = dnn->lib.Create(&dnn->handle);
	if (e) {
		free(dnn);
		return pfw_error_set(err, ENODEV,
				     "cudnnCreate gives status %d: cuDNN does "
				     "not start on this card", (int)e);
	}
	rc = build_both(dnn, a, err);
	if (rc)
		cuda_dnn_close(dnn);
	else
		*out = dnn;
	return rc;
}

void cuda_dnn_close(struct cuda_dnn *dnn)
{
	if (!dnn)
		return;
	for (int i = 0; i < 2; i++)
		cuda_dnn_destroy(&dnn->lib, &dnn->plan[i]);
	dnn->lib.Destroy(dnn->handle);
	cuda_free(dnn->device, dnn->workspace);
	free(dnn);
}

/* What a graph of either kind has, under its numbers. */
static cudnnStatus_t execute(struct cuda_dnn *dnn,
			     const struct cuda_dnn_plan *p, const int64_t *uids,
			     void *const *pointers, int64_t n)
{
	const struct cuda_dnn_lib *lib = &dnn->lib;
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
			CUDNN_TYPE_VOID_PTR, 1, &dnn->workspace);
	if (!e)
		e = lib->BackendFinalize(pack);
	if (!e)
		e = lib->BackendExecute(dnn->handle, p->plan, pack);
	lib->BackendDestroyDescriptor(pack);
	return e;
}

/* One queue computes: this is done once, before anything is captured. */
static cudnnStatus_t take_stream(struct cuda_dnn *dnn, cudaStream_t stream)
{
	cudnnStatus_t e = CUDNN_STATUS_SUCCESS;

	if (dnn->stream != stream)
		e = dnn->lib.SetStream(dnn->handle, stream);
	if (!e)
		dnn->stream = stream;
	return e;
}

int cuda_dnn_attention(struct cuda_queue *q, const struct pfw_attention *a,
		       int backward)
{
	struct cuda_dnn *dnn = q->device->dnn;
	const struct cuda_dnn_shape shape = shape_of(a, backward);
	const struct cuda_dnn_plan *p = &dnn->plan[backward];
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

	if (memcmp(&p->shape, &shape, sizeof(shape)))
		return -1;
	if (take_stream(dnn, q->stream) ||
	    execute(dnn, p, uids, pointers, backward ? 13 : 7))
		cuda_note(q, "cudnnBackendExecute", cudaErrorLaunchFailure);
	return 0;
}

#else

int cuda_dnn_open(struct cuda_device *dev, const struct pfw_attention *a,
		  struct cuda_dnn **out, struct pfw_error *err)
{
	(void)dev;
	(void)a;
	(void)out;
	return pfw_error_set(err, ENOTSUP, "this pipefw was built without "
			     "cudnn.h of 9.8 or newer: install cuDNN 9 beside "
			     "the CUDA toolkit and build it again");
}

uint64_t cuda_dnn_bytes(const struct pfw_attention *a)
{
	(void)a;
	return 0;
}

int cuda_dnn_there(void)
{
	return 0;
}

size_t cuda_dnn_version(const struct cuda_dnn *dnn)
{
	(void)dnn;
	return 0;
}

void cuda_dnn_close(struct cuda_dnn *dnn)
{
	(void)dnn;
}

int cuda_dnn_attention(struct cuda_queue *q, const struct pfw_attention *a,
		       int backward)
{
	(void)q;
	(void)a;
	(void)backward;
	return -1;
}

#endif
