/* What the nccl transport says, and leaves, where something fails. */
#include "nccl/fake_nccl.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cuda/fake_cuda.h"
#include "nccl/pair.h"
#include "unit/unit.h"

/* Every call fails once: an error with words, an abort, and nothing is left. */
static void each_call_fails(void)
{
	static const char *const calls[] = {
		"ncclGetUniqueId", "ncclCommInitRankConfig",
		"ncclCommGetAsyncError", "ncclSend", "ncclRecv", "async",
	};
	struct pair p;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int rc;

		CU_ASSERT_EQUAL_FATAL(pair_open_transports(&p, NULL), 0);
		fake_nccl_fail(calls[i], 1, ncclSystemError);
		rc = pair_open_ends(&p, 0, PFW_MEM_HOST, 64, p.end);
		if (!rc)
			rc = pair_pass(&p, 0, 0, 64);
		CU_ASSERT_EQUAL(rc, -EIO);
		pair_expect(&p, "unhandled system error");
		if (p.end[0] && strcmp(calls[i], "ncclGetUniqueId"))
			pair_expect(&p, "NCCL 0 -> 1 (activation)");
		pair_close(&p);
	}
}

/* On the way out there is nobody to tell, and everything goes all the same. */
static void last_calls_fail(void)
{
	static const char *const calls[] = {
		"ncclCommDeregister", "ncclCommAbort", "ncclMemFree",
	};
	struct pair p;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
		CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
		fake_nccl_fail(calls[i], 1, ncclSystemError);
		pair_close(&p);
	}
}

static void cuda_fails(void)
{
	static const char *const calls[] = {
		"cudaStreamCreateWithPriority", "cudaHostAlloc", "cudaMalloc",
		"cudaEventCreateWithFlags", "cudaMemcpyAsync", "cudaEventRecord",
	};
	struct pair p;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int rc;

		CU_ASSERT_EQUAL_FATAL(pair_open_transports(&p, NULL), 0);
		fake_cuda_fail(calls[i], 1, cudaErrorMemoryAllocation);
		rc = pair_open_ends(&p, 0, PFW_MEM_HOST, 64, p.end);
		if (!rc)
			rc = pair_pass(&p, 0, 0, 64);
		if (!rc) /* got across, and left a sender that has failed */
			rc = pair_check(&p);
		CU_ASSERT(rc == -EIO || rc == -ENOMEM);
		CU_ASSERT_NOT_EQUAL(p.err.text[0], 0);
		pair_close(&p);
	}
}

/* The other end never takes part, or goes: told, and ended by an abort. */
static void peers_that_are_not_there(void)
{
	unsigned before = fake_nccl_aborted();
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
	CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 64), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 0, 64, &p.err), 0);
	CU_ASSERT_EQUAL(pair_take(&p, 0, 0, 64), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 1, 64, &p.err), 0);
	CU_ASSERT_EQUAL(p.ops->wait(p.end[1], PFW_NONE, pfw_now() + 5 * PFW_MS),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(p.ops->check(p.end[1], &p.err), 0);
	p.ops->close_channel(p.end[0]);
	p.end[0] = NULL;
	CU_ASSERT_EQUAL(pair_await(&p, 1, PFW_NONE), 0);
	CU_ASSERT_EQUAL(p.ops->check(p.end[1], &p.err), -EPIPE);
	pair_expect(&p, "rank 0");
	pair_close(&p);
	CU_ASSERT_EQUAL(fake_nccl_aborted(), before + 2);
}

/* Receives of two communicators that nobody sends for: neither abort waits for the
 * other's kernel, and nor does whoever asks for them. */
static void none_comes(void)
{
	uint64_t deadline = pfw_now() + 20 * PFW_S;
	void *other[2] = { NULL, NULL };
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
	CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 1, PFW_MEM_HOST, 64, other), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 0, 64, &p.err), 0);
	CU_ASSERT_EQUAL(p.ops->post(other[1], 0, 64, &p.err), 0);
	for (uint32_t i = 0; i < 5; i++) {
		p.ops->wait(p.end[1], PFW_NONE, pfw_now() + 2 * PFW_MS);
		p.ops->wait(other[1], PFW_NONE, pfw_now() + 2 * PFW_MS);
	}
	fake_nccl_fail("async", 1, ncclSystemError);
	/* Whichever communicator is asked first has failed. */
	for (int rc = 0; !rc && pfw_now() < deadline;) {
		p.ops->wait(p.end[1], PFW_NONE, pfw_now() + 2 * PFW_MS);
		p.ops->wait(other[1], PFW_NONE, pfw_now() + 2 * PFW_MS);
		rc = pair_check(&p);
		for (uint32_t i = 0; !rc && i < 2; i++)
			rc = p.ops->check(other[i], &p.err);
	}
	CU_ASSERT_NOT_EQUAL(p.err.text[0], 0);
	p.ops->close_channel(other[1]);
	p.ops->close_channel(other[0]);
	pair_close(&p);
}

/* A communicator that fails while both ends wait for the other: who saw it says
 * so; the other one may see first that its peer has gone. */
static void fails_by_itself(void)
{
	static const char words[] = "remote process exited";
	uint64_t deadline = pfw_now() + 20 * PFW_S;
	struct pfw_error err[2] = { 0 };
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 0, 64, &p.err), 0);
	while (p.ops->wait(p.end[1], PFW_NONE, pfw_now() + PFW_MS) != -ETIMEDOUT)
		;
	fake_nccl_fail("async", 1, ncclRemoteError);
	for (int rc = 0; !rc && pfw_now() < deadline;) {
		p.ops->wait(p.end[1], PFW_NONE, pfw_now() + 10 * PFW_MS);
		rc = p.ops->check(p.end[0], &err[0]);
		rc = p.ops->check(p.end[1], &err[1]) ? -EIO : rc;
	}
	CU_ASSERT(strstr(err[0].text, words) || strstr(err[1].text, words));
	pair_close(&p);
}

