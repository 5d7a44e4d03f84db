/* The stand-in's streams and events: a stream is a thread and its queue. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda/fake_impl.h"

enum { RUN, COPY, SET, RECORD, WAIT, WRITE_WORD, WAIT_WORD, REPLAY };

#define NAP_NS 10000 /* between looks at a word, which another process writes */

struct CUevent_st {
	uint64_t asked, done; /* records */
	uint64_t time_ns;     /* of the last that is done */
	unsigned users;       /* who holds it: the caller, and work in queues */
};

struct work {
	struct work *next;
	int type, value;
	cudaHostFn_t run;
	void *dst;
	const void *src;
	size_t bytes;
	struct CUevent_st *event;
	uint64_t nth; /* of the event's records; of a word its value */
	void *staged; /* what was pageable: copied when it was asked for; or
			 what run() is given */
	struct CUgraphExec_st *graph;
};

/* Captured work, in its order. */
struct CUgraph_st {
	struct work *first, **last;
};

/* The same graph: what is captured is not changed afterwards. */
struct CUgraphExec_st {
	struct CUgraph_st *graph;
};

struct CUstream_st {
	struct CUstream_st *next;
	pthread_t thread;
	struct work *first, **last;
	int busy, closing;
	uint64_t random;
	struct CUgraph_st *capture; /* NULL: work is done */
	int invalid;                /* the capture */
	pthread_t captor;
};

static struct CUstream_st *streams;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

/* Most work is at once, some of it is late. */
static void delay(struct CUstream_st *s)
{
	uint64_t most = number("FAKE_CUDA_DELAY");
	struct timespec t = { 0, 0 };

	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	if (!most || s->random % 4)
		return;
	t.tv_nsec = (long)((s->random >> 8) % most * 1000);
	nanosleep(&t, NULL);
}

/* The lock is held. */
static void put_event(struct CUevent_st *e)
{
	if (--e->users == 0)
		free(e);
}

static void record_or_wait(struct work *w)
{
	pthread_mutex_lock(&fake_lock);
	if (w->type == RECORD) {
		w->event->done = w->nth;
		w->event->time_ns = now();
		pthread_cond_broadcast(&fake_changed);
	}
	while (w->type == WAIT && w->event->done < w->nth)
		pthread_cond_wait(&fake_changed, &fake_lock);
	put_event(w->event);
	pthread_mutex_unlock(&fake_lock);
}

static void wait_word(const struct work *w)
{
	_Atomic uint64_t *word = w->dst;
	const struct timespec nap = { 0, NAP_NS };

	while ((int64_t)(atomic_load(word) - w->nth) < 0)
		nanosleep(&nap, NULL);
}

static void perform(struct work *w);

static void replay(const struct CUgraphExec_st *exec)
{
	for (struct work *w = exec->graph->first; w; w = w->next)
		perform(w);
}

static void perform(struct work *w)
{
	switch (w->type) {
	case RUN:
		if (!number("FAKE_CUDA_IDLE"))
			w->run(w->staged ? w->staged : w->dst);
		break;
	case REPLAY:
		replay(w->graph);
		break;
	case COPY:
		memmove(w->dst, w->src, w->bytes);
		break;
	case SET:
		memset(w->dst, w->value, w->bytes);
		break;
	case WRITE_WORD:
		atomic_store((_Atomic uint64_t *)w->dst, w->nth);
		break;
	case WAIT_WORD:
		wait_word(w);
		break;
	default:
		record_or_wait(w);
	}
}

static void discard(struct work *w)
{
	free(w->staged);
	free(w);
}

