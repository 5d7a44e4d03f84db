/* Queues are streams; events are CUDA's own. */
#include <errno.h>
#include <stdlib.h>

#include "cuda.h"

static int code_of(cudaError_t e)
{
	switch (e) {
	case cudaErrorMemoryAllocation:
		return ENOMEM;
	case cudaErrorNoDevice:
	case cudaErrorInsufficientDriver:
	case cudaErrorNoKernelImageForDevice:
		return ENODEV;
	default:
		return EIO;
	}
}

/* CUDA keeps the last error of a thread, also of a call that one can do without,
 * and a launch is judged by it: what is told here is not told again. */
int cuda_result(const char *call, cudaError_t e, struct pfw_error *err)
{
	if (!e)
		return 0;
	cudaGetLastError();
	return pfw_error_set(err, code_of(e), "cuda: %s: %s", call,
			     cudaGetErrorString(e));
}

void cuda_note(struct cuda_queue *q, const char *call, int e)
{
	if (!e || q->failed_call)
		return;
	q->failed = (cudaError_t)e;
	q->failed_call = call;
}

int cuda_answer(const struct cuda_queue *q, const char *call, cudaError_t e,
		struct pfw_error *err)
{
	if (q->failed_call)
		return cuda_result(q->failed_call, q->failed, err);
	return cuda_result(call, e, err);
}

int cuda_open_queue(void *device, void **queue, struct pfw_error *err)
{
	struct cuda_device *dev = device;
	struct cuda_queue *q = calloc(1, sizeof(*q));
	cudaError_t e;
	int rc;

	if (!q)
		return pfw_error_set(err, ENOMEM, "no memory for a queue");
	q->device = dev;
	/* The default stream would wait for it, and it for the default stream. */
	e = cudaStreamCreateWithFlags(&q->stream, cudaStreamNonBlocking);
	if (e) {
		free(q);
		return cuda_result("cudaStreamCreateWithFlags", e, err);
	}
	rc = cuda_alloc(dev, PFW_CUDA_WORKSPACE + CUDA_ASIDE, &q->workspace,
			err);
	if (rc) {
		cudaStreamDestroy(q->stream);
		free(q);
		return rc;
	}
	*queue = q;
	return 0;
}

void cuda_close_queue(void *queue)
{
	struct cuda_queue *q = queue;

	if (!q)
		return;
	cudaStreamSynchronize(q->stream);
	cuda_free_plans(q);
	cuda_free(q->device, q->workspace);
	cudaStreamDestroy(q->stream);
	free(q);
}

static enum cudaMemcpyKind kind_of(uint32_t direction)
{
	return direction == PFW_COPY_IN	 ? cudaMemcpyHostToDevice :
	       direction == PFW_COPY_OUT ? cudaMemcpyDeviceToHost :
					   cudaMemcpyDeviceToDevice;
}

int cuda_copy(void *queue, void *dst, const void *src, size_t bytes,
	      uint32_t direction, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	return cuda_answer(q, "cudaMemcpyAsync",
			   cudaMemcpyAsync(dst, src, bytes, kind_of(direction),
					   q->stream), err);
}

int cuda_zero(void *queue, void *dst, size_t bytes, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	return cuda_answer(q, "cudaMemsetAsync",
			   cudaMemsetAsync(dst, 0, bytes, q->stream), err);
}

int cuda_sync(void *queue, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	return cuda_answer(q, "a kernel", cudaStreamSynchronize(q->stream), err);
}

int cuda_open_event(void *device, void **event, struct pfw_error *err)
{
	(void)device;
	return cuda_result("cudaEventCreate",
			   cudaEventCreate((cudaEvent_t *)event), err);
}

void cuda_close_event(void *event)
{
	if (event)
		cudaEventDestroy(event);
}

int cuda_record(void *queue, void *event, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	return cuda_answer(q, "cudaEventRecord",
			   cudaEventRecord(event, q->stream), err);
}

int cuda_query(void *event, struct pfw_error *err)
{
	cudaError_t e = cudaEventQuery(event);

	if (e == cudaErrorNotReady) {
		cudaGetLastError();
		return 0;
	}
	return e ? cuda_result("a kernel", e, err) : 1;
}

int cuda_follow(void *queue, void *event, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	return cuda_answer(q, "cudaStreamWaitEvent",
			   cudaStreamWaitEvent(q->stream, event, 0), err);
}

int cuda_elapsed(void *from, void *to, uint64_t *ns, struct pfw_error *err)
{
	float ms = 0;
	int rc = cuda_result("cudaEventElapsedTime",
			     cudaEventElapsedTime(&ms, from, to), err);

	if (!rc)
		*ns = (uint64_t)((double)ms * 1e6);
	return rc;
}

void *cuda_native(void *queue)
{
	return ((struct cuda_queue *)queue)->stream;
}
