/*
 * conformance.c: what the contract of transport.h promises, asked of every
 * transport that is found.
 */
#include "conformance.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>


const struct subject *subject;
const struct pfw_transport_ops *ops;

static void test_props(void)
{
	struct pfw_transport_props p = { .size = sizeof(p) };

	subject_props(subject, &p);
	CU_ASSERT_EQUAL(p.size, sizeof(p));
	CU_ASSERT(p.order >= PFW_ORDER_CHANNEL && p.order <= PFW_ORDER_RANK);
	CU_ASSERT(p.receive == PFW_RECEIVE_EARLY ||
		  p.receive == PFW_RECEIVE_PLANNED);
	CU_ASSERT(p.memory != 0);
	CU_ASSERT(p.shared_slots <= 1 && p.stream_ordered <= 1);
	CU_ASSERT(p.max_slots >= 1);
	CU_ASSERT(p.max_bytes >= PFW_ALIGN);
	CU_ASSERT(p.receive == PFW_RECEIVE_EARLY || ops->post != NULL);
	CU_ASSERT(!p.stream_ordered || ops->bind_queue != NULL);
}

/* An older core knows less of the props: no byte behind its size is touched. */
static void test_props_of_older_core(void)
{
	struct pfw_transport_props p;
	size_t known = offsetof(struct pfw_transport_props, memory);

	memset(&p, 0x5a, sizeof(p));
	p.size = known;
	subject_props(subject, &p);
	CU_ASSERT_EQUAL(p.size, known);
	CU_ASSERT_EQUAL(p.memory, 0x5a5a5a5au);
}

static void fill(unsigned char *at, uint64_t n, uint64_t m)
{
	for (uint64_t i = 0; i < n; i++)
		at[i] = (unsigned char)(i * 31 + m * 17 + (i >> 9));
}

static bool filled(const unsigned char *at, uint64_t n, uint64_t m)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != (unsigned char)(i * 31 + m * 17 + (i >> 9)))
			return false;
	return true;
}

static void pass_one(struct pair *p, uint64_t m, uint32_t slot, uint64_t bytes)
{
	struct pfw_message_id id = id_of(m), got;
	uint32_t s = PFW_NONE;
	uint64_t n = UINT64_MAX;

	CU_ASSERT_EQUAL_FATAL(must_acquire(subject, p->tx, slot), 0);
	fill(ops->slot(p->tx, slot), bytes, m);
	CU_ASSERT_EQUAL_FATAL(ops->send(p->tx, slot, bytes, &id, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(must_recv(subject, p->rx, &s, &n, &got), 0);
	CU_ASSERT_EQUAL_FATAL(s, slot);
	CU_ASSERT_EQUAL_FATAL(n, bytes);
	CU_ASSERT(id_is(&got, m));
	CU_ASSERT(filled(ops->slot(p->rx, slot), bytes, m));
	CU_ASSERT_EQUAL(ops->release(p->rx, slot, NULL), 0);
}

static void sizes(uint32_t from, uint64_t slot_bytes)
{
	const uint64_t bytes[] = { 0, 1, 3, 63, 64, 4097, slot_bytes - 1, slot_bytes };
	struct pair p;
	uint64_t m = 0;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, from, 2, slot_bytes), 0);
	for (uint32_t slot = 0; slot < 2; slot++) {
		CU_ASSERT_EQUAL((uintptr_t)ops->slot(p.tx, slot) % PFW_ALIGN, 0);
		CU_ASSERT_EQUAL((uintptr_t)ops->slot(p.rx, slot) % PFW_ALIGN, 0);
		for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
			if (bytes[i] <= slot_bytes)
				pass_one(&p, m++, slot, bytes[i]);
	}
	pair_close(&p);
}

static void test_sizes(void)
{
	sizes(0, 64);
	sizes(1, 64);
	sizes(0, 65536 + 64);
	sizes(1, 1 << 20);
}

static void test_large(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, 0, 1, 64u << 20), 0);
	pass_one(&p, 0, 0, 64u << 20);
	pass_one(&p, 1, 0, (64u << 20) - 13);
	pair_close(&p);
}