static void *stream_main(void *arg)
{
	struct CUstream_st *s = arg;
	struct work *w;

	pthread_mutex_lock(&fake_lock);
	for (;;) {
		while (!s->first && !s->closing)
			pthread_cond_wait(&fake_changed, &fake_lock);
		if (!s->first)
			break;
		w = s->first;
		s->first = w->next;
		if (!s->first)
			s->last = &s->first;
		s->busy = 1;
		pthread_mutex_unlock(&fake_lock);
		delay(s);
		perform(w);
		discard(w);
		pthread_mutex_lock(&fake_lock);
		s->busy = 0;
		if (!s->first)
			pthread_cond_broadcast(&fake_changed);
	}
	pthread_mutex_unlock(&fake_lock);
	return NULL;
}

/* The lock is held. */
static void sync_one(struct CUstream_st *s)
{
	while (s->first || s->busy)
		pthread_cond_wait(&fake_changed, &fake_lock);
}

void fake_sync_all(void)
{
	pthread_mutex_lock(&fake_lock);
	for (struct CUstream_st *s = streams; s; s = s->next)
		sync_one(s);
	pthread_mutex_unlock(&fake_lock);
}

/* The stream of number 0 is in order with all others: so it waits, and works at
 * once. */
static cudaError_t enqueue(struct CUstream_st *s, const struct work *what)
{
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return cudaErrorMemoryAllocation;
	*w = *what;
	w->next = NULL;
	if (!s) {
		fake_sync_all();
		perform(w);
		discard(w);
		return cudaSuccess;
	}
	pthread_mutex_lock(&fake_lock);
	if (s->capture) {
		*s->capture->last = w;
		s->capture->last = &w->next;
		pthread_mutex_unlock(&fake_lock);
		return cudaSuccess;
	}
	*s->last = w;
	s->last = &w->next;
	pthread_cond_broadcast(&fake_changed);
	pthread_mutex_unlock(&fake_lock);
	return cudaSuccess;
}

/* What may not be asked of a stream while it is captured spoils the capture. */
static cudaError_t not_captured(struct CUstream_st *s)
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

/* Nor what the thread may not do meanwhile (cudaStreamCaptureModeThreadLocal). */
cudaError_t fake_unsafe(void)
{
	cudaError_t e = cudaSuccess;

	pthread_mutex_lock(&fake_lock);
	for (struct CUstream_st *s = streams; s; s = s->next)
		if (s->capture && pthread_equal(s->captor, pthread_self())) {
			s->invalid = 1;
			e = cudaErrorStreamCaptureUnsupported;
		}
	pthread_mutex_unlock(&fake_lock);
	return e;
}

static cudaError_t open_stream(cudaStream_t *out)
{
	struct CUstream_st *s = calloc(1, sizeof(*s));

	if (!s)
		return cudaErrorMemoryAllocation;
	s->last = &s->first;
	pthread_mutex_lock(&fake_lock);
	s->random = number("FAKE_CUDA_SEED") * 2654435761u + 88172645463325252u;
	for (struct CUstream_st *other = streams; other; other = other->next)
		s->random += 0x9e3779b97f4a7c15u;
	if (pthread_create(&s->thread, NULL, stream_main, s)) {
		pthread_mutex_unlock(&fake_lock);
		free(s);
		return cudaErrorMemoryAllocation;
	}
	s->next = streams;
	streams = s;
	pthread_mutex_unlock(&fake_lock);
	fake_count(1);
	*out = s;
	return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
	cudaError_t e = fake_enter("cudaStreamCreateWithFlags");

	(void)flags;
	return e ? e : fake_leave(open_stream(out));
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags,
					 int priority)
{
	cudaError_t e = fake_enter("cudaStreamCreateWithPriority");

	(void)flags;
	(void)priority;
	return e ? e : fake_leave(open_stream(out));
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
	cudaError_t e = fake_enter("cudaStreamCreate");

	return e ? e : fake_leave(open_stream(out));
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaStreamDestroy");
	struct CUstream_st **at = &streams;

	if (e)
		return e;
	if (!s)
		return fake_leave(cudaErrorInvalidResourceHandle);
	pthread_mutex_lock(&fake_lock);
	s->closing = 1;
	pthread_cond_broadcast(&fake_changed);
	pthread_mutex_unlock(&fake_lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&fake_lock);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	pthread_mutex_unlock(&fake_lock);
	free(s);
	fake_count(-1);
	return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaStreamSynchronize");

	if (!e)
		e = fake_leave(not_captured(s));
	if (e)
		return e;
	if (!s) {
		fake_sync_all();
		return cudaSuccess;
	}
	pthread_mutex_lock(&fake_lock);
	sync_one(s);
	pthread_mutex_unlock(&fake_lock);
	return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaStreamQuery");
	int busy;

	if (!e)
		e = fake_leave(not_captured(s));
	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	busy = s && (s->first || s->busy);
	pthread_mutex_unlock(&fake_lock);
	return busy ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
	cudaError_t e = fake_enter("cudaDeviceSynchronize");

	if (!e)
		fake_sync_all();
	return e;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t fn, void *data)
{
	cudaError_t e = fake_enter("cudaLaunchHostFunc");
	struct work w = { .type = RUN, .run = fn, .dst = data };

	return e ? e : fake_leave(enqueue(s, &w));
}

