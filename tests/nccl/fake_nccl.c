/* What all calls of the stand-in for libnccl have in common: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nccl/fake_impl.h"

#ifdef FAKE_NCCL_OLD
#define VERSION_CODE NCCL_VERSION(2, 18, 0)
#else
#define VERSION_CODE NCCL_VERSION_CODE
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char fail_call[64];
static unsigned fail_in, alive;
static ncclResult_t fail_with;
static int notes = -1;

void fake_nccl_broken(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	fputs("fake nccl: ", stderr);
	vfprintf(stderr, text, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

void fake_nccl_fail(const char *call, unsigned nth, ncclResult_t result)
{
	pthread_mutex_lock(&lock);
	snprintf(fail_call, sizeof(fail_call), "%s", call);
	fail_in = nth;
	fail_with = result;
	pthread_mutex_unlock(&lock);
}

unsigned fake_nccl_alive(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = alive;
	pthread_mutex_unlock(&lock);
	return n;
}

static void read_environment(void)
{
	const char *text = getenv("FAKE_NCCL_FAIL");
	const char *file = getenv("FAKE_NCCL_CALLS");
	char call[64];
	unsigned nth, result;

	if (text && sscanf(text, "%63[^:]:%u:%u", call, &nth, &result) == 3)
		fake_nccl_fail(call, nth, (ncclResult_t)result);
	if (!file)
		return;
	notes = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (notes < 0)
		fake_nccl_broken("cannot write %s", file);
}

ncclResult_t fake_nccl_enter(const char *call)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	ncclResult_t rc = ncclSuccess;

	pthread_once(&once, read_environment);
	pthread_mutex_lock(&lock);
	if (fail_in && !strcmp(call, fail_call) && !--fail_in)
		rc = fail_with;
	pthread_mutex_unlock(&lock);
	return rc;
}

void fake_nccl_count(int by)
{
	pthread_mutex_lock(&lock);
	alive += (unsigned)by;
	pthread_mutex_unlock(&lock);
}

void fake_nccl_note(const char *call, const ncclUniqueId *id, int rank,
		    uint64_t count)
{
	if (notes >= 0 && dprintf(notes, "%d %s %s %d %llu\n", (int)getpid(),
				  call, id->internal, rank,
				  (unsigned long long)count) < 0)
		fake_nccl_broken("cannot note a call");
}

ncclResult_t ncclGetVersion(int *version)
{
	const char *text = getenv("FAKE_NCCL_VERSION");

	*version = text ? atoi(text) : VERSION_CODE;
	return fake_nccl_enter("ncclGetVersion");
}

const char *ncclGetErrorString(ncclResult_t result)
{
	static const char *const words[] = {
		"no error", "unhandled cuda error", "unhandled system error",
		"internal error", "invalid argument", "invalid usage",
		"remote process exited or there was a network error",
		"NCCL operation in progress",
	};

	return (unsigned)result < 8 ? words[result] : "unknown result code";
}

const char *ncclGetLastError(ncclComm_t comm)
{
	return comm ? comm->last : "";
}
