/* Ids and communicators of the stand-in for libnccl: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nccl/fake_impl.h"

/** Who listens for the other ranks, by id. */
struct root {
	struct root *next;
	ncclUniqueId id;
	int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct root *roots;
static unsigned n_ids;
static atomic_uint aborted;
static atomic_int slow;

unsigned fake_nccl_aborted(void)
{
	return atomic_load(&aborted);
}

void fake_nccl_hold_aborts(int held)
{
	atomic_store(&slow, held);
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	ncclResult_t rc = fake_nccl_enter("ncclGetUniqueId");
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
		fake_nccl_broken("no socket: %s", strerror(errno));
	r->next = roots;
	roots = r;
	pthread_mutex_unlock(&lock);
	*id = r->id;
	fake_nccl_note("ncclGetUniqueId", id, 0, 0);
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
	ncclResult_t rc = fake_nccl_enter("ncclCommInitRankConfig");
	ncclComm_t c;

	if (rc)
		return rc;
	if (ranks < 1 || ranks > FAKE_NCCL_RANKS || rank < 0 || rank >= ranks ||
	    config->blocking != 0 || config->maxCTAs < 1 || config->maxCTAs > 64)
		fake_nccl_broken("ncclCommInitRankConfig: rank %d of %d, "
				 "blocking %d, at most %d CTAs", rank, ranks,
				 config->blocking, config->maxCTAs);
	if (fake_nccl_in_group())
		fake_nccl_broken("ncclCommInitRankConfig in a group");
	c = calloc(1, sizeof(*c));
	if (!c)
		return ncclSystemError;
	c->id = id;
	c->rank = rank;
	c->ranks = ranks;
	c->listener = -1;
	memset(c->fds, -1, sizeof(c->fds));
	c->looks = FAKE_NCCL_LOOKS;
	c->peer.sun_family = AF_UNIX;
	memcpy(c->peer.sun_path + 1, id.internal, strlen(id.internal) + 1);
	if (!rank)
		c->listener = take_root(&id);
	if (rank && getenv("FAKE_NCCL_APART") && is_own(&id))
		fake_nccl_broken("two ranks of a communicator are one process");
	if (!rank && c->listener < 0)
		fake_nccl_broken("the id was used twice, or is of another "
				 "process");
	fake_nccl_count(1);
	fake_nccl_note("ncclCommInitRankConfig", &id, rank,
		       (uint64_t)config->maxCTAs);
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
		fake_nccl_broken("two members of a group have one rank");
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

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *state)
{
	ncclResult_t rc = fake_nccl_enter("ncclCommGetAsyncError");

	if (rc)
		return rc;
	if (atomic_load(&c->aborted))
		fake_nccl_broken("ncclCommGetAsyncError after ncclCommAbort");
	if (c->grouped)
		fake_nccl_broken("ncclCommGetAsyncError in an open group, which "
				 "launches nothing before ncclGroupEnd: NCCL "
				 "would hang");
	if (!c->failed && c->made && !c->pending)
		c->failed = fake_nccl_enter("async");
	if (!c->failed && c->made && !c->pending)
		c->failed = fake_nccl_enter(c->rank ? "async1" : "async0");
	*state = c->failed;
	if (c->failed) {
		snprintf(c->last, sizeof(c->last), "told to fail by itself");
		return ncclSuccess;
	}
	*state = ncclInProgress;
	if ((!c->made && !meet(c)) || (c->looks && --c->looks))
		return ncclSuccess;
	if (c->pending)
		fake_nccl_launch(c);
	*state = ncclSuccess;
	return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t c)
{
	ncclResult_t rc = fake_nccl_enter("ncclCommAbort");

	if (atomic_exchange(&c->aborted, 1))
		fake_nccl_broken("ncclCommAbort twice");
	if (c->grouped)
		fake_nccl_broken("ncclCommAbort in an open group");
	atomic_fetch_add(&aborted, 1);
	fake_nccl_quiet(c);
	while (atomic_load(&slow))
		usleep(100);
	for (int r = 0; r < FAKE_NCCL_RANKS; r++)
		if (c->fds[r] >= 0)
			close(c->fds[r]);
	if (c->listener >= 0)
		close(c->listener);
	while (c->pending) {
		struct fake_op *op = c->pending;

		c->pending = op->next;
		free(op);
	}
	fake_nccl_unlist(c);
	free(c);
	fake_nccl_count(-1);
	return rc;
}
