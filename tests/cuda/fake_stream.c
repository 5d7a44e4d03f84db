/* The stand-in's streams: a stream is a thread and its queue. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda/fake_stream.h"

#define NAP_NS 10000 /* between looks at a word, which another process writes */

static struct CUstream_st *streams;

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

static void wait_word(const struct work *w)
{
	_Atomic uint64_t *word = w->dst;
	const struct timespec nap = { 0, NAP_NS };

	while ((int64_t)(atomic_load(word) - w->nth) < 0)
		nanosleep(&nap, NULL);
}

void fake_perform(struct work *w)
{
	switch (w->type) {
	case RUN:
		if (!number("FAKE_CUDA_IDLE"))
			w->run(w->staged ? w->staged : w->dst);
		break;
	case REPLAY:
		fake_replay(w->graph);
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
		fake_record_or_wait(w);
	}
}

void fake_discard(struct work *w)
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
		fake_perform(w);
		fake_discard(w);
		pthread_mutex_lock(&fake_lock);
		s->busy = 0;
		if (!s->first)
			pthread_cond_broadcast(&fake_changed);
	}
	pthread_mutex_unlock(&fake_lock);
	return NULL;
}

/* The lock is held, but not while it waits: who destroys the stream then waits for
 * the watchers. */
static void sync_one(struct CUstream_st *s)
{
	s->watchers++;
	while (s->first || s->busy)
		pthread_cond_wait(&fake_changed, &fake_lock);
	if (!--s->watchers)
		pthread_cond_broadcast(&fake_changed);
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
cudaError_t fake_enqueue(struct CUstream_st *s, const struct work *what)
{
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return cudaErrorMemoryAllocation;
	*w = *what;
	w->next = NULL;
	if (!s) {
		fake_sync_all();
		fake_perform(w);
		fake_discard(w);
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

cudaError_t fake_enter_safe(const char *call)
{
	cudaError_t e = fake_enter(call);

	pthread_mutex_lock(&fake_lock);
	for (struct CUstream_st *s = streams; s; s = s->next)
		if (s->capture && pthread_equal(s->captor, pthread_self())) {
			s->invalid = 1;
			e = cudaErrorStreamCaptureUnsupported;
		}
	pthread_mutex_unlock(&fake_lock);
	return fake_leave(e);
}

static cudaError_t start_stream(cudaStream_t *out, unsigned flags)
{
	struct CUstream_st *s = calloc(1, sizeof(*s));

	if (!s)
		return cudaErrorMemoryAllocation;
	s->last = &s->first;
	s->blocking = !(flags & cudaStreamNonBlocking);
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

static cudaError_t open_stream(const char *call, cudaStream_t *out,
			       unsigned flags)
{
	cudaError_t e = fake_enter(call);

	return e ? e : fake_leave(start_stream(out, flags));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
	return open_stream("cudaStreamCreateWithFlags", out, flags);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags,
					 int priority)
{
	(void)priority;
	return open_stream("cudaStreamCreateWithPriority", out, flags);
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
	return open_stream("cudaStreamCreate", out, cudaStreamDefault);
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
	while (s->watchers)
		pthread_cond_wait(&fake_changed, &fake_lock);
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
		e = fake_leave(fake_not_captured(s));
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
		e = fake_leave(fake_not_captured(s));
	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	busy = s && (s->first || s->busy);
	pthread_mutex_unlock(&fake_lock);
	return fake_leave(busy ? cudaErrorNotReady : cudaSuccess);
}

cudaError_t cudaDeviceSynchronize(void)
{
	cudaError_t e = fake_enter_safe("cudaDeviceSynchronize");

	if (!e)
		fake_sync_all();
	return e;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t fn, void *data)
{
	cudaError_t e = fake_enter("cudaLaunchHostFunc");
	struct work w = { .type = RUN, .run = fn, .dst = data };

	return e ? e : fake_leave(fake_enqueue(s, &w));
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
	/* What is pageable is not there any more when a graph runs. */
	if (fake_type(src, bytes) == cudaMemoryTypeUnregistered ||
	    fake_type(dst, bytes) == cudaMemoryTypeUnregistered)
		e = fake_not_captured(s);
	if (e)
		return fake_leave(e);
	/* Pageable memory: read before the call returns, written before it
	 * does. */
	if (fake_type(src, bytes) == cudaMemoryTypeUnregistered) {
		w.staged = malloc(bytes);
		if (!w.staged)
			return fake_leave(cudaErrorMemoryAllocation);
		memcpy(w.staged, src, bytes);
		w.src = w.staged;
	}
	e = fake_enqueue(s, &w);
	if (!e && fake_type(dst, bytes) == cudaMemoryTypeUnregistered)
		e = cudaStreamSynchronize(s);
	return fake_leave(e);
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes,
		       enum cudaMemcpyKind kind)
{
	cudaError_t e = fake_enter_safe("cudaMemcpy");

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
	return fake_leave(fake_enqueue(s, &w));
}

cudaError_t cudaMemset(void *dst, int value, size_t bytes)
{
	cudaError_t e = fake_enter_safe("cudaMemset");

	return e ? e : cudaMemsetAsync(dst, value, bytes, NULL);
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
				       (int)fake_enqueue(s, &w);
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

cudaError_t fake_cuda_run(cudaStream_t s, void (*run)(void *), const void *arg,
			  size_t bytes)
{
	struct work w = { .type = RUN, .run = run, .staged = malloc(bytes) };

	if (!w.staged)
		return cudaErrorMemoryAllocation;
	memcpy(w.staged, arg, bytes);
	return fake_leave(fake_enqueue(s, &w));
}
