/* What a stage enqueues, recorded from the queue's stream and launched as one. */
#include "cuda.h"

/* By the calling thread alone: others, of other ranks, go on as they like. */
int cuda_begin_graph(void *queue, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	if (q->failed_call)
		return cuda_result(q->failed_call, q->failed, err);
	return cuda_result("cudaStreamBeginCapture",
			   cudaStreamBeginCapture(
				   q->stream, cudaStreamCaptureModeThreadLocal),
			   err);
}

/* Nothing of it was enqueued, so what a kernel said is no fault of the queue. */
static int refused(struct cuda_queue *q, struct pfw_error *err)
{
	int rc = cuda_result(q->failed_call, q->failed, err);

	q->failed_call = NULL;
	return rc;
}

int cuda_end_graph(void *queue, void **graph, struct pfw_error *err)
{
	struct cuda_queue *q = queue;
	cudaGraph_t recorded = NULL;
	cudaGraphExec_t exec = NULL;
	cudaError_t e = cudaStreamEndCapture(q->stream, &recorded);
	int rc = q->failed_call ? refused(q, err) :
				  cuda_result("cudaStreamEndCapture", e, err);

	if (!rc)
		rc = cuda_result("cudaGraphInstantiate",
				 cudaGraphInstantiateWithFlags(&exec, recorded,
							       0),
				 err);
	if (recorded)
		cudaGraphDestroy(recorded);
	if (rc)
		return rc;
	*graph = exec;
	return 0;
}

int cuda_run_graph(void *queue, void *graph, struct pfw_error *err)
{
	struct cuda_queue *q = queue;

	return cuda_answer(q, "cudaGraphLaunch",
			   cudaGraphLaunch(graph, q->stream), err);
}

void cuda_close_graph(void *graph)
{
	cudaGraphExecDestroy(graph);
}