static void hold(void *arg)
{
	while (atomic_load((atomic_int *)arg))
		usleep(100);
}

/* An announced message whose transfer an abort has ended. */
static void aborted_is_not_there(void)
{
	struct pfw_message_id id = { 0 };
	atomic_int held = 1;
	cudaStream_t queue;
	uint64_t bytes;
	uint32_t slot;
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_CUDA, 64), 0);
	CU_ASSERT_EQUAL(cudaStreamCreate(&queue), 0);
	CU_ASSERT_EQUAL(p.ops->bind_queue(p.end[0], queue, &p.err), 0);
	CU_ASSERT_EQUAL(cudaLaunchHostFunc(queue, hold, &held), 0);
	CU_ASSERT_EQUAL(p.ops->acquire(p.end[0], 0, &p.err), 0);
	CU_ASSERT_EQUAL(p.ops->send(p.end[0], 0, 64, &id, &p.err), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 0, 64, &p.err), 0);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(p.ops->wait(p.end[1], PFW_NONE,
					    pfw_now() + PFW_MS), -ETIMEDOUT);
	fake_cuda_fail("cudaEventQuery", 1, cudaErrorIllegalAddress);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(p.ops->recv(p.end[1], &slot, &bytes, &id,
					    &p.err), -EIO);
		pair_expect(&p, "illegal memory access");
	}
	atomic_store(&held, 0);
	CU_ASSERT_EQUAL(cudaStreamSynchronize(queue), 0);
	CU_ASSERT_EQUAL(cudaStreamDestroy(queue), 0);
	pair_close(&p);
}

/* A transfer that has ended, and nobody has asked yet whether it went well. */
static void failed_is_not_there(void)
{
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;
	struct pair p;
	int rc;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 0, 64, &p.err), 0);
	CU_ASSERT_EQUAL(p.ops->wait(p.end[1], PFW_NONE, pfw_now() + PFW_MS),
			-ETIMEDOUT);
	fake_nccl_fail("async1", 1, ncclRemoteError);
	pair_send(&p, 0, 0, 64);
	while ((rc = p.ops->recv(p.end[1], &slot, &bytes, &id, &p.err)) ==
	       -EAGAIN)
		pair_await(&p, 1, PFW_NONE);
	CU_ASSERT_EQUAL(rc, -EPIPE);
	pair_expect(&p, "remote process exited");
	pair_close(&p);
}

static void other_plans(void)
{
	struct pair p;

	for (int early = 0; early < 2; early++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
		CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 32), 0);
		CU_ASSERT_EQUAL(p.ops->post(p.end[1], early, early ? 32 : 64,
					  &p.err), -EPROTO);
		pair_expect(&p, "rank 0 sends message 0, 32 bytes in slot 0");
		pair_expect(&p, early ? "expects 32 bytes in slot 1" :
				   "expects 64 bytes in slot 0");
		CU_ASSERT_EQUAL(p.ops->check(p.end[1], &p.err), -EPROTO);
		pair_close(&p);
	}
}

/* An abort that outlasts the transport: who waits for it gives up, and what it held is
 * freed all the same, once it has ended. */
static void slow_abort(void)
{
	uint64_t deadline;
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
	CU_ASSERT_EQUAL(p.ops->post(p.end[1], 0, 64, &p.err), 0);
	fake_nccl_hold_aborts(1);
	for (uint32_t r = 0; r < 2; r++) {
		p.ops->close_channel(p.end[r]);
		p.end[r] = NULL;
	}
	p.ops->close(p.transport[1]);
	p.transport[1] = NULL;
	CU_ASSERT_NOT_EQUAL(fake_nccl_alive(), 0);
	fake_nccl_hold_aborts(0);
	p.ops->close(p.transport[0]);
	p.transport[0] = NULL;
	deadline = pfw_now() + 20 * PFW_S;
	while ((fake_nccl_alive() || fake_cuda_alive()) && pfw_now() < deadline)
		usleep(1000);
	pair_close(&p);
}

static void versions(void)
{
	struct pair p;

	setenv("FAKE_NCCL_VERSION", "21703", 1);
	CU_ASSERT_EQUAL(pair_open_transports(&p, NULL), -ENODEV);
	pair_expect(&p, "is NCCL 2.17.3: 2.18 or newer is needed");
	pfw_values_free(p.opt);
	unsetenv("FAKE_NCCL_VERSION");
	CU_ASSERT_EQUAL(pair_open_transports(&p, "library=/nowhere/libnccl.so"),
			-ENODEV);
	pair_expect(&p, "install libnccl2");
	pfw_values_free(p.opt);
}

static const struct unit_test tests[] = {
	{ "each call of NCCL fails", each_call_fails },
	{ "the last calls of NCCL fail", last_calls_fail },
	{ "calls of CUDA fail", cuda_fails },
	{ "peers that are not there", peers_that_are_not_there },
	{ "nobody sends for two receives", none_comes },
	{ "a communicator fails by itself", fails_by_itself },
	{ "an abort ends a transfer", aborted_is_not_there },
	{ "a transfer ends, and has failed", failed_is_not_there },
	{ "the two ends run different plans", other_plans },
	{ "an abort that takes long", slow_abort },
	{ "versions", versions },
};

UNIT_MAIN("nccl failures", tests)
