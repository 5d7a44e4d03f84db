/* The nccl transport over stand-ins for NCCL and CUDA. */
#include "nccl/fake_nccl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conform/ends.h"
#include "cuda/fake_cuda.h"
#include "settings/config.h"
#include "unit/unit.h"

#define LIBRARY "library=tests/nccl/.libs/libfakenccl.so"

extern const struct pfw_plugin pfw_plugin;

static const struct pfw_transport_ops *ops;

/* Both ends of channels from rank 0 to rank 1. */
struct pair {
	struct pfw_values *opt;
	void *transport[2], *end[2]; /* 0: sender */
	struct pfw_address address[2];
	struct pfw_error err;
};

static int open_transports(struct pair *p, const char *option)
{
	const char *texts[] = { LIBRARY, option };
	int rc;

	ops = pfw_plugin.ops;
	*p = (struct pair){ 0 };
	rc = pfw_values_from_texts(pfw_plugin.options, pfw_plugin.n_options,
				   "nccl", texts, option ? 2 : 1, &p->opt,
				   &p->err);
	for (uint32_t r = 0; !rc && r < 2; r++) {
		struct pfw_transport_info info = {
			.size = sizeof(info), .rank = r, .ranks = 2, .job = 9,
			.host = "here",
		};

		rc = ops->open(p->opt, &info, NULL, &p->transport[r],
			       &p->address[r], &p->err);
	}
	return rc;
}

static int open_ends(struct pair *p, uint32_t kind, uint32_t memory,
		     uint64_t slot_bytes, void *end[2])
{
	struct pfw_channel_info info = {
		.size = sizeof(info), .from = 0, .to = 1, .kind = kind,
		.n_slots = 3, .slot_bytes = slot_bytes, .memory = memory,
	};
	uint64_t stop = pfw_now() + 20 * PFW_S;
	int rc[2] = { -EAGAIN, -EAGAIN };

	while ((rc[0] == -EAGAIN || rc[1] == -EAGAIN) && pfw_now() < stop)
		for (uint32_t r = 0; r < 2; r++) {
			info.sending = !r;
			if (rc[r] == -EAGAIN)
				rc[r] = ops->open_channel(p->transport[r], &info,
							  &p->address[!r],
							  &end[r], &p->err);
			if (rc[r] && rc[r] != -EAGAIN)
				return rc[r];
		}
	return rc[0] ? rc[0] : rc[1];
}

static int pair_open(struct pair *p, const char *option, uint32_t memory,
		     uint64_t slot_bytes)
{
	int rc = open_transports(p, option);

	return rc ? rc : open_ends(p, 0, memory, slot_bytes, p->end);
}

static void pair_close(struct pair *p)
{
	ops->close_channel(p->end[0]);
	ops->close_channel(p->end[1]);
	ops->close(p->transport[0]);
	ops->close(p->transport[1]);
	pfw_values_free(p->opt);
	fake_nccl_fail("", 0, ncclSuccess);
	fake_cuda_fail("", 0, cudaSuccess);
	CU_ASSERT_EQUAL(fake_nccl_alive(), 0);
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

static void expect(const struct pair *p, const char *words)
{
	if (strstr(p->err.text, words))
		return;
	fprintf(stderr, "no \"%s\" in: %s\n", words, p->err.text);
	CU_FAIL("see above");
}

static int await(struct pair *p, int end, uint32_t slot)
{
	return ops->wait(p->end[end], slot, pfw_now() + 20 * PFW_S);
}

static int send_one(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes)
{
	struct pfw_message_id id = { .sequence = m };
	int rc;

	while ((rc = ops->acquire(p->end[0], slot, &p->err)) == -EAGAIN)
		if (await(p, 0, slot))
			return -ETIMEDOUT;
	if (rc)
		return rc;
	memset(ops->slot(p->end[0], slot), (int)(m + 1), bytes);
	return ops->send(p->end[0], slot, bytes, &id, &p->err);
}

/* As the core does where it has waited long, at both ends. */
static int check_both(struct pair *p)
{
	int rc = ops->check(p->end[0], &p->err);

	return rc ? rc : ops->check(p->end[1], &p->err);
}

static int take_one(struct pair *p, uint32_t want, uint64_t m, uint64_t bytes)
{
	struct pfw_message_id id;
	const unsigned char *at;
	uint64_t came;
	uint32_t slot;
	int rc;

	while ((rc = ops->recv(p->end[1], &slot, &came, &id, &p->err)) ==
	       -EAGAIN) {
		ops->wait(p->end[1], PFW_NONE, pfw_now() + 10 * PFW_MS);
		rc = check_both(p);
		if (rc)
			return rc;
	}
	if (rc)
		return rc;
	if (id.sequence != m || came != bytes || slot != want)
		return -EBADMSG;
	at = ops->slot(p->end[1], slot);
	for (uint64_t i = 0; i < bytes; i++)
		if (at[i] != (unsigned char)(m + 1))
			return -EBADMSG;
	return ops->release(p->end[1], slot, &p->err);
}

static int pass_one(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes)
{
	int rc = send_one(p, slot, m, bytes);

	if (!rc)
		rc = ops->post(p->end[1], slot, bytes, &p->err);
	return rc ? rc : take_one(p, slot, m, bytes);
}

/* Memory of the host is pinned and copied; the device's is moved where it is. */
static void both_memories(void)
{
	static const uint32_t memory[] = { PFW_MEM_HOST, PFW_MEM_CUDA };
	static const uint64_t sizes[] = { 0, 1, 64, 4097, 1 << 20 };

	for (size_t i = 0; i < 2; i++) {
		struct pfw_channel_stats st = { .size = sizeof(st) };
		struct pair p;
		uint64_t m = 0;

		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, memory[i], 1 << 20), 0);
		CU_ASSERT_EQUAL(fake_cuda_is_device(ops->slot(p.end[0], 2), 64),
				memory[i] == PFW_MEM_CUDA);
		for (; m < 15; m++)
			CU_ASSERT_EQUAL(pass_one(&p, m % 3, m, sizes[m / 3]), 0);
		ops->stats(p.end[1], &st);
		CU_ASSERT_EQUAL(st.messages, 15);
		CU_ASSERT_EQUAL(st.copied_bytes == st.bytes,
				memory[i] == PFW_MEM_HOST);
		pair_close(&p);
	}
}

