/*
 * The verbs transport over a stand-in for libibverbs: what no Soft-RoCE shows.
 */
#include "pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugins/transports/verbs/wire.h"
#include "settings/config.h"
#include "unit/unit.h"

/* Time that passes without waiting for it. */
static time_t skipped;

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	int rc = __real_clock_gettime(clock, out);

	out->tv_sec += skipped;
	return rc;
}

/* Every way that a message can go: inline, in one write, cut, over all lanes. */
static void test_sizes(void)
{
	static const char *const options[] = { NULL, "qps=4", "notify=send" };
	static const uint64_t sizes[] = { 0, 1, 64, 65, 8128, 8129, 262143, 262144,
					  1048576, 3 << 20 };
	struct pair p;

	for (size_t o = 0; o < 3; o++) {
		uint64_t m = 0;

		CU_ASSERT_EQUAL_FATAL(pair_open(&p, options[o], 3, 3 << 20), 0);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			for (uint32_t slot = 0; slot < 3; slot++, m++)
				CU_ASSERT_EQUAL(pair_pass(&p, slot, m, sizes[i]), 0);
		pair_close(&p);
	}
}

/* What ends messages, where both ends chose: an immediate unless one has none. */
static void notified(unsigned no_immediate, bool no_list, const char *option,
		     unsigned immediates)
{
	static const uint8_t key[PFW_MAC_BYTES] = "the same";
	char words[256];
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_make(&p, option), 0);
	for (uint32_t r = 0; r < 2; r++) {
		fake.no_immediate = r ? no_immediate : 0;
		fake.no_list = no_list;
		CU_ASSERT_EQUAL_FATAL(pair_open_rank(&p, r, key), 0);
	}
	CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 2, 1 << 20), 0);
	for (uint64_t m = 0; m < 10; m++)
		CU_ASSERT_EQUAL(pair_pass(&p, m % 2, m, m % 3 ? 64 : 100000), 0);
	CU_ASSERT_EQUAL(fake.immediates, immediates);
	CU_ASSERT_EQUAL(fake.told, 10 - immediates);
	for (uint32_t r = 0; r < 2; r++) {
		ops->describe(p.transport[r], words, sizeof(words));
		CU_ASSERT_PTR_NOT_NULL(strstr(words, immediates ?
			"gid 1 and 1 more; WRITE_WITH_IMM; host memory" :
			"gid 1 and 1 more; WRITE, then SEND; host memory"));
	}
	pair_close(&p);
}

static void test_notify(void)
{
	notified(0, false, NULL, 10);
	notified(0, true, NULL, 10);
	notified(1, false, NULL, 0);
	notified(2, false, NULL, 0);
	notified(3, false, "notify=immediate", 10);
	notified(0, false, "notify=send", 0);
}

/* "list transports" says which. */
static void test_probe(void)
{
	char why[256];

	fake_reset();
	ops = pfw_plugin.ops;
	CU_ASSERT_EQUAL(ops->probe(why, sizeof(why)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "fake0 port 1, RoCE, MTU 4096, gid 1 "
				      "(127.0.0.1), WRITE_WITH_IMM; one of 2"));
	fake.no_immediate = 1;
	CU_ASSERT_EQUAL(ops->probe(why, sizeof(why)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, ", WRITE, then SEND;"));
	fake.iwarp = 1;
	CU_ASSERT_EQUAL(ops->probe(why, sizeof(why)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "fake1 port 1"));
	fake.iwarp = 3;
	CU_ASSERT_EQUAL(ops->probe(why, sizeof(why)), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "neither InfiniBand nor RoCE"));
	CU_ASSERT_EQUAL(fake_alive(), 0);
}

/* A device that is named and cannot be used. */
static void test_iwarp(void)
{
	static const uint8_t key[PFW_MAC_BYTES] = "the same";
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_make(&p, NULL), 0);
	fake.iwarp = 2;
	CU_ASSERT_EQUAL(pair_open_rank(&p, 0, key), -EPROTONOSUPPORT);
	pair_expect(&p, "fake1");
	pair_expect(&p, "iWARP");
	pfw_values_free(p.opt);
	CU_ASSERT_EQUAL(fake_alive(), 0);
}

/* Packets and work requests are no larger than both ends take, and each queue pair
 * begins with a number of its own. */