/* The kind is what the two ends are; one that says otherwise is refused. */
static int fits(const void *dst, const void *src, size_t bytes,
		enum cudaMemcpyKind kind)
{
	int to = fake_cuda_is_device(dst, bytes);
	int from = fake_cuda_is_device(src, bytes);

	switch (kind) {
	case cudaMemcpyHostToHost:
		return !to && !from;
	case cudaMemcpyHostToDevice:
		return to && !from;
	case cudaMemcpyDeviceToHost:
		return !to && from;
	case cudaMemcpyDeviceToDevice:
		return to && from;
	default:
		return 1;
	}
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes,
			    enum cudaMemcpyKind kind, cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaMemcpyAsync");
	struct work w = { .type = COPY, .dst = dst, .src = src, .bytes = bytes };

	if (e || !bytes)
		return e;
	if (!fits(dst, src, bytes, kind))
		return fake_leave(cudaErrorInvalidValue);
	/* Pageable memory: read before the call returns, written before it
	 * does. */
	if (fake_type(src, bytes) == cudaMemoryTypeUnregistered) {
		w.staged = malloc(bytes);
		if (!w.staged)
			return fake_leave(cudaErrorMemoryAllocation);
		memcpy(w.staged, src, bytes);
		w.src = w.staged;
	}
	e = enqueue(s, &w);
	if (!e && fake_type(dst, bytes) == cudaMemoryTypeUnregistered)
		e = cudaStreamSynchronize(s);
	return fake_leave(e);
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes,
		       enum cudaMemcpyKind kind)
{
	cudaError_t e = fake_enter("cudaMemcpy");

	return e ? e : cudaMemcpyAsync(dst, src, bytes, kind, NULL);
}

cudaError_t cudaMemsetAsync(void *dst, int value, size_t bytes, cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaMemsetAsync");
	struct work w = { .type = SET, .dst = dst, .value = value,
			  .bytes = bytes };

	if (e || !bytes)
		return e;
	if (!fake_cuda_is_device(dst, bytes))
		return fake_leave(cudaErrorInvalidValue);
	return fake_leave(enqueue(s, &w));
}

cudaError_t cudaMemset(void *dst, int value, size_t bytes)
{
	cudaError_t e = fake_enter("cudaMemset");

	return e ? e : cudaMemsetAsync(dst, value, bytes, NULL);
}

static cudaError_t open_event(cudaEvent_t *out)
{
	struct CUevent_st *event = calloc(1, sizeof(*event));

	if (!event)
		return cudaErrorMemoryAllocation;
	event->users = 1;
	fake_count(1);
	*out = event;
	return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
	cudaError_t e = fake_enter("cudaEventCreateWithFlags");

	(void)flags;
	return e ? e : fake_leave(open_event(out));
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
	cudaError_t e = fake_enter("cudaEventCreate");

	return e ? e : fake_leave(open_event(out));
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
	cudaError_t e = fake_enter("cudaEventDestroy");

	if (e)
		return e;
	if (!event)
		return fake_leave(cudaErrorInvalidResourceHandle);
	pthread_mutex_lock(&fake_lock);
	put_event(event);
	pthread_mutex_unlock(&fake_lock);
	fake_count(-1);
	return cudaSuccess;
}

