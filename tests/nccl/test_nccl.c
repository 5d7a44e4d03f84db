/* The nccl transport over stand-ins for NCCL and CUDA. */
#include "nccl/fake_nccl.h"

#include <errno.h>
#include <string.h>

#include "cuda/fake_cuda.h"
#include "nccl/pair.h"
#include "unit/unit.h"

#define OLD_LIBRARY "tests/nccl/.libs/libfakenccl218.so"

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
		CU_ASSERT_EQUAL(fake_cuda_is_device(p.ops->slot(p.end[0], 2), 64),
				memory[i] == PFW_MEM_CUDA);
		for (; m < 15; m++)
			CU_ASSERT_EQUAL(pair_pass(&p, m % 3, m, sizes[m / 3]), 0);
		p.ops->stats(p.end[1], &st);
		CU_ASSERT_EQUAL(st.messages, 15);
		CU_ASSERT_EQUAL(st.copied_bytes == st.bytes,
				memory[i] == PFW_MEM_HOST);
		pair_close(&p);
	}
}

/* Twice into one slot, whole. */
static void large(void)
{
	const uint64_t bytes = (uint64_t)256 << 20;
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open_one(&p, bytes), 0);
	for (uint64_t m = 0; m < 2; m++)
		CU_ASSERT_EQUAL(pair_pass(&p, 0, m, bytes), 0);
	pair_close(&p);
}

/* All in flight before the first is posted; issued in the order of the calls. */
static void in_order(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, PFW_MEM_HOST, 4096), 0);
	for (uint64_t round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(pair_send(&p, i, 3 * round + i,
						  1000 + i), 0);
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(p.ops->post(p.end[1], i, 1000 + i,
						    &p.err), 0);
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(pair_take(&p, i, 3 * round + i,
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
		CU_ASSERT_EQUAL(p.ops->bind_queue(p.end[r], queue[r], &p.err), 0);
	}
	for (uint32_t m = 0; m < QUEUED; m++) {
		struct pfw_message_id id = { .sequence = m };
		uint32_t slot = m % 3, got;
		uint64_t bytes;
		int rc;

		while ((rc = p.ops->acquire(p.end[0], slot, &p.err)) == -EAGAIN)
			pair_await(&p, 0, slot);
		out[m] = (struct kernel){ p.ops->slot(p.end[0], slot),
					  (unsigned char)(m + 1), 0 };
		cudaLaunchHostFunc(queue[0], write_kernel, &out[m]);
		CU_ASSERT_EQUAL(p.ops->send(p.end[0], slot, 4096, &id, &p.err), 0);
		CU_ASSERT_EQUAL(p.ops->post(p.end[1], slot, 4096, &p.err), 0);
		while ((rc = p.ops->recv(p.end[1], &got, &bytes, &id, &p.err)) ==
		       -EAGAIN)
			pair_await(&p, 1, PFW_NONE);
		CU_ASSERT(!rc && got == slot && id.sequence == m);
		in[m] = (struct kernel){ p.ops->slot(p.end[1], slot),
					 (unsigned char)(m + 1), 0 };
		cudaLaunchHostFunc(queue[1], read_kernel, &in[m]);
		CU_ASSERT_EQUAL(p.ops->release(p.end[1], slot, &p.err), 0);
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
		p.ops->props(p.opt, &props);
		CU_ASSERT_EQUAL(props.order,
				edge ? PFW_ORDER_EDGE : PFW_ORDER_CHANNEL);
		CU_ASSERT_EQUAL(pair_open_ends(&p, 1, PFW_MEM_HOST, 64, other), 0);
		CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
		p.ops->close_channel(other[0]);
		p.ops->close_channel(other[1]);
		other[0] = other[1] = NULL;
		pair_close(&p);
		CU_ASSERT_EQUAL(fake_nccl_aborted(), before + (edge ? 2 : 4));
	}
}

/* As by a launcher; one id for all kinds of an edge, and one for a channel that is
 * never opened. */
static void invited(void)
{
	struct pfw_channel_info info = { .size = sizeof(info), .to = 1, .kind = 4,
					 .sending = 1 };
	struct pfw_group_id unused;
	struct pair p;

	for (int edge = 0; edge < 2; edge++) {
		void *other[2] = { NULL, NULL };

		CU_ASSERT_EQUAL_FATAL(pair_open_transports(
			&p, edge ? "communicators=edge" : NULL), 0);
		CU_ASSERT_EQUAL(pair_open_invited(&p, 0, PFW_MEM_CUDA, 64, p.end),
				0);
		CU_ASSERT_EQUAL(pair_open_invited(&p, 1, PFW_MEM_CUDA, 64, other),
				0);
		CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
		CU_ASSERT_EQUAL(p.ops->invite(p.transport[0], &info, &unused,
					      &p.err), 0);
		p.ops->close_channel(other[0]);
		p.ops->close_channel(other[1]);
		pair_close(&p);
	}
}

/* Nothing goes beside the rendezvous: an id that it has brought is taken as it is,
 * at each end, and two others than each other's never meet. */
static void invited_otherwise(void)
{
	struct pfw_channel_info info = { .size = sizeof(info), .to = 1,
					 .n_slots = 1, .slot_bytes = 64,
					 .memory = PFW_MEM_HOST };
	struct pfw_group_id id[2];
	int rc[2] = { -EAGAIN, -EAGAIN };
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open_transports(&p, NULL), 0);
	info.sending = 1;
	CU_ASSERT_EQUAL(p.ops->invite(p.transport[0], &info, &id[0], &p.err), 0);
	id[1] = id[0];
	id[1].bytes[0] = 'F';
	for (uint32_t i = 0; i < 2000; i++) {
		info.sending = !(i % 2);
		info.id = &id[i % 2];
		rc[i % 2] = p.ops->open_channel(p.transport[i % 2], &info,
						&p.address[!(i % 2)],
						&p.end[i % 2], &p.err);
	}
	CU_ASSERT(rc[0] == -EAGAIN && rc[1] == -EAGAIN);
	pair_close(&p);
}