static void test_limits(void)
{
	static const uint8_t key[PFW_MAC_BYTES] = "the same";
	const uint8_t *const keys[2] = { key, key };
	struct pair p;

	for (uint32_t r = 0; r < 2; r++) {
		CU_ASSERT_EQUAL_FATAL(pair_open_ranks(&p, "qps=2", keys), 0);
		ops->close(p.transport[r]);
		fake.mtu = IBV_MTU_1024;
		fake.max_msg = 1 << 16;
		CU_ASSERT_EQUAL_FATAL(pair_open_rank(&p, r, key), 0);
		CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 2, 3 << 20), 0);
		CU_ASSERT_EQUAL(fake.path_mtu, IBV_MTU_1024);
		CU_ASSERT_EQUAL(fake.psn_again, 0);
		CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 3 << 20), 0);
		CU_ASSERT_EQUAL(pair_pass(&p, 1, 1, 100000), 0);
		CU_ASSERT_EQUAL(fake.longest, 1 << 16);
		pair_close(&p);
	}
}

/* What the fabric is asked for arrives at the queue pairs, and nobody may read. */
static void test_path(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, "traffic_class=106", 2, 4096), 0);
	CU_ASSERT_EQUAL(fake.path.grh.traffic_class, 106);
	CU_ASSERT_EQUAL(fake.path.sl, 0);
	CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 4096), 0);
	CU_ASSERT_EQUAL(fake.readable, 0);
	pair_close(&p);
	CU_ASSERT_EQUAL_FATAL(pair_open(&p, "sl=3", 2, 4096), 0);
	CU_ASSERT_EQUAL(fake.path.sl, 3);
	CU_ASSERT_EQUAL(fake.path.grh.traffic_class, 0);
	pair_close(&p);
}

/* Generations and moderation go round many times. */
static void test_many(void)
{
	struct pair p;
	uint64_t m = 0;
	int rc = 0;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, "qps=2", 2, 64), 0);
	for (; !rc && m < 140000; m++)
		rc = pair_pass(&p, m % 2, m, m % 65);
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(m, 140000);
	pair_close(&p);
}

/* Lanes overtake each other, within a message and from one to the next. */
static void test_reordered(void)
{
	struct pair p;
	uint32_t slot;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, "qps=2", 8, 1 << 20), 0);
	for (uint64_t round = 0; round < 5; round++) {
		fake.hold_wire = true;
		for (uint32_t i = 0; i < 8; i++)
			CU_ASSERT_EQUAL(pair_send(&p, i, round * 8 + i,
						 i % 3 ? 100 : 1 << 20), 0);
		CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 0), -EAGAIN);
		fake_deliver();
		fake.hold_wire = false;
		for (uint32_t i = 0; i < 8; i++) {
			CU_ASSERT_EQUAL(pair_take(&p, &slot, round * 8 + i,
						 i % 3 ? 100 : 1 << 20), 0);
			CU_ASSERT_EQUAL(slot, i);
			CU_ASSERT_EQUAL(ops->release(p.rx, slot, &p.err), 0);
		}
	}
	pair_close(&p);
}

/* The credit is there, but the device still reads the slot. */
static void test_late_completion(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 1, 1 << 20), 0);
	fake.hold_sent = true;
	CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 1 << 20), 0);
	CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, &p.err), -EAGAIN);
	CU_ASSERT_EQUAL(ops->wait(p.tx, 0, pfw_now() + PFW_MS), -ETIMEDOUT);
	fake_complete();
	CU_ASSERT_EQUAL(ops->wait(p.tx, 0, pfw_now() + PATIENCE), 0);
	CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, &p.err), 0);
	fake.hold_sent = false;
	pair_close(&p);
}

/* What a wait comes back for, when it was armed before. */
static void test_wakes(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 4096), 0);
	CU_ASSERT_EQUAL(ops->wait(p.rx, PFW_NONE, pfw_now() + PFW_MS), -ETIMEDOUT);
	for (uint64_t m = 0; m < 100; m++) {
		uint32_t slot;

		CU_ASSERT_EQUAL(pair_send(&p, m % 2, m, 4096), 0);
		CU_ASSERT_EQUAL(ops->wait(p.rx, PFW_NONE, pfw_now() + PATIENCE), 0);
		CU_ASSERT_EQUAL(pair_take(&p, &slot, m, 4096), 0);
		CU_ASSERT_EQUAL(ops->wait(p.rx, PFW_NONE, pfw_now() + 10000),
				-ETIMEDOUT);
		CU_ASSERT_EQUAL(ops->release(p.rx, slot, NULL), 0);
	}
	pair_close(&p);
}