/* All in flight before the first is posted; issued in the order of the calls. */
static void in_order(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 4096), 0);
	for (uint64_t round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(send_one(&p, i, 3 * round + i,
						 1000 + i), 0);
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(ops->post(p.end[1], i, 1000 + i,
						  &p.err), 0);
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(take_one(&p, i, 3 * round + i,
						 1000 + i), 0);
	}
	pair_close(&p);
}

#define QUEUED 40

struct kernel {
	unsigned char *at;
	unsigned char value;
	int wrong;
};

static void write_kernel(void *arg)
{
	const struct kernel *k = arg;

	memset(k->at, k->value, 4096);
}

static void read_kernel(void *arg)
{
	struct kernel *k = arg;

	for (uint32_t i = 0; i < 4096; i++)
		k->wrong += k->at[i] != k->value;
	memset(k->at, 0xee, 4096);
}

/* The host runs ahead of both queues: streams and events alone keep the order. */
static void by_queues(void)
{
	struct kernel out[QUEUED], in[QUEUED];
	cudaStream_t queue[2];
	struct pair p;
	int wrong = 0;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_CUDA, 4096), 0);
	for (uint32_t r = 0; r < 2; r++) {
		CU_ASSERT_EQUAL(cudaStreamCreate(&queue[r]), 0);
		CU_ASSERT_EQUAL(ops->bind_queue(p.end[r], queue[r], &p.err), 0);
	}
	for (uint32_t m = 0; m < QUEUED; m++) {
		struct pfw_message_id id = { .sequence = m };
		uint32_t slot = m % 3, got;
		uint64_t bytes;
		int rc;

		while ((rc = ops->acquire(p.end[0], slot, &p.err)) == -EAGAIN)
			await(&p, 0, slot);
		out[m] = (struct kernel){ ops->slot(p.end[0], slot),
					  (unsigned char)(m + 1), 0 };
		cudaLaunchHostFunc(queue[0], write_kernel, &out[m]);
		CU_ASSERT_EQUAL(ops->send(p.end[0], slot, 4096, &id, &p.err), 0);
		CU_ASSERT_EQUAL(ops->post(p.end[1], slot, 4096, &p.err), 0);
		while ((rc = ops->recv(p.end[1], &got, &bytes, &id, &p.err)) ==
		       -EAGAIN)
			await(&p, 1, PFW_NONE);
		CU_ASSERT(!rc && got == slot && id.sequence == m);
		in[m] = (struct kernel){ ops->slot(p.end[1], slot),
					 (unsigned char)(m + 1), 0 };
		cudaLaunchHostFunc(queue[1], read_kernel, &in[m]);
		CU_ASSERT_EQUAL(ops->release(p.end[1], slot, &p.err), 0);
	}
	for (uint32_t r = 0; r < 2; r++) {
		CU_ASSERT_EQUAL(cudaStreamSynchronize(queue[r]), 0);
		CU_ASSERT_EQUAL(cudaStreamDestroy(queue[r]), 0);
	}
	for (uint32_t m = 0; m < QUEUED; m++)
		wrong += in[m].wrong;
	CU_ASSERT_EQUAL(wrong, 0);
	pair_close(&p);
}

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

		CU_ASSERT_EQUAL_FATAL(open_transports(&p, NULL), 0);
		fake_nccl_fail(calls[i], 1, ncclSystemError);
		rc = open_ends(&p, 0, PFW_MEM_HOST, 64, p.end);
		if (!rc)
			rc = pass_one(&p, 0, 0, 64);
		CU_ASSERT_EQUAL(rc, -EIO);
		expect(&p, "unhandled system error");
		if (p.end[0] && strcmp(calls[i], "ncclGetUniqueId"))
			expect(&p, "NCCL 0 -> 1 (activation)");
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

		CU_ASSERT_EQUAL_FATAL(open_transports(&p, NULL), 0);
		fake_cuda_fail(calls[i], 1, cudaErrorMemoryAllocation);
		rc = open_ends(&p, 0, PFW_MEM_HOST, 64, p.end);
		if (!rc)
			rc = pass_one(&p, 0, 0, 64);
		if (!rc) /* got across, and left a sender that has failed */
			rc = check_both(&p);
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
	CU_ASSERT_EQUAL(send_one(&p, 0, 0, 64), 0);
	CU_ASSERT_EQUAL(ops->post(p.end[1], 0, 64, &p.err), 0);
	CU_ASSERT_EQUAL(take_one(&p, 0, 0, 64), 0);
	CU_ASSERT_EQUAL(ops->post(p.end[1], 1, 64, &p.err), 0);
	CU_ASSERT_EQUAL(ops->wait(p.end[1], PFW_NONE, pfw_now() + 5 * PFW_MS),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(ops->check(p.end[1], &p.err), 0);
	ops->close_channel(p.end[0]);
	p.end[0] = NULL;
	CU_ASSERT_EQUAL(await(&p, 1, PFW_NONE), 0);
	CU_ASSERT_EQUAL(ops->check(p.end[1], &p.err), -EPIPE);
	expect(&p, "rank 0");
	pair_close(&p);
	CU_ASSERT_EQUAL(fake_nccl_aborted(), before + 2);
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
	CU_ASSERT_EQUAL(ops->post(p.end[1], 0, 64, &p.err), 0);
	while (ops->wait(p.end[1], PFW_NONE, pfw_now() + PFW_MS) != -ETIMEDOUT)
		;
	fake_nccl_fail("async", 1, ncclRemoteError);
	for (int rc = 0; !rc && pfw_now() < deadline;) {
		ops->wait(p.end[1], PFW_NONE, pfw_now() + 10 * PFW_MS);
		rc = ops->check(p.end[0], &err[0]);
		rc = ops->check(p.end[1], &err[1]) ? -EIO : rc;
	}
	CU_ASSERT(strstr(err[0].text, words) || strstr(err[1].text, words));
	pair_close(&p);
}

