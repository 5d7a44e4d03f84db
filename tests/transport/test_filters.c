/*
 * test_filters.c: what each filter does to what passes.
 */
#include "harness.h"

#include "../unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pfw_registry *registry;
static struct pfw_subject shm;

static void load(const char *name, const char *options, struct pfw_subject *s)
{
	struct pfw_error err = { 0 };
	int rc = subject_load(registry, name, options, &shm, s, &err);

	if (rc)
		fprintf(stderr, "%s\n", err.text);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static int send_one(struct pfw_pair *p, uint64_t m, uint32_t slot, uint64_t bytes,
		    struct pfw_error *err)
{
	const struct pfw_transport_ops *ops = p->end[0].subject->ops;
	struct pfw_message_id id = pfw_id_of(m);
	int rc = ops->acquire(p->tx, slot, err);

	if (rc)
		return rc;
	memset(ops->slot(p->tx, slot), (int)m, bytes);
	return ops->send(p->tx, slot, bytes, &id, err);
}

/* The number of the next message, and its slot given back. */
static int take_one(struct pfw_pair *p, uint64_t *m)
{
	const struct pfw_subject *s = p->end[0].subject;
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;
	int rc = pfw_must_recv(s, p->rx, &slot, &bytes, &id);

	if (rc)
		return rc;
	*m = id.sequence;
	return s->ops->release(p->rx, slot, NULL);
}

/* What a filter leaves of the memory that lies below. */
static void leaves(const char *name, const char *options, uint32_t memory)
{
	struct pfw_transport_props props = {
		.size = sizeof(props), .memory = PFW_MEM_HOST | PFW_MEM_CUDA,
	};
	struct pfw_subject s;

	load(name, options, &s);
	s.ops->props(s.opt, &props);
	CU_ASSERT_EQUAL(props.memory, memory);
	subject_free(&s);
}

/* The host does not look at the bytes of a GPU. */
static void test_memory(void)
{
	leaves("checksum", "", PFW_MEM_HOST);
	leaves("delay", "", PFW_MEM_HOST);
	leaves("fault", "fault=corrupt", PFW_MEM_HOST);
	leaves("fault", "fault=drop", PFW_MEM_HOST | PFW_MEM_CUDA);
	leaves("trace", "", PFW_MEM_HOST | PFW_MEM_CUDA);
}

/* 2 ms of latency, 4096 bytes at 8 Mbit/s: 4.096 ms each, one after another. */
static void test_delay(void)
{
	struct pfw_transport_props props = { .size = sizeof(props) };
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t start, m;

	load("delay", "latency_us=2000 bandwidth_gbps=0.008", &s);
	pfw_subject_props(&s, &props);
	CU_ASSERT(props.latency >= 2000000);
	CU_ASSERT_EQUAL(props.bandwidth, 1000000);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 4, 4096), 0);
	start = pfw_now();
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(send_one(&p, i, i, 4096, NULL), 0);
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL_FATAL(take_one(&p, &m), 0);
		CU_ASSERT_EQUAL(m, i);
		CU_ASSERT(pfw_now() - start >= 2000000 + (i + 1) * 4096000ull);
	}
	pfw_pair_close(&p);
	subject_free(&s);
}

/* wait() ends at its deadline, not at the message's arrival. */
static void test_delay_deadline(void)
{
	struct pfw_message_id id;
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t bytes;
	uint32_t slot;

	load("delay", "latency_us=1e9", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 1, 64), 0);
	CU_ASSERT_EQUAL(send_one(&p, 0, 0, 1, NULL), 0);
	CU_ASSERT_EQUAL(s.ops->recv(p.rx, &slot, &bytes, &id, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(s.ops->wait(p.rx, PFW_NONE, pfw_now() + PFW_MS), -ETIMEDOUT);
	pfw_pair_close(&p);
	subject_free(&s);
}

#define JITTERED 16u

/* When a message arrives after it was sent, ns: between least and most. */
struct lateness {
	uint64_t least, most;
};

/* As the filter writes it behind the payload; nobody waits for it here. */
static void latenesses(const char *options, struct lateness late[JITTERED])
{
	struct pfw_subject s;
	struct pfw_pair p;

	load("delay", options, &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, JITTERED, 64), 0);
	for (uint32_t i = 0; i < JITTERED; i++) {
		uint64_t before = pfw_now(), after, arrival;
		const char *at;

		CU_ASSERT_EQUAL(send_one(&p, i, i, 8, NULL), 0);
		after = pfw_now();
		at = s.ops->slot(p.tx, i);
		memcpy(&arrival, at + 8, sizeof(arrival));
		late[i] = (struct lateness){ arrival - after, arrival - before };
		CU_ASSERT(arrival >= before && late[i].most >= PFW_S);
		CU_ASSERT(arrival >= after && late[i].least <= 11 * PFW_S);
	}
	pfw_pair_close(&p);
	subject_free(&s);
}

