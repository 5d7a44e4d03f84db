#include "abort.h"

#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 5

struct leaving {
	struct nccl_aborts *of;
	ncclResult_t (*abort)(ncclComm_t comm);
	ncclComm_t comm;
	cudaStream_t stream;
};

struct nccl_aborts *nccl_aborts_open(void)
{
	struct nccl_aborts *a = calloc(1, sizeof(*a));
	pthread_condattr_t attr;

	if (!a)
		return NULL;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->ended, &attr);
	pthread_condattr_destroy(&attr);
	return a;
}

/* None runs, and nobody else has it. */
static void finish(struct nccl_aborts *a)
{
	if (a->after)
		a->after(a->arg);
	pthread_cond_destroy(&a->ended);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void nccl_aborts_close(struct nccl_aborts *a, void (*after)(void *arg), void *arg)
{
	struct timespec until;
	bool over;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&a->lock);
	a->after = after;
	a->arg = arg;
	while (a->running &&
	       !pthread_cond_timedwait(&a->ended, &a->lock, &until))
		;
	over = !a->running;
	a->left = !over;
	pthread_mutex_unlock(&a->lock);
	if (over)
		finish(a);
}

static void *leave(void *arg)
{
	struct leaving *l = arg;
	struct nccl_aborts *a = l->of;
	bool last;

	l->abort(l->comm);
	cudaStreamDestroy(l->stream);
	free(l);
	pthread_mutex_lock(&a->lock);
	last = !--a->running && a->left;
	pthread_cond_broadcast(&a->ended);
	pthread_mutex_unlock(&a->lock);
	if (last)
		finish(a);
	return NULL;
}

void nccl_abort(struct nccl_aborts *a, const struct nccl_library *lib,
		ncclComm_t comm, cudaStream_t stream)
{
	struct leaving *l = malloc(sizeof(*l));
	pthread_t thread;

	if (!l) /* nor is there for anything else: it stays until the end */
		return;
	*l = (struct leaving){ a, lib->abort, comm, stream };
	pthread_mutex_lock(&a->lock);
	a->running++;
	pthread_mutex_unlock(&a->lock);
	if (pfw_thread_start(&thread, leave, l))
		leave(l);
	else
		pthread_detach(thread);
}