static void test_wrong_key(void)
{
	static const uint8_t key[2][PFW_MAC_BYTES] = { "one", "another" };
	const uint8_t *const keys[2] = { key[0], key[1] };
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open_ranks(&p, NULL, keys), 0);
	CU_ASSERT_EQUAL(pair_open_ends(&p, 1, 64), -EACCES);
	pair_expect(&p, "for rank 1 does not know the run's key");
	pair_close(&p);
}

/* What comes over the fabric's TCP port from anybody. */
static int dial(const struct verbs_address *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)a->tcp_port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

/* Silence, garbage, and a hello of the right form do no harm; the last one's
 * author is told, by a sentence that he could not have written. */
static void test_strangers(void)
{
	static const uint8_t key[PFW_MAC_BYTES] = "the same";
	const uint8_t *const keys[2] = { key, key };
	struct verbs_hello h = { .magic = VERBS_MAGIC, .version = VERBS_VERSION,
				 .job = 9, .to = 1, .n_slots = 1, .n_lanes = 1,
				 .slot_bytes = 64, .lane[0].mtu = IBV_MTU_4096 };
	struct verbs_address a;
	struct pair p;
	char garbage[sizeof(h)];
	int fd[3];

	CU_ASSERT_EQUAL_FATAL(pair_open_ranks(&p, NULL, keys), 0);
	memcpy(&a, p.address[1].bytes, sizeof(a));
	memset(garbage, 0x55, sizeof(garbage));
	for (size_t i = 0; i < 3; i++)
		fd[i] = dial(&a);
	CU_ASSERT_EQUAL(send(fd[1], garbage, sizeof(garbage), 0), sizeof(garbage));
	CU_ASSERT_EQUAL(send(fd[2], &h, sizeof(h), 0), sizeof(h));
	CU_ASSERT_EQUAL(pair_open_ends(&p, 1, 64), 0);
	CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
	CU_ASSERT_EQUAL(recv(fd[1], garbage, 1, 0), 0);
	CU_ASSERT_EQUAL(recv(fd[2], &h, sizeof(h), MSG_WAITALL), sizeof(h));
	CU_ASSERT_EQUAL(h.code, EACCES);
	for (size_t i = 0; i < 3; i++)
		close(fd[i]);
	pair_close(&p);
}

static void test_no_registration(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 1, 64), 0);
	pair_close_ends(&p);
	for (unsigned n = 0; n < 3; n++) {
		fake.registrations_left = n;
		CU_ASSERT_EQUAL(pair_open_ends(&p, 2, 1 << 20), -ENOMEM);
		pair_expect(&p, "ulimit -l");
		pair_expect(&p, "LimitMEMLOCK");
		pair_close_ends(&p);
	}
	pair_close(&p);
}

/* A message that the queue does not take is an error; a credit waits. */
static void test_full_queue(void)
{
	struct pair p;
	uint32_t slot;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 64), 0);
	CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 8), 0);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 8), 0);
	fake.sends_left = 0;
	CU_ASSERT_EQUAL(ops->release(p.rx, slot, &p.err), 0);
	CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, &p.err), -EAGAIN);
	fake.sends_left = ~0u;
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 1, 8), -EAGAIN);
	CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, &p.err), 0);
	fake.sends_left = 0;
	CU_ASSERT_EQUAL(pair_send(&p, 0, 1, 8), -ECOMM);
	pair_expect(&p, "send queue is full");
	CU_ASSERT_EQUAL(pair_send(&p, 1, 2, 8), -ECOMM);
	pair_close(&p);
}

static void test_overflow(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 4, 64), 0);
	fake.cq_room = 1;
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(pair_send(&p, i, i, 8), 0);
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), -ECOMM);
	pair_expect(&p, "CQ error");
	pair_expect(&p, "fake");
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), -ECOMM);
	pair_close(&p);
}

