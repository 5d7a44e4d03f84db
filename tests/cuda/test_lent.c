/* Slots of shm that are a device's memory, both ends in one process: what queues
 * keep in order by themselves, and what becomes of one that waits in vain. */
#include "cuda/fake_cuda.h"
#include "transport/harness.h"
#include "unit/unit.h"

#include <pipefw/device.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define DEVICE "tests/cuda/.libs/pipefw-cuda-device.so"
#define BYTES 4096u
#define MESSAGES 40u

static struct pfw_registry *registry;
static struct pfw_subject shm;
static const struct pfw_device_ops *cuda;

struct side {
	struct pfw_end end;
	void *device, *queue, *channel;
};

struct both {
	const struct pfw_device_ops *ops;
	struct side side[2]; /* by rank; 0 sends */
};

static int side_open(struct both *b, uint32_t rank)
{
	struct pfw_device_info info = { .size = sizeof(info), .rank = rank,
					.dtype = PFW_F32, .threads = 1,
					.index = rank };
	struct pfw_device_props props = { .size = sizeof(props) };
	struct side *s = &b->side[rank];
	int rc = pfw_end_open(&s->end, &shm, rank, 5, 0);

	if (!rc)
		rc = b->ops->open(NULL, &info, &s->device, &props, &s->end.err);
	return rc ? rc : b->ops->open_queue(s->device, &s->queue, &s->end.err);
}

/* The transport looks at the owner's own. */
static int side_try(struct both *b, uint32_t rank, uint32_t kind,
		    void **channel)
{
	struct pfw_channel_info info = pfw_end_channel_info(0, kind, 3, BYTES);
	struct side *s = &b->side[rank];

	info.memory = PFW_MEM_CUDA;
	info.device_ops = b->ops;
	info.device = s->device;
	return pfw_end_try(&s->end, &info, &b->side[!rank].end.self, channel);
}

static int side_meet(struct both *b, uint32_t rank)
{
	return side_try(b, rank, 0, &b->side[rank].channel);
}

static void sides_open(struct both *b)
{
	const struct pfw_loaded *plugin;

	CU_ASSERT_EQUAL_FATAL(pfw_registry_get(registry, PFW_KIND_DEVICE,
					       DEVICE, &plugin, NULL), 0);
	cuda = &plugin->ops.device;
	*b = (struct both){ .ops = cuda };
	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(side_open(b, r), 0);
}

static void both_open(struct both *b, int bind)
{
	int rc[2] = { -EAGAIN, -EAGAIN };

	sides_open(b);
	for (int i = 0; i < 20 && (rc[0] || rc[1]); i++)
		for (uint32_t r = 0; r < 2; r++)
			if (rc[r] == -EAGAIN)
				rc[r] = side_meet(b, r);
	CU_ASSERT_FATAL(!rc[0] && !rc[1]);
	for (uint32_t r = 0; bind && r < 2; r++)
		CU_ASSERT_EQUAL(shm.ops->bind_queue(b->side[r].channel,
						    b->side[r].queue, NULL), 0);
}

/* The receiver first, as it borrows. */
static void both_close(struct both *b)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct side *s = &b->side[!i];

		b->ops->close_queue(s->queue);
		shm.ops->close_channel(s->channel);
		pfw_end_close(&s->end);
		b->ops->close(s->device);
	}
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

static void hold(void *arg)
{
	while (!atomic_load((atomic_int *)arg))
		usleep(100);
}

struct kernel {
	unsigned char *at;
	unsigned char value;
	int wrong;
};

static void write_kernel(void *arg)
{
	struct kernel *k = arg;

	memset(k->at, k->value, BYTES);
}

static void read_kernel(void *arg)
{
	struct kernel *k = arg;

	for (uint32_t i = 0; i < BYTES; i++)
		k->wrong += k->at[i] != k->value;
}

static void launch(struct both *b, uint32_t rank, void (*run)(void *),
		   struct kernel *k, uint32_t slot, uint32_t m)
{
	*k = (struct kernel){ shm.ops->slot(b->side[rank].channel, slot),
			      (unsigned char)(m + 1), 0 };
	CU_ASSERT_EQUAL(cudaLaunchHostFunc(
				b->ops->native(b->side[rank].queue), run, k), 0);
}

/* @wait: the host keeps the order. */
static int send_one(struct both *b, uint32_t m, struct kernel *k, int wait)
{
	struct pfw_message_id id = { .sequence = m };
	void *channel = b->side[0].channel;
	int rc = pfw_must_acquire(&shm, channel, m % 3);

	if (rc)
		return rc;
	launch(b, 0, write_kernel, k, m % 3, m);
	if (wait)
		CU_ASSERT_EQUAL(b->ops->sync(b->side[0].queue, NULL), 0);
	return shm.ops->send(channel, m % 3, BYTES, &id, NULL);
}

static int take_one(struct both *b, uint32_t m, struct kernel *k)
{
	void *channel = b->side[1].channel;
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;
	int rc = pfw_must_recv(&shm, channel, &slot, &bytes, &id);

	if (rc || slot != m % 3 || bytes != BYTES || id.sequence != m)
		return rc ? rc : -EBADMSG;
	launch(b, 1, read_kernel, k, slot, m);
	return shm.ops->release(channel, slot, NULL);
}

