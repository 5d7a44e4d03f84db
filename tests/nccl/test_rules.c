/* The stand-in for NCCL ends a process that breaks a rule of NCCL, and names it. */
#include "nccl/fake_nccl.h"

#include <cuda_runtime_api.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#define N 64u

/* Two ranks of one communicator, and what they do. */
struct two {
	ncclUniqueId id;
	ncclComm_t comm[2];
	cudaStream_t stream[2];
	char *memory;
};

static void settle(ncclComm_t comm)
{
	ncclResult_t state = ncclInProgress;

	while (state == ncclInProgress)
		if (ncclCommGetAsyncError(comm, &state) || (state &&
		    state != ncclInProgress))
			_exit(2);
}

static void invite(struct two *t)
{
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;

	config.blocking = 0;
	config.minCTAs = config.maxCTAs = 1;
	if (ncclGetUniqueId(&t->id) || cudaMalloc((void **)&t->memory, 2 * N))
		_exit(2);
	for (int r = 0; r < 2; r++) {
		ncclCommInitRankConfig(&t->comm[r], 2, t->id, r, &config);
		cudaStreamCreateWithFlags(&t->stream[r], cudaStreamNonBlocking);
	}
}

static void meet(struct two *t)
{
	invite(t);
	for (int looks = 0; looks < 2; looks++)
		for (int r = 0; r < 2; r++) {
			ncclResult_t state;

			ncclCommGetAsyncError(t->comm[r], &state);
		}
	settle(t->comm[0]);
	settle(t->comm[1]);
}

static void pass(struct two *t, int rank, int sending, size_t n)
{
	if (sending)
		ncclSend(t->memory, n, ncclUint8, !rank, t->comm[rank],
			 t->stream[rank]);
	else
		ncclRecv(t->memory, n, ncclUint8, !rank, t->comm[rank],
			 t->stream[rank]);
}

static void wait_for_both(struct two *t)
{
	cudaStreamSynchronize(t->stream[0]);
	cudaStreamSynchronize(t->stream[1]);
}

static void other_counts(struct two *t)
{
	meet(t);
	pass(t, 0, 1, N);
	pass(t, 1, 0, N / 2);
	settle(t->comm[0]);
	settle(t->comm[1]);
	wait_for_both(t);
}

/* Each count is there on both sides. */
static void other_order(struct two *t)
{
	meet(t);
	for (size_t i = 1; i < 3; i++) {
		pass(t, 0, 1, i * N / 2);
		pass(t, 1, 0, (3 - i) * N / 2);
		settle(t->comm[0]);
		settle(t->comm[1]);
	}
	wait_for_both(t);
}

static void two_senders(struct two *t)
{
	meet(t);
	for (int r = 0; r < 2; r++) {
		pass(t, r, 1, N);
		settle(t->comm[r]);
	}
	wait_for_both(t);
}

static void other_calls(struct two *t)
{
	meet(t);
	ncclAllGather(t->memory, t->memory, N / 2, ncclUint8, t->comm[0],
		      t->stream[0]);
	ncclAllReduce(t->memory, t->memory, N / 8, ncclFloat32, ncclSum,
		      t->comm[1], t->stream[1]);
	settle(t->comm[0]);
	settle(t->comm[1]);
	wait_for_both(t);
}

/* So there is never more than one operation with NCCL at a time, of the 256 that a
 * group may have. */
static void second_call(struct two *t)
{
	meet(t);
	pass(t, 0, 1, N);
	pass(t, 0, 1, N);
}

static void not_made_yet(struct two *t)
{
	invite(t);
	pass(t, 1, 0, N);
}

static void memory_of_the_host(struct two *t)
{
	static char host[N];

	meet(t);
	t->memory = host;
	pass(t, 0, 1, N);
}

static void group_ended_twice(struct two *t)
{
	meet(t);
	ncclGroupStart();
	pass(t, 0, 1, N);
	ncclGroupEnd();
	ncclGroupEnd();
}

static void group_left_open(struct two *t)
{
	meet(t);
	ncclGroupStart();
	ncclGroupStart();
	pass(t, 0, 1, N);
	ncclGroupEnd();
	settle(t->comm[0]);
}