static void test_device_fatal(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 1, 64), 0);
	fake_event(1, IBV_EVENT_PORT_ERR);
	CU_ASSERT_EQUAL(ops->check(p.tx, &p.err), 0);
	fake_event(1, IBV_EVENT_PORT_ACTIVE);
	CU_ASSERT_EQUAL(ops->check(p.tx, &p.err), 0);
	fake_event(0, IBV_EVENT_DEVICE_FATAL);
	CU_ASSERT_EQUAL(ops->check(p.tx, &p.err), -ECOMM);
	pair_expect(&p, "the RDMA device says of fake0 port 1: an event");
	CU_ASSERT_EQUAL(ops->check(p.tx, &p.err), -ECOMM);
	pair_close(&p);
}

/* A port may come back; one that does not ends the run, from either end. */
static void test_port_down(void)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 1, 64), 0);
	fake_event(1, IBV_EVENT_PORT_ERR);
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), 0);
	skipped += 3;
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), 0);
	CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
	skipped += 3;
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), -ENETDOWN);
	pair_expect(&p, "fake1 port 1 has been down for more than 5 s: cable, switch");
	pair_expect(&p, "between rank 1 on ");
	pair_expect(&p, ", fake1 port 1 gid 1 (127.0.0.2) qp ");
	pair_expect(&p, ", and rank 0 on ");
	pair_expect(&p, ", fake1 port 1 (127.0.0.2) qp ");
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), -ENETDOWN);
	fake_event(1, IBV_EVENT_PORT_ACTIVE);
	CU_ASSERT_EQUAL(ops->check(p.rx, &p.err), 0);
	pair_close(&p);
}

/* A work request fails: both ends, the status, what helps; and it is final. */
static void failed(enum ibv_wc_status status, bool not_ready, const char *words)
{
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 64), 0);
	fake.status = status;
	fake.not_ready = not_ready;
	CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 8), 0);
	CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, &p.err), -ECOMM);
	pair_expect(&p, words);
	pair_expect(&p, "activation channel 0 -> 1");
	pair_expect(&p, "between rank 0 on ");
	pair_expect(&p, ", fake0 port 1 gid 1 (127.0.0.1) qp ");
	pair_expect(&p, ", and rank 1 on ");
	pair_expect(&p, ", fake0 port 1 (127.0.0.1) qp ");
	CU_ASSERT_EQUAL(ops->check(p.tx, &p.err), -ECOMM);
	CU_ASSERT_EQUAL(ops->wait(p.tx, 0, pfw_now() + PATIENCE), 0);
	CU_ASSERT_EQUAL(ops->wait(p.tx, 0, pfw_now() + 5 * PFW_MS), -ETIMEDOUT);
	pair_close(&p);
}

static void test_failures(void)
{
	failed(IBV_WC_RETRY_EXC_ERR, false, "timeout 18, retry_cnt 6");
	failed(IBV_WC_REM_ACCESS_ERR, false, "slots are not where they were");
	failed(IBV_WC_LOC_PROT_ERR, false, "IOMMU");
	failed(IBV_WC_WR_FLUSH_ERR, false, "stopped from outside");
	failed(0, true, "no receive posted");
}

/* A sender that sleeps for a slot is told of it, and one that does not is not. */
static void test_asked(void)
{
	struct pair p;
	uint32_t slot;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, "qps=2", 2, 64), 0);
	for (uint64_t m = 0; m < 100; m++)
		CU_ASSERT_EQUAL(pair_pass(&p, m % 2, m, 8), 0);
	CU_ASSERT_EQUAL(fake.told, 0);
	CU_ASSERT_EQUAL(pair_send(&p, 0, 100, 8), 0);
	CU_ASSERT_EQUAL(pair_send(&p, 1, 101, 8), 0);
	CU_ASSERT_EQUAL(ops->wait(p.tx, 1, pfw_now() + 5 * PFW_MS), -ETIMEDOUT);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 100, 8), 0);
	CU_ASSERT_EQUAL(ops->release(p.rx, slot, &p.err), 0);
	CU_ASSERT_EQUAL(fake.told, 0); /* of the other slot */
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 101, 8), 0);
	CU_ASSERT_EQUAL(ops->release(p.rx, slot, &p.err), 0);
	CU_ASSERT_EQUAL(fake.told, 1);
	CU_ASSERT_EQUAL(ops->wait(p.tx, 1, pfw_now() + PATIENCE), 0);

	/* The question is late: the credit did not find it. */
	CU_ASSERT_EQUAL(pair_send(&p, 1, 102, 8), 0);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 102, 8), 0);
	fake.hold_wire = true;
	CU_ASSERT_EQUAL(ops->wait(p.tx, 1, pfw_now() + PFW_MS), -ETIMEDOUT);
	CU_ASSERT_EQUAL(ops->release(p.rx, slot, &p.err), 0);
	fake.hold_wire = false;
	fake_deliver();
	CU_ASSERT_EQUAL(fake.told, 1);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 0), -EAGAIN);
	CU_ASSERT_EQUAL(fake.told, 2);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 0), -EAGAIN);
	CU_ASSERT_EQUAL(fake.told, 2);
	pair_close(&p);
}

