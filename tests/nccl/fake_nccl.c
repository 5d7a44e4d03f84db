/* The stand-in for libnccl: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cuda/fake_cuda.h"

#define PENDING_LOOKS 2 /* a call is in progress so often */
#define PATIENCE_MS 20000
#define MOST_RANKS 8

#ifdef FAKE_NCCL_OLD
#define VERSION_CODE NCCL_VERSION(2, 18, 0)
#else
#define VERSION_CODE NCCL_VERSION_CODE
#endif

/* What an end is about to do: type is 1 to send, 0 to receive, or a collective's. */
struct header {
	uint64_t count, type;
};

/** Who listens for the other rank, by id. */
struct root {
	struct root *next;
	ncclUniqueId id;
	int fd;
};

struct ncclComm {
	int rank, ranks;
	int listener;   /* rank 0, until all have come; else -1 */
	int fds[MOST_RANKS]; /* to the others: rank 0 to each, each to rank 0; -1 */
	int met;        /* so many of the others have come, or rank 0 has */
	int made;
	int looks;      /* still "in progress" so often */
	atomic_int aborted, users;
	ncclResult_t failed;
	struct op *pending; /* goes to its stream when it is no more */
	char last[128];
	struct sockaddr_un peer;
};

struct op {
	struct ncclComm *comm;
	void (*run)(void *op);
	const char *in;
	int sending;
	char *data;
	struct header head;
	cudaStream_t stream;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct root *roots;
static char fail_call[64];
static unsigned fail_in, alive, aborted, listed, n_ids;
static ncclResult_t fail_with;
static atomic_int running; /* kernels of this process, on its card */

__attribute__((noreturn, format(printf, 1, 2)))
static void broken(const char *text, ...)
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
	return alive;
}

unsigned fake_nccl_aborted(void)
{
	return aborted;
}

unsigned fake_nccl_listed(void)
{
	return listed;
}

static void read_environment(void)
{
	const char *text = getenv("FAKE_NCCL_FAIL");
	char call[64];
	unsigned nth, result;

	if (text && sscanf(text, "%63[^:]:%u:%u", call, &nth, &result) == 3)
		fake_nccl_fail(call, nth, (ncclResult_t)result);
}

static ncclResult_t enter(const char *call)
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

static void count(int by)
{
	pthread_mutex_lock(&lock);
	alive += (unsigned)by;
	pthread_mutex_unlock(&lock);
}

ncclResult_t ncclGetVersion(int *version)
{
	const char *text = getenv("FAKE_NCCL_VERSION");

	*version = text ? atoi(text) : VERSION_CODE;
	return enter("ncclGetVersion");
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

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	ncclResult_t rc = enter("ncclGetUniqueId");
	struct root *r;
	int n;

	if (rc)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return ncclSystemError;
	pthread_mutex_lock(&lock);
	n = snprintf(r->id.internal, sizeof(r->id.internal), "fake-nccl-%d-%u",
		     (int)getpid(), n_ids++);
	memcpy(a.sun_path + 1, r->id.internal, (size_t)n + 1);
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(r->fd, (struct sockaddr *)&a, sizeof(a)) || listen(r->fd, 4))
		broken("no socket: %s", strerror(errno));
	r->next = roots;
	roots = r;
	pthread_mutex_unlock(&lock);
	*id = r->id;
	return ncclSuccess;
}

static int is_own(const ncclUniqueId *id)
{
	int pid = 0;

	return sscanf(id->internal, "fake-nccl-%d-", &pid) == 1 &&
	       pid == (int)getpid();
}