static uint32_t same_latenesses(const struct lateness a[JITTERED],
				const struct lateness b[JITTERED])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < JITTERED; i++)
		n += a[i].least <= b[i].most && b[i].least <= a[i].most;
	return n;
}

/* A second and up to ten more: what sending takes does not matter beside it. */
static void test_jitter(void)
{
	struct lateness a[JITTERED], b[JITTERED], c[JITTERED];
	uint32_t early = 0;

	latenesses("latency_us=1e6 jitter_us=1e7 seed=3", a);
	latenesses("latency_us=1e6 jitter_us=1e7 seed=3", b);
	latenesses("latency_us=1e6 jitter_us=1e7 seed=4", c);
	CU_ASSERT_EQUAL(same_latenesses(a, b), JITTERED);
	CU_ASSERT(same_latenesses(a, c) <= 2);
	for (uint32_t i = 0; i < JITTERED; i++)
		early += a[i].most < 6 * PFW_S;
	CU_ASSERT(early > 0 && early < JITTERED);
}

static void test_drop(void)
{
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t m = 99;

	load("fault", "fault=drop at=2", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 3, 64), 0);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(send_one(&p, i, i, 8, NULL), 0);
	CU_ASSERT_EQUAL(take_one(&p, &m), 0);
	CU_ASSERT_EQUAL(m, 0);
	CU_ASSERT_EQUAL(take_one(&p, &m), 0);
	CU_ASSERT_EQUAL(m, 2);
	CU_ASSERT_EQUAL(s.ops->acquire(p.tx, 0, NULL), 0);
	CU_ASSERT_EQUAL(s.ops->acquire(p.tx, 1, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(s.ops->wait(p.tx, 1, pfw_now() + PFW_MS), -ETIMEDOUT);
	pfw_pair_close(&p);
	subject_free(&s);
}

static void test_corrupt(void)
{
	const unsigned char *at;
	struct pfw_message_id id;
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t bytes, wrong = 0;
	uint32_t slot;

	load("fault", "fault=corrupt at=1", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 1, 1, 4096), 0);
	CU_ASSERT_EQUAL(send_one(&p, 7, 0, 4000, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_must_recv(&s, p.rx, &slot, &bytes, &id), 0);
	CU_ASSERT_EQUAL(bytes, 4000);
	at = s.ops->slot(p.rx, slot);
	/* One bit of every eight bytes. */
	for (uint64_t i = 0; i < bytes; i++)
		for (unsigned bit = 0; bit < 8; bit++)
			wrong += (at[i] ^ 7) >> bit & 1;
	CU_ASSERT_EQUAL(wrong, 500);
	pfw_pair_close(&p);
	subject_free(&s);
}

static void test_error(void)
{
	struct pfw_error err = { 0 };
	struct pfw_subject s;
	struct pfw_pair p;

	load("fault", "fault=error at=3 rank=1", &s);
	for (uint32_t from = 0; from < 2; from++) {
		CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, from, 4, 64), 0);
		for (uint32_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(send_one(&p, i, i, 8, &err),
					from == 1 && i == 2 ? -EIO : 0);
		pfw_pair_close(&p);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "message 3"));
	subject_free(&s);
}

/* Which of 200 messages fail, as bits. */
static uint32_t failures(const char *options, unsigned char hit[200])
{
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t m;
	uint32_t n = 0;

	load("fault", options, &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 1, 64), 0);
	for (uint32_t i = 0; i < 200; i++) {
		hit[i] = send_one(&p, i, 0, 8, NULL) != 0;
		n += hit[i];
		if (!hit[i])
			CU_ASSERT_EQUAL_FATAL(take_one(&p, &m), 0);
	}
	pfw_pair_close(&p);
	subject_free(&s);
	return n;
}