/* A device without inline data: words come out of registered memory. */
static void test_no_inline(void)
{
	static const char *const options[] = { NULL, "notify=send" };
	struct pair p;
	int rc = 0;

	for (size_t o = 0; o < 2; o++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, options[o], 2, 64), 0);
		pair_close_ends(&p);
		fake.no_inline = true;
		CU_ASSERT_EQUAL(pair_open_ends(&p, 2, 64), 0);
		for (uint64_t m = 0; !rc && m < 100; m++)
			rc = pair_pass(&p, m % 2, m, 64);
		CU_ASSERT_EQUAL(rc, 0);
		pair_close(&p);
	}
}

/* What comes is checked before it is used: slot, generation. */
static void test_nonsense(void)
{
	static const uint32_t bits[] = { 1u << 16, 1u, 0x7fff0000u };
	struct pair p;
	uint32_t slot;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 64), 0);
		fake.xor_imm = bits[i];
		CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 8), 0);
		CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 8), -EPROTO);
		pair_expect(&p, "cannot be");
		pair_close(&p);

		CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 64), 0);
		CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 8), 0);
		CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 8), 0);
		fake.xor_word = bits[i];
		CU_ASSERT_EQUAL(ops->release(p.rx, slot, &p.err), 0);
		CU_ASSERT_EQUAL(ops->acquire(p.tx, 0, &p.err), -EAGAIN);
		CU_ASSERT_EQUAL(ops->check(p.tx, &p.err),
				(1 ^ bits[i]) > 1 ? -EPROTO : 0);
		pair_close(&p);
	}
}

/* One lane's good-bye may come before another's message. */
static void test_goodbyes(void)
{
	struct pair p;
	uint32_t slot;

	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 64), 0);
	fake.xor_imm = verbs_tag(0, 0) ^ VERBS_BYE;
	CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 8), 0);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 8), -EAGAIN);
	fake.xor_imm = verbs_tag(1, 0) ^ VERBS_BYE;
	CU_ASSERT_EQUAL(pair_send(&p, 1, 1, 8), 0);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 8), -EPIPE);
	pair_expect(&p, "has closed the channel: activation channel 0 -> 1");
	pair_expect(&p, "between rank 1 on ");
	pair_expect(&p, ", and rank 0 on ");
	pair_close(&p);
}

static const struct unit_test tests[] = {
	{ "all sizes, all ways", test_sizes },
	{ "immediates, and none", test_notify },
	{ "what is found", test_probe },
	{ "a device that is neither", test_iwarp },
	{ "the smaller of both", test_limits },
	{ "the path, and what is open to others", test_path },
	{ "140,000 messages", test_many },
	{ "lanes out of order", test_reordered },
	{ "a late completion", test_late_completion },
	{ "sleeps and wakes", test_wakes },
	{ "the wrong key", test_wrong_key },
	{ "strangers", test_strangers },
	{ "no memory to be registered", test_no_registration },
	{ "full send queues", test_full_queue },
	{ "a sleeper is woken", test_asked },
	{ "no inline data", test_no_inline },
	{ "a completion queue that overflows", test_overflow },
	{ "what devices say", test_device_fatal },
	{ "a port that is down", test_port_down },
	{ "failed work requests", test_failures },
	{ "tags that cannot be", test_nonsense },
	{ "good-byes", test_goodbyes },
};

UNIT_MAIN("verbs", tests)