/* 256 are taken. */
static void large_group(struct two *t)
{
	meet(t);
	for (size_t n = 256; n < 258; n++) {
		ncclGroupStart();
		for (size_t i = 0; i < n; i++)
			pass(t, 0, 1, N);
		ncclGroupEnd();
		settle(t->comm[0]);
		fprintf(stderr, "%zu taken; ", n);
	}
}

static void made_in_a_group(struct two *t)
{
	meet(t);
	ncclGroupStart();
	pass(t, 0, 1, N);
	invite(t);
}

static void freed_while_listed(struct two *t)
{
	void *handle, *at;

	meet(t);
	if (ncclMemAlloc(&at, N) ||
	    ncclCommRegister(t->comm[0], at, N, &handle))
		_exit(2);
	ncclMemFree(at);
}

static void id_twice(struct two *t)
{
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;

	invite(t);
	config.blocking = 0;
	config.minCTAs = config.maxCTAs = 1;
	ncclCommInitRankConfig(&t->comm[0], 2, t->id, 0, &config);
}

static const struct rule {
	void (*breaks)(struct two *t);
	const char *words;
} rules[] = {
	{ other_counts, "ncclRecv of 32 where the peer sends 64: NCCL would "
	  "overwrite memory" },
	{ other_order, "ncclRecv of 64 where the peer sends 32: NCCL would hang" },
	{ two_senders, "ncclSend of 64 where the peer sends 64: NCCL would hang" },
	{ other_calls, "the members of a group call different things: NCCL would "
	  "hang" },
	{ second_call, "ncclSend while a call is in progress" },
	{ group_ended_twice, "ncclGroupEnd without ncclGroupStart" },
	{ group_left_open, "in an open group, which launches nothing before "
	  "ncclGroupEnd: NCCL would hang" },
	{ large_group, "256 taken; fake nccl: more than 256 operations in a group" },
	{ made_in_a_group, "ncclCommInitRankConfig in a group" },
	{ freed_while_listed, "ncclMemFree of what is still registered" },
	{ not_made_yet, "ncclRecv while a call is in progress" },
	{ memory_of_the_host, "memory that is not the device's" },
	{ id_twice, "the id was used twice" },
};

static void child(const struct rule *rule, int out)
{
	const struct rlimit none = { 0, 0 };
	struct two t = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	dup2(out, STDERR_FILENO);
	alarm(20);
	rule->breaks(&t);
	_exit(0);
}

static void named(void)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char text[512] = "";
		int status, ends[2];
		pid_t pid;

		CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
		pid = fork();
		CU_ASSERT_NOT_EQUAL_FATAL(pid, -1);
		if (!pid)
			child(&rules[i], ends[1]);
		close(ends[1]);
		for (ssize_t n = 1, have = 0; n > 0; have += n)
			n = read(ends[0], text + have,
				 sizeof(text) - 1 - (size_t)have);
		close(ends[0]);
		CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
		    !strstr(text, rules[i].words)) {
			fprintf(stderr, "no \"%s\" in: %s\n", rules[i].words,
				text);
			CU_FAIL("see above");
		}
	}
}

/* Why the transport makes none: who waits for the first message of a group waits for
 * the last, which the peer may send only when it has an answer to the first. */
static void group_is_one_kernel(void)
{
	struct two t = { 0 };

	meet(&t);
	ncclGroupStart();
	pass(&t, 1, 0, N);
	pass(&t, 1, 0, N / 2);
	CU_ASSERT_EQUAL(ncclGroupEnd(), ncclInProgress);
	settle(t.comm[1]);
	pass(&t, 0, 1, N);
	settle(t.comm[0]);
	CU_ASSERT_EQUAL(cudaStreamSynchronize(t.stream[0]), cudaSuccess);
	CU_ASSERT_EQUAL(cudaStreamQuery(t.stream[1]), cudaErrorNotReady);
	pass(&t, 0, 1, N / 2);
	settle(t.comm[0]);
	wait_for_both(&t);
	for (int r = 0; r < 2; r++) {
		ncclCommAbort(t.comm[r]);
		cudaStreamDestroy(t.stream[r]);
	}
	cudaFree(t.memory);
}

static const struct unit_test tests[] = {
	/* First: it forks, which CUDA forbids to who has used it. */
	{ "rules that are broken are named", named },
	{ "a group ends as a whole", group_is_one_kernel },
};

UNIT_MAIN("nccl rules", tests)
