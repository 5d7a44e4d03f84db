/* The stand-in's events. */
#include <stdlib.h>
#include <time.h>

#include "cuda/fake_stream.h"

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The lock is held. */
static void put_event(struct CUevent_st *e)
{
	if (--e->users == 0)
		free(e);
}

void fake_record_or_wait(struct work *w)
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

static cudaError_t open_event(const char *call, cudaEvent_t *out,
			      unsigned flags)
{
	cudaError_t e = fake_enter(call);
	struct CUevent_st *event;

	if (e)
		return e;
	event = calloc(1, sizeof(*event));
	if (!event)
		return fake_leave(cudaErrorMemoryAllocation);
	event->users = 1;
	event->timed = !(flags & cudaEventDisableTiming);
	fake_count(1);
	*out = event;
	return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
	return open_event("cudaEventCreateWithFlags", out, flags);
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
	return open_event("cudaEventCreate", out, cudaEventDefault);
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
	return fake_enqueue(s, &w);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s)
{
	cudaError_t e = fake_enter("cudaEventRecord");

	if (!e)
		e = fake_not_captured(s); /* it may, but the event is then the graph's */
	return e ? fake_leave(e) : fake_leave(use_event(s, event, RECORD));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event,
				unsigned flags)
{
	cudaError_t e = fake_enter("cudaStreamWaitEvent");

	(void)flags;
	if (!e)
		e = fake_not_captured(s); /* of what was recorded outside of it */
	return e ? fake_leave(e) : fake_leave(use_event(s, event, WAIT));
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
	cudaError_t e = fake_enter_safe("cudaEventQuery");
	int done;

	if (e)
		return e;
	pthread_mutex_lock(&fake_lock);
	done = event->done == event->asked;
	pthread_mutex_unlock(&fake_lock);
	return fake_leave(done ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
	cudaError_t e = fake_enter_safe("cudaEventSynchronize");

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
	if (!from->asked || !to->asked || !from->timed || !to->timed)
		e = cudaErrorInvalidResourceHandle;
	else if (from->done < from->asked || to->done < to->asked)
		e = cudaErrorNotReady;
	else
		*ms = (float)((double)(int64_t)(to->time_ns - from->time_ns) /
			      1e6);
	pthread_mutex_unlock(&fake_lock);
	return fake_leave(e);
}
