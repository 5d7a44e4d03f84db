/*
 * thread.h: a thread that takes no signals: they are for the threads that know of
 * them.
 */
#ifndef PFW_CORE_THREAD_H
#define PFW_CORE_THREAD_H

#include <pthread.h>
#include <signal.h>

/** 0, or the error number of pthread_create(). */
static inline int pfw_thread_start(pthread_t *thread, void *(*run)(void *),
				   void *arg)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

#endif