/* All slots in flight; freed in another order than they came in. */
static void test_full(void)
{
	enum { N = 5 };
	static const uint32_t order[N] = { 3, 0, 4, 1, 2 };
	struct pfw_message_id id;
	struct pair p;
	uint64_t bytes;
	uint32_t slot;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, 0, N, 128), 0);
	CU_ASSERT_EQUAL(ops->recv(p.rx, &slot, &bytes, &id, NULL), -EAGAIN);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < N; i++) {
			id = id_of(round * N + i);
			CU_ASSERT_EQUAL(must_acquire(subject, p.tx, order[i]), 0);
			CU_ASSERT_EQUAL(ops->send(p.tx, order[i], i, &id, NULL), 0);
		}
		for (uint32_t i = 0; i < N; i++)
			CU_ASSERT_EQUAL(ops->acquire(p.tx, i, NULL), -EAGAIN);
		for (uint32_t i = 0; i < N; i++) {
			CU_ASSERT_EQUAL(must_recv(subject, p.rx, &slot, &bytes, &id), 0);
			CU_ASSERT_EQUAL(slot, order[i]);
			CU_ASSERT_EQUAL(bytes, i);
			CU_ASSERT(id_is(&id, round * N + i));
		}
		CU_ASSERT_EQUAL(ops->recv(p.rx, &slot, &bytes, &id, NULL), -EAGAIN);
		CU_ASSERT_EQUAL(ops->acquire(p.tx, 2, NULL), -EAGAIN);
		CU_ASSERT_EQUAL(ops->release(p.rx, 2, NULL), 0);
		CU_ASSERT_EQUAL(must_acquire(subject, p.tx, 2), 0);
		CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, NULL), -EAGAIN);
		for (uint32_t i = 0; i < N; i++)
			if (i != 2)
				CU_ASSERT_EQUAL(ops->release(p.rx, i, NULL), 0);
	}
	pair_close(&p);
}

static void test_misuse(void)
{
	struct pfw_message_id id = id_of(0);
	struct pfw_error err = { 0 };
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, 0, 2, 128), 0);
	CU_ASSERT_EQUAL(ops->send(p.tx, 0, 1, &id, &err), -EINVAL);
	CU_ASSERT_EQUAL(ops->release(p.rx, 1, &err), -EINVAL);
	CU_ASSERT_EQUAL(ops->acquire(p.tx, 2, &err), -EINVAL);
	CU_ASSERT_EQUAL(must_acquire(subject, p.tx, 0), 0);
	CU_ASSERT_EQUAL(ops->send(p.tx, 0, 129, &id, &err), -EMSGSIZE);
	CU_ASSERT(err.text[0] != 0);
	pass_one(&p, 1, 0, 128);
	pair_close(&p);
}

static void test_wait_has_a_deadline(void)
{
	struct pair p;
	struct pfw_message_id id = id_of(0);

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, 0, 1, 64), 0);
	CU_ASSERT_EQUAL(ops->wait(p.rx, PFW_NONE, 0), -ETIMEDOUT);
	CU_ASSERT_EQUAL(ops->check(p.rx, NULL), 0);
	CU_ASSERT_EQUAL(must_acquire(subject, p.tx, 0), 0);
	CU_ASSERT_EQUAL(ops->send(p.tx, 0, 1, &id, NULL), 0);
	while (ops->wait(p.tx, 0, pfw_now() + 5 * PFW_MS) != -ETIMEDOUT)
		CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(ops->check(p.tx, NULL), 0);
	pair_close(&p);
}

static void test_close_in_flight(void)
{
	struct pfw_message_id id = id_of(0);
	struct pair p;

	for (int first = 0; first < 2; first++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, 0, 3, 4096), 0);
		for (uint32_t i = 0; i < 3; i++) {
			CU_ASSERT_EQUAL(must_acquire(subject, p.tx, i), 0);
			CU_ASSERT_EQUAL(ops->send(p.tx, i, 9, &id, NULL), 0);
		}
		ops->close_channel(first ? p.rx : p.tx);
		CU_ASSERT_EQUAL(ops->check(first ? p.tx : p.rx, NULL), -EPIPE);
		if (first)
			p.rx = NULL;
		else
			p.tx = NULL;
		pair_close(&p);
	}
}

