#include "workbench/witness.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pipefw/base.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Who waits for another rank looks as often whether that one lives. */
#define LOOK_NS (100 * PFW_MS)

static struct {
	int listener;
	uint32_t thread; /* that is watched */
	sem_t ready;
	atomic_int open;
	atomic_ullong since; /* the time of a window that no look was for */
	atomic_ullong calls;
	atomic_long last;
	struct testimony says;
} w;

/* Of the watched thread alone: others may allocate. */
static _Thread_local int window;

/* A wait may be as long as other processes have the CPU. */
static int is_look(int call)
{
	int polls = call == SYS_ppoll;

#ifdef SYS_poll
	polls = polls || call == SYS_poll;
#endif
	if (!polls || pfw_now() - atomic_load(&w.since) < LOOK_NS)
		return 0;
	atomic_fetch_add(&w.since, LOOK_NS);
	return 1;
}

/* Neither allocates nor locks: the watched thread may hold a lock of malloc(). */
static void *listen(void *unused)
{
	(void)unused;
	while (sem_wait(&w.ready))
		;
	for (;;) {
		struct seccomp_notif told = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		if (ioctl(w.listener, SECCOMP_IOCTL_NOTIF_RECV, &told)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return NULL;
		}
		if (told.pid == w.thread && atomic_load(&w.open) &&
		    !is_look(told.data.nr)) {
			atomic_fetch_add(&w.calls, 1);
			atomic_store(&w.last, told.data.nr);
		}
		answer.id = told.id;
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(w.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

static int install(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	w.listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				  SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return w.listener < 0 ? -errno : 0;
}

int witness_start(void)
{
	struct timespec now;
	pthread_t listener;
	int rc;

	w.thread = (uint32_t)syscall(SYS_gettid);
	if (sem_init(&w.ready, 0, 0))
		return -errno;
	rc = -pthread_create(&listener, NULL, listen, NULL);
	if (rc)
		return rc;
	pthread_detach(listener);
	rc = install();
	if (rc)
		return rc;
	sem_post(&w.ready);
	atomic_store(&w.open, 1);
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&w.open, 0);
	w.says.clock_calls = atomic_exchange(&w.calls, 0) > 0;
	return 0;
}

void witness_begin(void)
{
	window = 1;
	atomic_store(&w.since, pfw_now());
	atomic_store(&w.open, 1);
}

void witness_end(void)
{
	if (!window)
		return;
	atomic_store(&w.open, 0);
	window = 0;
	w.says.windows++;
}

struct testimony witness_says(void)
{
	w.says.calls = atomic_load(&w.calls);
	w.says.last_call = atomic_load(&w.last);
	return w.says;
}

static void *next(const char *name)
{
	w.says.allocations += (uint64_t)window;
	return dlsym(RTLD_NEXT, name);
}

PFW_API void *malloc(size_t n)
{
	static void *(*real)(size_t);

	if (!real || window)
		*(void **)&real = next("malloc");
	return real(n);
}

PFW_API void *calloc(size_t n, size_t size)
{
	static void *(*real)(size_t, size_t);

	if (!real || window)
		*(void **)&real = next("calloc");
	return real(n, size);
}

PFW_API void *realloc(void *p, size_t n)
{
	static void *(*real)(void *, size_t);

	if (!real || window)
		*(void **)&real = next("realloc");
	return real(p, n);
}

PFW_API void *aligned_alloc(size_t to, size_t n)
{
	static void *(*real)(size_t, size_t);

	if (!real || window)
		*(void **)&real = next("aligned_alloc");
	return real(to, n);
}

PFW_API int posix_memalign(void **p, size_t to, size_t n)
{
	static int (*real)(void **, size_t, size_t);

	if (!real || window)
		*(void **)&real = next("posix_memalign");
	return real(p, to, n);
}