/* Slots are NCCL's and registered where it has that, and work all the same where it
 * has not, or where it will not register them. */
static void memory_of_nccl(void)
{
	static const uint32_t memory[] = { PFW_MEM_HOST, PFW_MEM_CUDA };
	unsigned before = fake_nccl_listed();
	struct pair p;

	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, memory[i], 64), 0);
		CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
		pair_close(&p);
		CU_ASSERT_EQUAL(fake_nccl_listed(), before += 2);
		CU_ASSERT_EQUAL_FATAL(
			pair_open(&p, "library=" OLD_LIBRARY, memory[i], 64), 0);
		CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
		pair_close(&p);
		CU_ASSERT_EQUAL(fake_nccl_listed(), before);
	}
	CU_ASSERT_EQUAL_FATAL(pair_open_transports(&p, NULL), 0);
	fake_nccl_fail("ncclCommRegister", 1, ncclSystemError);
	CU_ASSERT_EQUAL(pair_open_ends(&p, 0, PFW_MEM_CUDA, 64, p.end), 0);
	CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
	pair_close(&p);
	CU_ASSERT_EQUAL(fake_nccl_listed(), before + 1);
	CU_ASSERT_EQUAL_FATAL(pair_open_transports(&p, NULL), 0);
	fake_nccl_fail("ncclMemAlloc", 1, ncclSystemError);
	CU_ASSERT_EQUAL(pair_open_ends(&p, 0, PFW_MEM_CUDA, 64, p.end), -ENOMEM);
	pair_expect(&p, "no memory of the GPU");
	pair_close(&p);
}

static const struct unit_test tests[] = {
	{ "memory of host and device", both_memories },
	{ "memory of NCCL, and none", memory_of_nccl },
	{ "256 MiB", large },
	{ "issued in order", in_order },
	{ "ordered by queues alone", by_queues },
	{ "one communicator for an edge", one_for_an_edge },
	{ "an id that a launcher has brought", invited },
	{ "an id that is another at the other end", invited_otherwise },
};

UNIT_MAIN("nccl", tests)