/* Half-open ends close, and nothing is where it was not opened. */
static void test_close_half_open(void)
{
	struct pfw_channel_info info = channel_info(0, 0, 2, 64);
	struct end e[2];
	void *rx = NULL, *tx = NULL;

	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(end_open(&e[r], subject, r, 5, 0), 0);
	CU_ASSERT_EQUAL(end_try(&e[1], &info, &e[0].self, &rx), -EAGAIN);
	ops->close_channel(rx);
	CU_ASSERT_EQUAL(end_try(&e[0], &info, &e[1].self, &tx), -EAGAIN);
	ops->close_channel(tx);
	ops->close_channel(NULL);
	end_close(&e[0]);
	end_close(&e[1]);
	ops->close(NULL);
}

/* Four channels, each end opening them in an order of its own. */
static void test_any_order(void)
{
	static const uint32_t order[2][4] = { { 0, 1, 2, 3 }, { 2, 3, 1, 0 } };
	struct pfw_channel_info info[4];
	struct end e[2];
	void *channel[2][4] = { { 0 } };
	int rc[2][4], left = 8;

	for (uint32_t c = 0; c < 4; c++) {
		info[c] = channel_info(c & 1, c / 2, 1 + c, 64 + 64 * c);
		rc[0][c] = rc[1][c] = -EAGAIN;
	}
	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(end_open(&e[r], subject, r, 5, 0), 0);
	for (uint64_t end = pfw_now() + PATIENCE; left && pfw_now() < end;)
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t r = i / 4, c = order[r][i % 4];

			if (rc[r][c] != -EAGAIN)
				continue;
			rc[r][c] = end_try(&e[r], &info[c], &e[!r].self,
					   &channel[r][c]);
			left -= rc[r][c] == 0;
			CU_ASSERT_FATAL(rc[r][c] == 0 || rc[r][c] == -EAGAIN);
		}
	CU_ASSERT_EQUAL_FATAL(left, 0);
	for (uint32_t c = 0; c < 4; c++) {
		struct pair p = {
			.end = { e[0], e[1] },
			.tx = channel[info[c].from][c],
			.rx = channel[info[c].to][c],
		};

		pass_one(&p, c, c, 64 + 64 * c);
		ops->close_channel(p.tx);
		ops->close_channel(p.rx);
	}
	end_close(&e[0]);
	end_close(&e[1]);
}

/* Who does not belong here is refused, and does not keep out who does. */
static void test_wrong_job(void)
{
	struct pfw_channel_info info = channel_info(0, 0, 2, 64);
	struct end good, bad, rx;
	void *tx = NULL, *stranger = NULL, *c = NULL;
	int refused = -EAGAIN, a = -EAGAIN, b = -EAGAIN;

	CU_ASSERT_EQUAL_FATAL(end_open(&good, subject, 0, 5, 0), 0);
	CU_ASSERT_EQUAL_FATAL(end_open(&bad, subject, 0, 6, 0), 0);
	CU_ASSERT_EQUAL_FATAL(end_open(&rx, subject, 1, 5, 0), 0);
	for (int i = 0; i < 100 && refused == -EAGAIN; i++) {
		refused = end_try(&bad, &info, &rx.self, &stranger);
		CU_ASSERT_EQUAL(end_try(&rx, &info, &good.self, &c), -EAGAIN);
	}
	CU_ASSERT_NOT_EQUAL(refused, 0);
	CU_ASSERT(refused == -EAGAIN || bad.err.text[0]);
	for (int i = 0; i < 100 && (a == -EAGAIN || b == -EAGAIN); i++) {
		if (a == -EAGAIN)
			a = end_try(&good, &info, &rx.self, &tx);
		if (b == -EAGAIN)
			b = end_try(&rx, &info, &good.self, &c);
	}
	CU_ASSERT_EQUAL(a, 0);
	CU_ASSERT_EQUAL(b, 0);
	ops->close_channel(stranger);
	ops->close_channel(tx);
	ops->close_channel(c);
	end_close(&good);
	end_close(&bad);
	end_close(&rx);
}