/* An id is good for one communicator. */
static int take_root(const ncclUniqueId *id)
{
	int fd = -1;

	pthread_mutex_lock(&lock);
	for (struct root **at = &roots; *at; at = &(*at)->next) {
		struct root *r = *at;

		if (memcmp(&r->id, id, sizeof(*id)))
			continue;
		fd = r->fd;
		*at = r->next;
		free(r);
		break;
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int ranks, ncclUniqueId id,
				    int rank, ncclConfig_t *config)
{
	ncclResult_t rc = enter("ncclCommInitRankConfig");
	ncclComm_t c;

	if (rc)
		return rc;
	if (ranks < 1 || ranks > MOST_RANKS || rank < 0 || rank >= ranks || config->blocking != 0 ||
	    config->maxCTAs < 1 || config->maxCTAs > 64)
		broken("ncclCommInitRankConfig: rank %d of %d, blocking %d, at "
		       "most %d CTAs", rank, ranks, config->blocking,
		       config->maxCTAs);
	c = calloc(1, sizeof(*c));
	if (!c)
		return ncclSystemError;
	c->rank = rank;
	c->ranks = ranks;
	c->listener = -1;
	memset(c->fds, -1, sizeof(c->fds));
	c->looks = PENDING_LOOKS;
	c->peer.sun_family = AF_UNIX;
	memcpy(c->peer.sun_path + 1, id.internal, strlen(id.internal) + 1);
	if (!rank)
		c->listener = take_root(&id);
	if (rank && getenv("FAKE_NCCL_APART") && is_own(&id))
		broken("two ranks of a communicator are one process");
	if (!rank && c->listener < 0)
		broken("the id was used twice, or is of another process");
	count(1);
	*out = c;
	return ncclInProgress;
}

/* Who calls says first which rank it is. */
static int accept_one(struct ncclComm *c)
{
	int rank, fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return 0;
	if (recv(fd, &rank, sizeof(rank), MSG_WAITALL) != sizeof(rank) ||
	    rank < 1 || rank >= c->ranks || c->fds[rank] >= 0)
		broken("two members of a group have one rank");
	c->fds[rank] = fd;
	return 1;
}

static int call_first(struct ncclComm *c)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&c->peer, sizeof(c->peer)) ||
	    send(fd, &c->rank, sizeof(c->rank), MSG_NOSIGNAL) < 0) {
		close(fd);
		return 0;
	}
	c->fds[0] = fd;
	return 1;
}

static int meet(struct ncclComm *c)
{
	int others = c->rank ? 1 : c->ranks - 1;

	while (c->met < others && (c->rank ? call_first(c) : accept_one(c)))
		c->met++;
	c->made = c->met == others;
	if (c->made && c->listener >= 0) {
		close(c->listener);
		c->listener = -1;
	}
	return c->made;
}

