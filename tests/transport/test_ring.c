/*
 * test_ring.c: the shared-memory ring on plain memory, both ends at the same
 * addresses: what a race checker can follow, and what a mad peer can write.
 */
#include "../../plugins/transports/shm/ring.h"
#include "../unit/unit.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES 200000u

struct both {
	struct shm_header header;
	unsigned char *base;
	struct shm_ring tx, rx;
};

static void both_open(struct both *b, uint32_t n_slots, uint64_t slot_bytes)
{
	struct pfw_channel_info info = {
		.size = sizeof(info),
		.to = 1,
		.n_slots = n_slots,
		.slot_bytes = slot_bytes,
		.memory = PFW_MEM_HOST,
	};

	CU_ASSERT_EQUAL_FATAL(shm_layout(&info, 1, 4096, &b->header, NULL), 0);
	b->base = aligned_alloc(4096, b->header.total);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->base);
	memset(b->base, 0, b->header.total);
	CU_ASSERT_EQUAL_FATAL(shm_ring_init(&b->tx, &b->header, b->base), 0);
	CU_ASSERT_EQUAL_FATAL(shm_ring_init(&b->rx, &b->header, b->base), 0);
}

static void both_close(struct both *b)
{
	shm_ring_free(&b->tx);
	shm_ring_free(&b->rx);
	free(b->base);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

static bool change(const struct shm_watch *w)
{
	if (!shm_spin(w, 0, 0))
		shm_sleep(w, pfw_now() + 60 * PFW_S);
	return true;
}

/* Slots in no order; each carries the number of its message throughout. */
static void *send_all(void *arg)
{
	struct shm_ring *tx = arg;
	uint32_t random = 1;

	for (uint64_t m = 0; m < MESSAGES; m++) {
		struct pfw_message_id id = { .sequence = m };
		uint32_t s = next_random(&random) % tx->n_slots;
		uint64_t *payload = (void *)(tx->slots + s * tx->stride);
		struct shm_watch w;

		while (shm_ring_acquire(tx, s, NULL)) {
			w = shm_ring_watch_slot(tx, s);
			change(&w);
		}
		for (int i = 0; i < 8; i++)
			payload[i] = m;
		if (shm_ring_send(tx, s, 64, &id, NULL))
			break;
	}
	return NULL;
}

static void messages(uint32_t n_slots)
{
	struct both b;
	pthread_t sender;
	uint64_t m, bytes = 0;
	struct pfw_message_id id;
	struct shm_watch w;
	uint32_t s;

	both_open(&b, n_slots, 64);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&sender, NULL, send_all, &b.tx), 0);
	for (m = 0; m < MESSAGES; m++) {
		const uint64_t *payload;

		while (shm_ring_recv(&b.rx, &s, &bytes, &id, NULL)) {
			w = shm_ring_watch_message(&b.rx);
			change(&w);
		}
		payload = (const void *)(b.rx.slots + s * b.rx.stride);
		if (bytes != 64 || id.sequence != m || payload[0] != m ||
		    payload[7] != m || shm_ring_release(&b.rx, s, NULL))
			break;
	}
	pthread_join(sender, NULL);
	CU_ASSERT_EQUAL(m, MESSAGES);
	both_close(&b);
}

static void test_messages(void)
{
	messages(1);
	messages(3);
	messages(8);
}

static int recv_one(struct both *b, struct pfw_error *err)
{
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;

	return shm_ring_recv(&b->rx, &slot, &bytes, &id, err);
}

/* What a mad peer wrote is an error that says so, for good. */
static void test_damage(void)
{
	static const struct {
		const char *says;
		uint64_t sequence, bytes;
		uint32_t slot;
	} damage[] = {
		{ "sequence", 2, 0, 0 },
		{ "sequence", UINT64_MAX, 0, 0 },
		{ "slot", 1, 0, 3 },
		{ "slot", 1, 0, UINT32_MAX },
		{ "byte count", 1, 65, 0 },
		{ "byte count", 1, UINT64_MAX, 0 },
	};
	struct both b;

	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct pfw_error err = { 0 };

		both_open(&b, 3, 64);
		CU_ASSERT_EQUAL(recv_one(&b, NULL), -EAGAIN);
		b.tx.descriptors[0].bytes = damage[i].bytes;
		b.tx.descriptors[0].slot = damage[i].slot;
		atomic_store(&b.tx.descriptors[0].sequence, damage[i].sequence);
		CU_ASSERT_EQUAL(recv_one(&b, &err), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, damage[i].says));
		CU_ASSERT_EQUAL(recv_one(&b, NULL), -EBADMSG);
		both_close(&b);
	}
}

/* A slot that is still read is sent again; a count of releases runs ahead. */
static void test_damaged_slots(void)
{
	struct pfw_message_id id = { 0 };
	struct pfw_error err = { 0 };
	struct both b;

	both_open(&b, 3, 64);
	CU_ASSERT_EQUAL(shm_ring_acquire(&b.tx, 1, NULL), 0);
	CU_ASSERT_EQUAL(shm_ring_send(&b.tx, 1, 64, &id, NULL), 0);
	CU_ASSERT_EQUAL(recv_one(&b, NULL), 0);
	b.tx.descriptors[1].slot = 1;
	atomic_store(&b.tx.descriptors[1].sequence, 2);
	CU_ASSERT_EQUAL(recv_one(&b, &err), -EBADMSG);
	CU_ASSERT_EQUAL(shm_ring_acquire(&b.tx, 1, &err), -EAGAIN);
	atomic_store(&b.tx.released[1], 7);
	CU_ASSERT_EQUAL(shm_ring_acquire(&b.tx, 1, &err), -EBADMSG);
	both_close(&b);
}

static void test_layout_refuses(void)
{
	static const struct {
		uint32_t from, n_slots, memory;
		uint64_t slot_bytes;
		int rc;
	} bad[] = {
		{ 1, 1, PFW_MEM_HOST, 64, -EINVAL },
		{ 0, 0, PFW_MEM_HOST, 64, -EINVAL },
		{ 0, SHM_MAX_SLOTS + 1, PFW_MEM_HOST, 64, -EINVAL },
		{ 0, 1, PFW_MEM_HOST, 63, -EINVAL },
		{ 0, 1, PFW_MEM_HOST, 1ull << 63, -EINVAL },
		{ 0, 4, PFW_MEM_HOST, 1ull << 62, -EINVAL },
		{ 0, 3, PFW_MEM_HOST, 1ull << 39, -EINVAL },
		{ 0, 1, PFW_MEM_CUDA, 64, -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pfw_channel_info info = {
			.size = sizeof(info),
			.from = bad[i].from,
			.to = 1,
			.n_slots = bad[i].n_slots,
			.slot_bytes = bad[i].slot_bytes,
			.memory = bad[i].memory,
		};
		struct pfw_error err = { 0 };
		struct shm_header h;

		CU_ASSERT_EQUAL(shm_layout(&info, 1, 4096, &h, &err), bad[i].rc);
		CU_ASSERT(err.text[0] != 0);
	}
}

static const struct unit_test tests[] = {
	{ "messages between threads", test_messages },
	{ "damaged descriptors", test_damage },
	{ "damaged slots", test_damaged_slots },
	{ "impossible channels", test_layout_refuses },
};

UNIT_MAIN("shm ring", tests)
