/*
 * fake_impl.h: what the parts of the stand-in for libnccl share; see fake_nccl.h.
 */
#ifndef PFW_TESTS_NCCL_FAKE_IMPL_H
#define PFW_TESTS_NCCL_FAKE_IMPL_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/un.h>

#include <nccl.h>

#include "cuda/fake_cuda.h"

#define FAKE_NCCL_LOOKS 2 /* a call is in progress so often */
#define FAKE_NCCL_RANKS 8

/** What an end is about to do: type is 1 to send, 0 to receive, or a collective's. */
struct fake_head {
	uint64_t count, type;
};

struct fake_op {
	struct fake_op *next;
	struct ncclComm *comm;
	const char *call;
	void (*run)(struct fake_op *op);
	const char *in;
	char *data;
	struct fake_head head;
	cudaStream_t stream;
};

struct ncclComm {
	ncclUniqueId id;
	int rank, ranks;
	int listener;   /* rank 0, until all have come; else -1 */
	int fds[FAKE_NCCL_RANKS]; /* to the others: rank 0 to each, each to rank 0;
				     -1 */
	int met;        /* so many of the others have come, or rank 0 has */
	int made;
	int looks;      /* still "in progress" so often */
	int grouped;    /* it has operations in a group that is open */
	struct ncclComm *next; /* of that group */
	atomic_int aborted, users;
	ncclResult_t failed;
	struct fake_op *pending; /* go to their stream when they are no more */
	char last[128];
	struct sockaddr_un peer;
};

/* fake_nccl.c */

/** Ends the process. */
__attribute__((noreturn, format(printf, 1, 2)))
void fake_nccl_broken(const char *text, ...);
/** What this call is to return: it may have been told to fail. */
ncclResult_t fake_nccl_enter(const char *call);
/** One more or less of what was made and not freed. */
void fake_nccl_count(int by);
/** Into the file of FAKE_NCCL_CALLS, if there is one. */
void fake_nccl_note(const char *call, const ncclUniqueId *id, int rank,
		    uint64_t count);

/* fake_transfer.c */

/** All bytes, or 0: aborted.  A peer that is gone is not noticed, as in NCCL. */
int fake_nccl_move(struct ncclComm *c, int peer, int sending, void *data,
		   size_t n);
/** One more operation of its communicator, alone or in the group that is open:
 *  what the call is to return. */
ncclResult_t fake_nccl_issue(const struct fake_op *op);
/** To its stream, as one piece of work. */
void fake_nccl_launch(struct ncclComm *c);
/** Waits for the end of its work, which sees that it is aborted, and for that of
 *  all others of this process, which does not. */
void fake_nccl_quiet(struct ncclComm *c);

/* fake_group.c */

/** Has this thread a group open? */
int fake_nccl_in_group(void);
/** Takes one more operation of @p c; 0: none is open. */
int fake_nccl_group_add(struct ncclComm *c);

/* fake_memory.c */

/** What is registered with it is not any more. */
void fake_nccl_unlist(const struct ncclComm *c);

#endif
