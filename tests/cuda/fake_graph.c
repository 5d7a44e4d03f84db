/* The stand-in's graphs: work that was captured, to be done as often as wanted. */
#include <stdlib.h>

#include "cuda/fake_stream.h"

/* What may not be asked of a stream while it is captured spoils the capture. */
cudaError_t fake_not_captured(struct CUstream_st *s)
{
	cudaError_t e = cudaSuccess;

	pthread_mutex_lock(&fake_lock);
	if (s && s->capture) {
		s->invalid = 1;
		e = cudaErrorStreamCaptureUnsupported;
	}
	pthread_mutex_unlock(&fake_lock);
	return e;
}

void fake_replay(const struct CUgraphExec_st *exec)
{
	for (struct work *w = exec->graph->first; w; w = w->next)
		fake_perform(w);
}

static void free_graph(struct CUgraph_st *graph)
{
	while (graph->first) {
		struct work *w = graph->first;

		graph->first = w->next;
		fake_discard(w);
	}
	free(graph);
	fake_count(-1);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s,
				   enum cudaStreamCaptureMode mode)
{
	cudaError_t e = fake_enter("cudaStreamBeginCapture");
	struct CUgraph_st *graph;

	if (e)
		return e;
	if (!s || mode != cudaStreamCaptureModeThreadLocal || fake_not_captured(s))
		return fake_leave(cudaErrorStreamCaptureUnsupported);
	/* Whatever anybody asks of the stream of number 0 would spoil it. */
	if (s->blocking)
		return fake_leave(cudaErrorStreamCaptureImplicit);
	graph = calloc(1, sizeof(*graph));
	if (!graph)
		return fake_leave(cudaErrorMemoryAllocation);
	graph->last = &graph->first;
	fake_count(1);
	pthread_mutex_lock(&fake_lock);
	s->capture = graph;
	s->invalid = 0;
	s->captor = pthread_self();
	pthread_mutex_unlock(&fake_lock);
	return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out)
{
	cudaError_t e = fake_enter("cudaStreamEndCapture");
	struct CUgraph_st *graph = NULL;

	pthread_mutex_lock(&fake_lock);
	if (s)
		graph = s->capture;
	if (!graph)
		e = cudaErrorIllegalState;
	else if (!pthread_equal(s->captor, pthread_self()))
		e = cudaErrorStreamCaptureWrongThread;
	else if (!e && s->invalid)
		e = cudaErrorStreamCaptureInvalidated;
	if (graph && e != cudaErrorStreamCaptureWrongThread)
		s->capture = NULL;
	pthread_mutex_unlock(&fake_lock);
	*out = e ? NULL : graph;
	if (graph && e)
		free_graph(graph);
	return fake_leave(e);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out,
					  cudaGraph_t graph,
					  unsigned long long flags)
{
	cudaError_t e = fake_enter("cudaGraphInstantiateWithFlags");
	struct CUgraphExec_st *exec;

	(void)flags;
	if (e)
		return e;
	exec = calloc(1, sizeof(*exec));
	if (!exec)
		return fake_leave(cudaErrorMemoryAllocation);
	exec->graph = calloc(1, sizeof(*exec->graph));
	if (!exec->graph) {
		free(exec);
		return fake_leave(cudaErrorMemoryAllocation);
	}
	/* The one that was captured keeps nothing: it is of no more use. */
	*exec->graph = *graph;
	graph->first = NULL;
	fake_count(1);
	*out = exec;
	return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	cudaError_t e = fake_enter("cudaGraphDestroy");

	if (!e)
		free_graph(graph);
	return e;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaGraphLaunch");
	struct work w = { .type = REPLAY, .graph = exec };

	return e ? e : fake_leave(fake_enqueue(s, &w));
}

/* Work that has been enqueued may be it. */
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	cudaError_t e = fake_enter("cudaGraphExecDestroy");

	if (e)
		return e;
	fake_sync_all();
	free_graph(exec->graph);
	free(exec);
	return cudaSuccess;
}