static void other_plans(void)
{
	struct pair p;

	for (int early = 0; early < 2; early++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 64), 0);
		CU_ASSERT_EQUAL(send_one(&p, 0, 0, 32), 0);
		CU_ASSERT_EQUAL(ops->post(p.end[1], early, early ? 32 : 64,
					  &p.err), -EPROTO);
		expect(&p, "rank 0 sends message 0, 32 bytes in slot 0");
		expect(&p, early ? "expects 32 bytes in slot 1" :
				   "expects 64 bytes in slot 0");
		CU_ASSERT_EQUAL(ops->check(p.end[1], &p.err), -EPROTO);
		pair_close(&p);
	}
}

static void one_for_an_edge(void)
{
	void *other[2] = { NULL, NULL };
	struct pfw_transport_props props = { .size = sizeof(props) };
	unsigned before;
	struct pair p;

	for (int edge = 0; edge < 2; edge++) {
		before = fake_nccl_aborted();
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, edge ? "communicators=edge" :
						"communicators=channel",
						PFW_MEM_HOST, 64), 0);
		ops->props(p.opt, &props);
		CU_ASSERT_EQUAL(props.order,
				edge ? PFW_ORDER_EDGE : PFW_ORDER_CHANNEL);
		CU_ASSERT_EQUAL(open_ends(&p, 1, PFW_MEM_HOST, 64, other), 0);
		CU_ASSERT_EQUAL(pass_one(&p, 0, 0, 64), 0);
		ops->close_channel(other[0]);
		ops->close_channel(other[1]);
		other[0] = other[1] = NULL;
		pair_close(&p);
		CU_ASSERT_EQUAL(fake_nccl_aborted(), before + (edge ? 2 : 4));
	}
}

static void versions(void)
{
	struct pair p;

	setenv("FAKE_NCCL_VERSION", "21703", 1);
	CU_ASSERT_EQUAL(open_transports(&p, NULL), -ENODEV);
	expect(&p, "is NCCL 2.17.3: 2.18 or newer is needed");
	pfw_values_free(p.opt);
	unsetenv("FAKE_NCCL_VERSION");
	CU_ASSERT_EQUAL(open_transports(&p, "library=/nowhere/libnccl.so"),
			-ENODEV);
	expect(&p, "install libnccl2");
	pfw_values_free(p.opt);
}

static const struct unit_test tests[] = {
	{ "memory of host and device", both_memories },
	{ "issued in order", in_order },
	{ "ordered by queues alone", by_queues },
	{ "each call of NCCL fails", each_call_fails },
	{ "calls of CUDA fail", cuda_fails },
	{ "peers that are not there", peers_that_are_not_there },
	{ "a communicator fails by itself", fails_by_itself },
	{ "the two ends run different plans", other_plans },
	{ "one communicator for an edge", one_for_an_edge },
	{ "versions", versions },
};

UNIT_MAIN("nccl", tests)