/* All bytes, or 0: aborted.  A peer that is gone is not noticed, as in NCCL. */
static int move(struct ncclComm *c, int peer, int sending, void *data, size_t n)
{
	int fd = c->fds[peer];
	char *at = data;

	while (n) {
		struct pollfd p = { .fd = fd,
				    .events = sending ? POLLOUT : POLLIN };
		ssize_t done = -1;

		if (atomic_load(&c->aborted))
			return 0;
		if (poll(&p, 1, 1) <= 0)
			continue;
		if (sending)
			done = send(fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		else
			done = recv(fd, at, n, MSG_DONTWAIT);
		if (done > 0) {
			at += done;
			n -= (size_t)done;
		} else if (!done || errno != EAGAIN) {
			usleep(1000);
		}
	}
	return 1;
}

static void unuse(struct ncclComm *c)
{
	atomic_fetch_sub(&running, 1);
	atomic_fetch_sub(&c->users, 1);
}

/* Each end's head, by which the other knows that it takes part; the data. */
static void transfer(void *arg)
{
	struct op *op = arg;
	struct ncclComm *c = op->comm;
	struct header mine = op->head, its;
	int peer = !c->rank;

	atomic_fetch_add(&running, 1);
	if (move(c, peer, 1, &mine, sizeof(mine)) &&
	    move(c, peer, 0, &its, sizeof(its))) {
		if (its.type == mine.type ||
		    (!op->sending && its.count != mine.count))
			broken("%s of %llu where the peer %s %llu",
			       op->sending ? "ncclSend" : "ncclRecv",
			       (unsigned long long)mine.count,
			       its.type ? "sends" : "receives",
			       (unsigned long long)its.count);
		move(c, peer, op->sending, op->data, mine.count);
	}
	unuse(c);
	free(op);
}

static ncclResult_t issue(struct ncclComm *c, int sending, void *data,
			  size_t n, ncclDataType_t type, int peer,
			  cudaStream_t stream)
{
	const char *call = sending ? "ncclSend" : "ncclRecv";
	ncclResult_t rc = enter(call);
	struct op *op;

	if (rc) {
		snprintf(c->last, sizeof(c->last), "%s was told to fail", call);
		return rc;
	}
	if (atomic_load(&c->aborted))
		broken("%s after ncclCommAbort", call);
	if (c->looks || c->pending || !c->made)
		broken("%s while a call is in progress", call);
	if (c->ranks != 2 || peer != !c->rank || type != ncclUint8 || !n)
		broken("%s: peer %d, %zu of type %d", call, peer, n, type);
	if (!fake_cuda_is_device(data, n))
		broken("%s: memory that is not the device's", call);
	op = calloc(1, sizeof(*op));
	if (!op)
		return ncclSystemError;
	*op = (struct op){ .comm = c, .run = transfer, .sending = sending, .data = data,
			   .head = { n, (uint64_t)sending },
			   .stream = stream };
	c->pending = op;
	c->looks = PENDING_LOOKS;
	return ncclInProgress;
}

ncclResult_t ncclSend(const void *data, size_t n, ncclDataType_t type, int peer,
		      ncclComm_t comm, cudaStream_t stream)
{
	return issue(comm, 1, (void *)(uintptr_t)data, n, type, peer, stream);
}

ncclResult_t ncclRecv(void *data, size_t n, ncclDataType_t type, int peer,
		      ncclComm_t comm, cudaStream_t stream)
{
	return issue(comm, 0, data, n, type, peer, stream);
}

/* What all members have, in the order of ranks: by way of the first. */
static int gather(struct ncclComm *c, const struct header *h, const char *mine,
		  char *all)
{
	size_t n = h->count, total = n * (size_t)c->ranks;
	struct header got = *h;

	if (c->rank)
		return move(c, 0, 1, &got, sizeof(got)) &&
		       move(c, 0, 1, (void *)(uintptr_t)mine, n) &&
		       move(c, 0, 0, all, total);
	memcpy(all, mine, n);
	for (int r = 1; r < c->ranks; r++) {
		if (!move(c, r, 0, &got, sizeof(got)))
			return 0;
		if (memcmp(h, &got, sizeof(got)))
			broken("the members of a group call different things");
		if (!move(c, r, 0, all + (size_t)r * n, n))
			return 0;
	}
	for (int r = 1; r < c->ranks; r++)
		if (!move(c, r, 1, all, total))
			return 0;
	return 1;
}

/* head.type: what it is; head.count: bytes of `in`. */
static void collect(void *arg)
{
	struct op *op = arg;
	struct ncclComm *c = op->comm;
	size_t n = op->head.count, ranks = (size_t)c->ranks;
	size_t part = op->head.type == 's' ? n / ranks : n;
	size_t from = op->head.type == 's' ? (size_t)c->rank * part : 0;
	char *all = calloc(ranks * n + 1, 1);
	float sum;

	atomic_fetch_add(&running, 1);
	if (!all || !gather(c, &op->head, op->in, all))
		goto out;
	if (op->head.type == 'g') {
		memcpy(op->data, all, ranks * n);
		goto out;
	}
	for (size_t i = 0; i < part; i += sizeof(sum)) {
		sum = 0;
		for (size_t r = 0; r < ranks; r++)
			sum += *(const float *)(all + r * n + from + i);
		memcpy(op->data + i, &sum, sizeof(sum));
	}
out:
	free(all);
	unuse(c);
	free(op);
}

static ncclResult_t issue_all(const char *call, int what, ncclComm_t c,
			      const void *in, void *out, size_t bytes,
			      cudaStream_t stream)
{
	ncclResult_t rc = enter(call);
	struct op *op;

	if (rc)
		return rc;
	if (atomic_load(&c->aborted) || c->looks || c->pending || !c->made)
		broken("%s while a call is in progress, or after an abort", call);
	if (!fake_cuda_is_device(in, bytes))
		broken("%s: memory that is not the device's", call);
	op = calloc(1, sizeof(*op));
	if (!op)
		return ncclSystemError;
	*op = (struct op){ .comm = c, .run = collect, .in = in, .data = out,
			   .head = { bytes, (uint64_t)what },
			   .stream = stream };
	c->pending = op;
	c->looks = PENDING_LOOKS;
	return ncclInProgress;
}

ncclResult_t ncclAllReduce(const void *in, void *out, size_t n,
			   ncclDataType_t type, ncclRedOp_t op, ncclComm_t c,
			   cudaStream_t stream)
{
	if (type != ncclFloat32 || op != ncclSum)
		broken("ncclAllReduce of type %d, operation %d", type, op);
	return issue_all("ncclAllReduce", 'a', c, in, out, 4 * n, stream);
}

ncclResult_t ncclReduceScatter(const void *in, void *out, size_t n,
			       ncclDataType_t type, ncclRedOp_t op, ncclComm_t c,
			       cudaStream_t stream)
{
	if (type != ncclFloat32 || op != ncclSum)
		broken("ncclReduceScatter of type %d, operation %d", type, op);
	return issue_all("ncclReduceScatter", 's', c, in, out,
			 4 * n * (size_t)c->ranks, stream);
}

ncclResult_t ncclAllGather(const void *in, void *out, size_t n,
			   ncclDataType_t type, ncclComm_t c, cudaStream_t stream)
{
	if (type != ncclUint8)
		broken("ncclAllGather of type %d", type);
	return issue_all("ncclAllGather", 'g', c, in, out, n, stream);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *state)
{
	ncclResult_t rc = enter("ncclCommGetAsyncError");

	if (rc)
		return rc;
	if (atomic_load(&c->aborted))
		broken("ncclCommGetAsyncError after ncclCommAbort");
	if (!c->failed && c->made && !c->pending)
		c->failed = enter("async");
	if (!c->failed && c->made && !c->pending)
		c->failed = enter(c->rank ? "async1" : "async0");
	*state = c->failed;
	if (c->failed) {
		snprintf(c->last, sizeof(c->last), "told to fail by itself");
		return ncclSuccess;
	}
	*state = ncclInProgress;
	if ((!c->made && !meet(c)) || (c->looks && --c->looks))
		return ncclSuccess;
	if (c->pending) {
		atomic_fetch_add(&c->users, 1);
		if (cudaLaunchHostFunc(c->pending->stream, c->pending->run,
				       c->pending))
			broken("the stream takes no work");
		c->pending = NULL;
	}
	*state = ncclSuccess;
	return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t c)
{
	ncclResult_t rc = enter("ncclCommAbort");

	if (atomic_exchange(&c->aborted, 1))
		broken("ncclCommAbort twice");
	pthread_mutex_lock(&lock);
	aborted++;
	pthread_mutex_unlock(&lock);
	/* What runs sees it at its next look. */
	while (atomic_load(&c->users))
		usleep(100);
	/* NCCL frees memory now, and CUDA waits for all that the card does. */
	for (unsigned ms = 0; atomic_load(&running); ms++) {
		if (ms == PATIENCE_MS)
			broken("ncclCommAbort hangs: a kernel of another "
			       "communicator waits for its peer, and nobody "
			       "aborts that one meanwhile");
		usleep(1000);
	}
	for (int r = 0; r < MOST_RANKS; r++)
		if (c->fds[r] >= 0)
			close(c->fds[r]);
	if (c->listener >= 0)
		close(c->listener);
	free(c->pending);
	free(c);
	count(-1);
	return rc;
}

#ifndef FAKE_NCCL_OLD /* what came with 2.19 */
ncclResult_t ncclMemAlloc(void **ptr, size_t bytes)
{
	ncclResult_t rc = enter("ncclMemAlloc");

	if (!rc && cudaMalloc(ptr, bytes))
		rc = ncclUnhandledCudaError;
	if (!rc)
		count(1);
	return rc;
}

ncclResult_t ncclMemFree(void *ptr)
{
	count(-1);
	return cudaFree(ptr) ? ncclUnhandledCudaError : enter("ncclMemFree");
}

ncclResult_t ncclCommRegister(const ncclComm_t comm, void *ptr, size_t bytes,
			      void **handle)
{
	if (atomic_load(&comm->aborted) || !fake_cuda_is_device(ptr, bytes))
		broken("ncclCommRegister of what is no memory of the device");
	if (enter("ncclCommRegister"))
		return ncclSystemError;
	pthread_mutex_lock(&lock);
	listed++;
	pthread_mutex_unlock(&lock);
	*handle = ptr;
	return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t comm, void *handle)
{
	if (atomic_load(&comm->aborted) || !handle)
		broken("ncclCommDeregister after ncclCommAbort");
	return enter("ncclCommDeregister");
}
#endif