static void test_rate(void)
{
	unsigned char a[200], b[200], c[200];

	CU_ASSERT_EQUAL(failures("rate=0", a), 0);
	CU_ASSERT_EQUAL(failures("rate=1", a), 200);
	CU_ASSERT_EQUAL(failures("rate=0.25 seed=3", a),
			failures("rate=0.25 seed=3", b));
	CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)), 0);
	/* 50 expected, standard deviation 6. */
	CU_ASSERT(failures("rate=0.25 seed=4", c) > 20);
	CU_ASSERT(failures("rate=0.25 seed=4", c) < 80);
	CU_ASSERT_NOT_EQUAL(memcmp(a, c, sizeof(a)), 0);
}

static void test_trigger(void)
{
	struct pfw_subject s;
	struct pfw_pair p;
	FILE *f;

	load("fault", "trigger=now", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 3, 64), 0);
	CU_ASSERT_EQUAL(send_one(&p, 0, 0, 8, NULL), 0);
	f = fopen("now", "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	CU_ASSERT_EQUAL(send_one(&p, 1, 1, 8, NULL), -EIO);
	unlink("now");
	CU_ASSERT_EQUAL(send_one(&p, 1, 1, 8, NULL), 0);
	pfw_pair_close(&p);
	subject_free(&s);
}

static void test_stall(void)
{
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t start;

	load("fault", "fault=stall at=1 stall_ms=3", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 1, 64), 0);
	start = pfw_now();
	CU_ASSERT_EQUAL(send_one(&p, 0, 0, 8, NULL), 0);
	CU_ASSERT(pfw_now() - start >= 3 * PFW_MS);
	pfw_pair_close(&p);
	subject_free(&s);
}

static void test_kill(void)
{
	struct pfw_subject s;
	struct pfw_pair p;
	int status = 0;
	pid_t pid;

	load("fault", "fault=kill at=2", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 2, 64), 0);
	pid = fork();
	if (pid == 0) {
		if (send_one(&p, 0, 0, 8, NULL))
			_exit(1);
		send_one(&p, 1, 1, 8, NULL);
		_exit(2);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	pfw_pair_close(&p);
	subject_free(&s);
}

static uint32_t lines_with(const char *file, const char *text)
{
	FILE *f = fopen(file, "r");
	char line[512];
	uint32_t n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return n;
}

static void test_trace(void)
{
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t m;

	load("trace", "file=t events=6", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 1, 64), 0);
	for (uint32_t i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(send_one(&p, i, 0, 10 + i, NULL), 0);
		CU_ASSERT_EQUAL(take_one(&p, &m), 0);
	}
	pfw_pair_close(&p);
	/* The last six of ten, below the names of the columns. */
	CU_ASSERT_EQUAL(lines_with("t.0.csv", ","), 7);
	CU_ASSERT_EQUAL(lines_with("t.0.csv", ",send,0,1,activation,0,14,0,4,"), 1);
	CU_ASSERT_EQUAL(lines_with("t.0.csv", ",acquire,"), 3);
	CU_ASSERT_EQUAL(lines_with("t.1.csv", ",recv,0,1,activation,0,14,0,4,"), 1);
	CU_ASSERT_EQUAL(lines_with("t.1.csv", ",release,"), 3);
	subject_free(&s);
}

static void test_trace_cannot_write(void)
{
	struct pfw_subject s;
	struct pfw_end e;

	load("trace", "file=no/such/folder/t", &s);
	CU_ASSERT_EQUAL(pfw_end_open(&e, &s, 0, 1, 0), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.err.text, "no/such/folder/t.0.csv"));
	pfw_end_close(&e);
	subject_free(&s);
}

/* A run of messages with a bit of one of them flipped: it alone is refused, by
 * name, wherever in its payload or behind it that bit is. */