/* Two plans: both ends say so, and neither opens. */
static void test_two_plans(void)
{
	struct pfw_channel_info one = channel_info(0, 0, 2, 64);
	struct pfw_channel_info other = channel_info(0, 0, 3, 64);
	struct end e[2];
	void *tx = NULL, *rx = NULL;
	int a = -EAGAIN, b = -EAGAIN;

	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(end_open(&e[r], subject, r, 5, 0), 0);
	for (int i = 0; i < 100 && (a == -EAGAIN || b == -EAGAIN); i++) {
		if (a == -EAGAIN)
			a = end_try(&e[0], &one, &e[1].self, &tx);
		if (b == -EAGAIN)
			b = end_try(&e[1], &other, &e[0].self, &rx);
	}
	CU_ASSERT(a < 0 && a != -EAGAIN && e[0].err.text[0]);
	CU_ASSERT(b < 0 && b != -EAGAIN && e[1].err.text[0]);
	ops->close_channel(tx);
	ops->close_channel(rx);
	end_close(&e[0]);
	end_close(&e[1]);
}

static void test_bad_address(void)
{
	struct pfw_channel_info info = channel_info(0, 0, 2, 64);
	struct pfw_address bad = { .len = 508 };
	struct end e;
	void *c = NULL;

	memset(bad.bytes, 0xff, sizeof(bad.bytes));
	CU_ASSERT_EQUAL_FATAL(end_open(&e, subject, 0, 5, 0), 0);
	CU_ASSERT_EQUAL(end_try(&e, &info, &bad, &c), -EINVAL);
	bad.len = UINT32_MAX;
	CU_ASSERT_EQUAL(end_try(&e, &info, &bad, &c), -EINVAL);
	ops->close_channel(c);
	end_close(&e);
}

static void test_stats(void)
{
	struct pfw_transport_props props = { .size = sizeof(props) };
	struct pfw_channel_stats st = { .size = sizeof(st) };
	struct pair p;

	if (!ops->stats)
		return;
	subject_props(subject, &props);
	CU_ASSERT_EQUAL_FATAL(pair_open(&p, subject, 0, 2, 4096), 0);
	for (uint32_t m = 0; m < 7; m++)
		pass_one(&p, m, m % 2, 1000);
	ops->stats(p.rx, &st);
	CU_ASSERT_EQUAL(st.messages, 7);
	CU_ASSERT_EQUAL(st.bytes, 7000);
	CU_ASSERT(!props.shared_slots || st.copied_bytes == 0);
	ops->stats(p.tx, &st);
	CU_ASSERT_EQUAL(st.messages, 7);
	CU_ASSERT_EQUAL(st.bytes, 7000);
	pair_close(&p);
}

static CU_TestInfo tests[] = {
	{ "its properties make sense", test_props },
	{ "an older core's properties", test_props_of_older_core },
	{ "sizes in both directions", test_sizes },
	{ "64 MiB in one message", test_large },
	{ "all slots in flight, freed in any order", test_full },
	{ "misuse is refused", test_misuse },
	{ "wait() has a deadline", test_wait_has_a_deadline },
	{ "closed with messages in flight", test_close_in_flight },
	{ "closed half-open", test_close_half_open },
	{ "channels opened in any order", test_any_order },
	{ "another run's rank is refused", test_wrong_job },
	{ "two plans are refused", test_two_plans },
	{ "a bad address is refused", test_bad_address },
	{ "counters", test_stats },
	{ "10^5 messages between threads", test_threads },
	{ "10^5 messages between processes", test_processes },
	{ "both ends on one core", test_one_core },
	{ "the sender is killed", test_killed_sender },
	{ "the receiver is killed", test_killed_receiver },
	CU_TEST_INFO_NULL,
};

static unsigned conform(const struct subject *s)
{
	CU_SuiteInfo suites[] = {
		{ .pName = s->name, .pTests = tests },
		CU_SUITE_INFO_NULL,
	};
	unsigned failures;

	subject = s;
	ops = s->ops;
	if (CU_initialize_registry() || CU_register_suites(suites))
		return 1;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures;
}

int main(void)
{
	struct subjects s;
	struct pfw_error err;
	unsigned failures = 0;
	char scratch[64];

	if (subjects_load(&s, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	scratch_make(scratch);
	if (chdir(scratch))
		return 99;
	for (size_t i = 0; i < s.n; i++)
		failures += conform(&s.list[i]);
	if (!s.n)
		printf("no transport that can run here\n");
	subjects_free(&s);
	scratch_remove(scratch);
	return failures ? 1 : 0;
}