/* Hosts far ahead of both queues, which begin when all is queued that fits. */
static void ahead(void)
{
	static struct kernel out[MESSAGES], in[MESSAGES];
	atomic_int go = 0;
	struct both b;
	int wrong = 0;

	both_open(&b, 1);
	CU_ASSERT_EQUAL(cudaLaunchHostFunc(b.ops->native(b.side[0].queue), hold,
					   &go), 0);
	for (uint32_t m = 0; m < MESSAGES; m++) {
		CU_ASSERT_EQUAL(send_one(&b, m, &out[m], 0), 0);
		CU_ASSERT_EQUAL(take_one(&b, m, &in[m]), 0);
	}
	CU_ASSERT_EQUAL(cudaStreamQuery(b.ops->native(b.side[1].queue)),
			cudaErrorNotReady);
	atomic_store(&go, 1);
	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL(b.ops->sync(b.side[r].queue, NULL), 0);
	for (uint32_t m = 0; m < MESSAGES; m++)
		wrong += in[m].wrong;
	CU_ASSERT_EQUAL(wrong, 0);
	both_close(&b);
}

/* One end bound, the other not: what the host keeps and what queues keep agree. */
static void one_end_alone(void)
{
	static struct kernel out[MESSAGES], in[MESSAGES];

	for (uint32_t bound = 0; bound < 2; bound++) {
		struct both b;

		both_open(&b, 0);
		CU_ASSERT_EQUAL(shm.ops->bind_queue(b.side[bound].channel,
						    b.side[bound].queue, NULL),
				0);
		for (uint32_t m = 0; m < MESSAGES; m++) {
			CU_ASSERT_EQUAL(send_one(&b, m, &out[m], bound), 0);
			CU_ASSERT_EQUAL(take_one(&b, m, &in[m]), 0);
			CU_ASSERT_EQUAL(b.ops->sync(b.side[1].queue, NULL), 0);
			CU_ASSERT_EQUAL(in[m].wrong, 0);
		}
		both_close(&b);
	}
}

/* The sender's queue never comes so far. */
static void in_vain(void)
{
	struct kernel out, in;
	atomic_int go = 0;
	struct both b;

	both_open(&b, 1);
	CU_ASSERT_EQUAL(cudaLaunchHostFunc(b.ops->native(b.side[0].queue), hold,
					   &go), 0);
	CU_ASSERT_EQUAL(send_one(&b, 0, &out, 0), 0);
	CU_ASSERT_EQUAL(take_one(&b, 0, &in), 0);
	CU_ASSERT_EQUAL(cudaStreamQuery(b.ops->native(b.side[1].queue)),
			cudaErrorNotReady);
	CU_ASSERT_EQUAL(shm.ops->bind_queue(b.side[1].channel, NULL, NULL), 0);
	CU_ASSERT_EQUAL(b.ops->sync(b.side[1].queue, NULL), 0);
	CU_ASSERT(in.wrong > 0);
	atomic_store(&go, 1);
	both_close(&b);
}

static void slots_are_memory_of_the_device(void)
{
	struct both b;

	both_open(&b, 0);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT(fake_cuda_is_device(shm.ops->slot(b.side[0].channel, i),
					      BYTES));
		CU_ASSERT_EQUAL(shm.ops->slot(b.side[0].channel, i),
				shm.ops->slot(b.side[1].channel, i));
	}
	both_close(&b);
}

static int refuse_once(void *device, const struct pfw_lent *from, int ours,
		       void **out, int *in_place, struct pfw_error *err)
{
	static int n_calls;

	if (!n_calls++)
		return pfw_error_set(err, ENOTSUP, "refused once");
	return cuda->borrow(device, from, ours, out, in_place, err);
}

/* Channels are opened in turn: one is half open when another one is refused. */
static void what_failed_is_not_tried_again(void)
{
	void *other[2] = { NULL, NULL };
	struct pfw_device_ops ops;
	struct both b;

	sides_open(&b);
	ops = *cuda;
	ops.borrow = refuse_once;
	b.ops = &ops;
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(side_meet(&b, !i), -EAGAIN);
		CU_ASSERT_EQUAL(side_try(&b, !i, 1, &other[!i]), -EAGAIN);
	}
	CU_ASSERT_EQUAL(side_meet(&b, 1), -ENOTSUP);
	CU_ASSERT_EQUAL(side_try(&b, 1, 1, &other[1]), -ENOTSUP);
	for (uint32_t i = 0; i < 2; i++)
		shm.ops->close_channel(other[!i]);
	both_close(&b);
}

static const struct unit_test tests[] = {
	{ "slots are memory of the device", slots_are_memory_of_the_device },
	{ "hosts ahead of their queues", ahead },
	{ "one end has a queue", one_end_alone },
	{ "a queue that waits in vain", in_vain },
	{ "what failed is not tried again", what_failed_is_not_tried_again },
};

int main(void)
{
	struct pfw_error err;
	int rc;

	if (pfw_registry_open(NULL, &registry, &err) ||
	    subject_load(registry, "shm", "", NULL, &shm, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 99;
	}
	rc = unit_run("slots of a device", tests,
		       sizeof(tests) / sizeof(tests[0]));
	subject_free(&shm);
	pfw_registry_close(registry);
	return rc;
}