static void test_checksum(void)
{
	struct pfw_subject s;

	load("checksum", "", &s);
	for (uint64_t at = 0; at < 40; at++) {
		struct pfw_error err = { 0 };
		struct pfw_message_id id;
		struct pfw_pair p;
		uint64_t bytes, m = 99;
		uint32_t slot;

		CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 3, 64), 0);
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(send_one(&p, i, i, 24, NULL), 0);
		((unsigned char *)s.ops->slot(p.tx, 1))[at] ^= 1u << at % 8;
		CU_ASSERT_EQUAL(take_one(&p, &m), 0);
		CU_ASSERT_EQUAL(m, 0);
		CU_ASSERT_EQUAL(s.ops->recv(p.rx, &slot, &bytes, &id, &err),
				-EPROTO);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "(message 1 from rank 0 "
					      "to rank 1) was damaged"));
		CU_ASSERT_EQUAL(take_one(&p, &m), 0);
		CU_ASSERT_EQUAL(m, 2);
		pfw_pair_close(&p);
	}
	subject_free(&s);
}

/* As a transport would have it that tells of a message before it is there. */
static void test_checksum_of_another(void)
{
	struct pfw_error err = { 0 };
	unsigned char before[64];
	struct pfw_message_id id;
	struct pfw_subject s;
	struct pfw_pair p;
	uint64_t bytes, m;
	uint32_t slot;

	load("checksum", "", &s);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &s, 0, 1, 64), 0);
	CU_ASSERT_EQUAL(send_one(&p, 0, 0, 40, NULL), 0);
	memcpy(before, s.ops->slot(p.tx, 0), sizeof(before));
	CU_ASSERT_EQUAL(take_one(&p, &m), 0);
	CU_ASSERT_EQUAL(send_one(&p, 1, 0, 40, NULL), 0);
	memcpy(s.ops->slot(p.tx, 0), before, sizeof(before));
	CU_ASSERT_EQUAL(s.ops->recv(p.rx, &slot, &bytes, &id, &err), -EPROTO);
	pfw_pair_close(&p);
	subject_free(&s);
}

/* A filter on a filter: the message is late, and one is lost. */
static void test_stack(void)
{
	struct pfw_error err = { 0 };
	struct pfw_subject s, top;
	struct pfw_pair p;
	uint64_t start, m = 99;

	load("fault", "fault=drop at=1", &s);
	CU_ASSERT_EQUAL_FATAL(subject_load(registry, "delay", "latency_us=1000", &s,
					   &top, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_pair_open(&p, &top, 0, 2, 64), 0);
	start = pfw_now();
	CU_ASSERT_EQUAL(send_one(&p, 0, 0, 8, NULL), 0);
	CU_ASSERT_EQUAL(send_one(&p, 1, 1, 8, NULL), 0);
	CU_ASSERT_EQUAL(take_one(&p, &m), 0);
	CU_ASSERT_EQUAL(m, 1);
	CU_ASSERT(pfw_now() - start >= PFW_MS);
	pfw_pair_close(&p);
	subject_free(&top);
	subject_free(&s);
}

static const struct unit_test tests[] = {
	{ "memory that filters take", test_memory },
	{ "delay: latency and bandwidth", test_delay },
	{ "delay: wait() has its deadline", test_delay_deadline },
	{ "delay: jitter, by seed", test_jitter },
	{ "fault: drop", test_drop },
	{ "fault: corrupt", test_corrupt },
	{ "fault: error, of one rank", test_error },
	{ "fault: by chance, by seed", test_rate },
	{ "fault: by a file", test_trigger },
	{ "fault: stall", test_stall },
	{ "fault: kill", test_kill },
	{ "trace", test_trace },
	{ "trace: a file that cannot be written", test_trace_cannot_write },
	{ "checksum: any bit", test_checksum },
	{ "checksum: of the message before", test_checksum_of_another },
	{ "one on another", test_stack },
};

int main(void)
{
	struct pfw_error err;
	char scratch[64];
	int rc;

	if (pfw_registry_open(NULL, &registry, &err) ||
	    subject_load(registry, "shm", "", NULL, &shm, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	scratch_make(scratch);
	if (chdir(scratch))
		return 99;
	rc = unit_run("filters", tests, sizeof(tests) / sizeof(tests[0]));
	scratch_remove(scratch);
	subject_free(&shm);
	pfw_registry_close(registry);
	return rc;
}