/* What is waited for is the last record that was asked for until now. */
static cudaError_t use_event(cudaStream_t s, cudaEvent_t event, int type)
{
	struct work w = { .type = type, .event = event };

	pthread_mutex_lock(&fake_lock);
	event->users++;
	event->asked += type == RECORD;
	w.nth = event->asked;
	pthread_mutex_unlock(&fake_lock);
	return enqueue(s, &w);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaEventRecord");

	if (!e)
		e = not_captured(s); /* it may, but the event is then the graph's */
	return e ? fake_leave(e) : fake_leave(use_event(s, event, RECORD));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event,
				unsigned flags)
{
	cudaError_t e = fake_enter("cudaStreamWaitEvent");

	(void)flags;
	if (!e)
		e = not_captured(s); /* of what was recorded outside of it */
	return e ? fake_leave(e) : fake_leave(use_event(s, event, WAIT));
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
	cudaError_t e = fake_enter("cudaEventQuery");
	int done;

	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	done = event->done == event->asked;
	pthread_mutex_unlock(&fake_lock);
	return done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
	cudaError_t e = fake_enter("cudaEventSynchronize");

	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	while (event->done < event->asked)
		pthread_cond_wait(&fake_changed, &fake_lock);
	pthread_mutex_unlock(&fake_lock);
	return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
	cudaError_t e = fake_enter("cudaEventElapsedTime");

	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	if (!from->asked || !to->asked)
		e = cudaErrorInvalidResourceHandle;
	else if (from->done < from->asked || to->done < to->asked)
		e = cudaErrorNotReady;
	else
		*ms = (float)((double)(int64_t)(to->time_ns - from->time_ns) /
			      1e6);
	pthread_mutex_unlock(&fake_lock);
	return fake_leave(e);
}

/* Only in memory that CUDA knows. */
static int use_word(const char *call, int type, cudaStream_t s,
		    unsigned long long at, unsigned long long value)
{
	struct work w = { .type = type, .dst = (void *)(uintptr_t)at,
			  .nth = value };

	if (at % 8 || fake_type(w.dst, 8) == cudaMemoryTypeUnregistered)
		return (int)fake_leave(cudaErrorInvalidValue);
	return (int)fake_enter(call) ? (int)cudaErrorUnknown :
				       (int)enqueue(s, &w);
}

int fake_cuda_write_value(cudaStream_t s, unsigned long long at,
			  unsigned long long value, unsigned flags)
{
	return flags ? (int)cudaErrorInvalidValue :
		       use_word("cuStreamWriteValue64", WRITE_WORD, s, at, value);
}

int fake_cuda_wait_value(cudaStream_t s, unsigned long long at,
			 unsigned long long value, unsigned flags)
{
	return flags ? (int)cudaErrorInvalidValue :
		       use_word("cuStreamWaitValue64", WAIT_WORD, s, at, value);
}

static void free_graph(struct CUgraph_st *graph)
{
	while (graph->first) {
		struct work *w = graph->first;

		graph->first = w->next;
		discard(w);
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
	if (!s || mode != cudaStreamCaptureModeThreadLocal || not_captured(s))
		return fake_leave(cudaErrorStreamCaptureUnsupported);
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

	return e ? e : fake_leave(enqueue(s, &w));
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

cudaError_t fake_cuda_run(cudaStream_t s, void (*run)(void *), const void *arg,
			  size_t bytes)
{
	struct work w = { .type = RUN, .run = run, .staged = malloc(bytes) };

	if (!w.staged)
		return cudaErrorMemoryAllocation;
	memcpy(w.staged, arg, bytes);
	return fake_leave(enqueue(s, &w));
}
