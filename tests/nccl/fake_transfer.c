/* Operations of the stand-in for libnccl, and those of two: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nccl/fake_impl.h"

#define PATIENCE_MS 20000

static atomic_int running; /* kernels of this process, on its card */

int fake_nccl_move(struct ncclComm *c, int peer, int sending, void *data,
		   size_t n)
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

/* What NCCL does of it: whoever is to get more than comes waits for the rest, and two
 * that both send never meet. */
static const char *fate(const struct fake_head *mine, const struct fake_head *its)
{
	return !mine->type && its->type && its->count > mine->count ?
		       "overwrite memory" : "hang";
}

/* Each end's head, by which the other knows that it takes part; the data. */
static void transfer(struct fake_op *op)
{
	struct ncclComm *c = op->comm;
	struct fake_head mine = op->head, its;
	int peer = !c->rank;

	if (!fake_nccl_move(c, peer, 1, &mine, sizeof(mine)) ||
	    !fake_nccl_move(c, peer, 0, &its, sizeof(its)))
		return;
	if (its.type == mine.type || (!mine.type && its.count != mine.count))
		fake_nccl_broken("%s of %llu where the peer %s %llu: NCCL would "
				 "%s", op->call,
				 (unsigned long long)mine.count,
				 its.type ? "sends" : "receives",
				 (unsigned long long)its.count,
				 fate(&mine, &its));
	fake_nccl_move(c, peer, (int)mine.type, op->data, mine.count);
}

static void fail_call(struct ncclComm *c, const char *call)
{
	snprintf(c->last, sizeof(c->last), "%s was told to fail", call);
}

static ncclResult_t pass(const char *call, struct ncclComm *c, int sending,
			 void *data, size_t n, ncclDataType_t type, int peer,
			 cudaStream_t stream)
{
	const struct fake_op op = {
		.comm = c, .call = call, .run = transfer, .in = data,
		.data = data, .head = { n, (uint64_t)sending },
		.stream = stream,
	};

	if (c->ranks != 2 || peer != !c->rank || type != ncclUint8 || !n)
		fake_nccl_broken("%s: peer %d, %zu of type %d", call, peer, n,
				 type);
	return fake_nccl_issue(&op);
}

ncclResult_t ncclSend(const void *data, size_t n, ncclDataType_t type, int peer,
		      ncclComm_t comm, cudaStream_t stream)
{
	return pass("ncclSend", comm, 1, (void *)(uintptr_t)data, n, type, peer,
		    stream);
}

ncclResult_t ncclRecv(void *data, size_t n, ncclDataType_t type, int peer,
		      ncclComm_t comm, cudaStream_t stream)
{
	return pass("ncclRecv", comm, 0, data, n, type, peer, stream);
}

ncclResult_t fake_nccl_issue(const struct fake_op *what)
{
	struct ncclComm *c = what->comm;
	struct fake_op **last = &c->pending, *op;
	ncclResult_t rc = fake_nccl_enter(what->call);

	if (rc) {
		fail_call(c, what->call);
		return rc;
	}
	if (atomic_load(&c->aborted))
		fake_nccl_broken("%s after ncclCommAbort", what->call);
	if (c->looks || !c->made ||
	    (c->pending && !(c->grouped && fake_nccl_in_group())))
		fake_nccl_broken("%s while a call is in progress", what->call);
	if (!fake_cuda_is_device(what->in, what->head.count))
		fake_nccl_broken("%s: memory that is not the device's",
				 what->call);
	op = malloc(sizeof(*op));
	if (!op)
		return ncclSystemError;
	*op = *what;
	while (*last)
		last = &(*last)->next;
	*last = op;
	fake_nccl_note(op->call, &c->id, c->rank, op->head.count);
	if (fake_nccl_group_add(c))
		return ncclSuccess;
	c->looks = FAKE_NCCL_LOOKS;
	return ncclInProgress;
}

/* One kernel: what comes after it on the stream waits for all of them. */
static void kernel(void *arg)
{
	struct fake_op *op = arg;
	struct ncclComm *c = op->comm;

	atomic_fetch_add(&running, 1);
	while (op) {
		struct fake_op *next = op->next;

		op->run(op);
		free(op);
		op = next;
	}
	atomic_fetch_sub(&running, 1);
	atomic_fetch_sub(&c->users, 1);
}

void fake_nccl_launch(struct ncclComm *c)
{
	struct fake_op *first = c->pending;

	for (const struct fake_op *op = first; op; op = op->next)
		if (op->stream != first->stream)
			fake_nccl_broken("a group on two streams of a "
					 "communicator");
	c->pending = NULL;
	atomic_fetch_add(&c->users, 1);
	if (cudaLaunchHostFunc(first->stream, kernel, first))
		fake_nccl_broken("the stream takes no work");
}

void fake_nccl_quiet(struct ncclComm *c)
{
	/* What runs sees it at its next look. */
	while (atomic_load(&c->users))
		usleep(100);
	/* NCCL frees memory now, and CUDA waits for all that the card does. */
	for (unsigned ms = 0; atomic_load(&running); ms++) {
		if (ms == PATIENCE_MS)
			fake_nccl_broken("ncclCommAbort hangs: a kernel of "
					 "another communicator waits for its "
					 "peer, and nobody aborts that one "
					 "meanwhile");
		usleep(1000);
	}
}
