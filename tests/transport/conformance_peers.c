/* The part of the conformance tests that needs two sides at work. */
#include "conformance.h"

#include <CUnit/Basic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A small, repeatable source of choices. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

#define SOAK_SLOTS 4u

/* A filter adds a little to a transport that has its own soak. */
static uint64_t soak_messages(const struct subject *s)
{
	return s->below ? 10000 : 100000;
}

/* Uses slots in whatever order they come free, as plans do. */
static int soak_send(struct end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = channel_info(e->info.rank, 0, SOAK_SLOTS, 256);
	uint32_t random = 1;
	void *c;
	int rc = end_channel(e, &info, peer, &c);

	for (uint64_t m = 0; !rc && m < soak_messages(e->subject); m++) {
		struct pfw_message_id id = id_of(m);
		uint32_t slot = next_random(&random) % SOAK_SLOTS;
		uint64_t bytes = 8 + m % 200;

		rc = must_acquire(e->subject, c, slot);
		if (rc)
			break;
		memset(e->subject->ops->slot(c, slot), (int)(m % 251), bytes);
		rc = e->subject->ops->send(c, slot, bytes, &id, &e->err);
	}
	/* The last ones are out when their slots come back. */
	for (uint32_t s = 0; !rc && s < SOAK_SLOTS; s++)
		rc = must_acquire(e->subject, c, s);
	e->subject->ops->close_channel(c);
	return rc;
}

static int soak_take(struct end *e, void *c, uint64_t m, uint32_t *slot)
{
	const unsigned char *at;
	struct pfw_message_id id;
	uint64_t bytes;
	int rc = must_recv(e->subject, c, slot, &bytes, &id);

	if (rc)
		return rc;
	at = e->subject->ops->slot(c, *slot);
	if (!id_is(&id, m) || bytes != 8 + m % 200 || at[0] != m % 251 ||
	    at[bytes - 1] != m % 251)
		return -EBADMSG;
	return 0;
}

/* Holds up to two messages and releases them in either order. */
static int soak_recv(struct end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = channel_info(!e->info.rank, 0, SOAK_SLOTS, 256);
	uint32_t random = 2, slot, held = PFW_NONE;
	void *c;
	int rc = end_channel(e, &info, peer, &c);

	for (uint64_t m = 0; !rc && m < soak_messages(e->subject); m++) {
		rc = soak_take(e, c, m, &slot);
		if (rc)
			break;
		/* Keep it only if nothing is kept: the sender may need it. */
		if (held == PFW_NONE && next_random(&random) % 2 &&
		    !e->subject->ops->wait(c, PFW_NONE, 0)) {
			held = slot;
			continue;
		}
		rc = e->subject->ops->release(c, slot, &e->err);
		if (!rc && held != PFW_NONE)
			rc = e->subject->ops->release(c, held, &e->err);
		held = PFW_NONE;
	}
	if (!rc && held != PFW_NONE)
		rc = e->subject->ops->release(c, held, &e->err);
	if (rc)
		e->subject->ops->close_channel(c);
	else
		/* Until the sender has seen its slots come back. */
		while (!e->subject->ops->check(c, NULL))
			e->subject->ops->wait(c, PFW_NONE,
					      pfw_now() + 10 * PFW_MS);
	if (!rc)
		e->subject->ops->close_channel(c);
	return rc;
}

struct side {
	struct end *end;
	const struct pfw_address *peer;
	int (*run)(struct end *, const struct pfw_address *);
	int rc;
};

static void *side_main(void *arg)
{
	struct side *s = arg;

	s->rc = s->run(s->end, s->peer);
	return NULL;
}

static void between_threads(uint64_t spin_ns)
{
	struct end e[2];
	struct side side[2] = {
		{ .end = &e[0], .peer = &e[1].self, .run = soak_send },
		{ .end = &e[1], .peer = &e[0].self, .run = soak_recv },
	};
	pthread_t thread;

	for (uint32_t r = 0; r < 2; r++)
		CU_ASSERT_EQUAL_FATAL(end_open(&e[r], subject, r, 5, spin_ns), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, side_main, &side[1]), 0);
	side_main(&side[0]);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(side[0].rc, 0);
	CU_ASSERT_EQUAL(side[1].rc, 0);
	end_close(&e[0]);
	end_close(&e[1]);
}

void test_threads(void)
{
	between_threads(20000);
	between_threads(0);
}

static void between_processes(uint64_t spin_ns)
{
	struct child child;
	struct end e;

	CU_ASSERT_EQUAL_FATAL(end_open(&e, subject, 0, 5, spin_ns), 0);
	CU_ASSERT_EQUAL_FATAL(child_start(&child, &e, spin_ns, soak_recv), 0);
	CU_ASSERT_EQUAL(soak_send(&e, &child.address), 0);
	CU_ASSERT_EQUAL(child_join(&child), 0);
	CU_ASSERT_EQUAL_FATAL(child_start(&child, &e, spin_ns, soak_send), 0);
	CU_ASSERT_EQUAL(soak_recv(&e, &child.address), 0);
	CU_ASSERT_EQUAL(child_join(&child), 0);
	end_close(&e);
}

void test_processes(void)
{
	between_processes(20000);
	between_processes(0);
}

void test_one_core(void)
{
	cpu_set_t before;

	sched_getaffinity(0, sizeof(before), &before);
	use_core(0);
	between_processes(0);
	between_threads(0);
	sched_setaffinity(0, sizeof(before), &before);
}

/* Opens its end, passes one message and then hangs. */
static int hang_as_sender(struct end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = channel_info(1, 0, 1, 64);
	struct pfw_message_id id = id_of(0);
	void *c;
	int rc = end_channel(e, &info, peer, &c);

	if (!rc)
		rc = must_acquire(e->subject, c, 0);
	if (!rc)
		rc = e->subject->ops->send(c, 0, 8, &id, &e->err);
	while (!rc)
		pause();
	return rc;
}

static int hang_as_receiver(struct end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = channel_info(0, 0, 1, 64);
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;
	void *c;
	int rc = end_channel(e, &info, peer, &c);

	if (!rc)
		rc = must_recv(e->subject, c, &slot, &bytes, &id);
	while (!rc)
		pause();
	return rc;
}

/* wait() comes back for a dead peer, and check() names it. */
static void mourn(void *c, uint32_t slot, pid_t pid)
{
	uint64_t end = pfw_now() + PATIENCE;
	struct pfw_error err = { 0 };
	char number[16];

	CU_ASSERT_EQUAL(ops->check(c, &err), 0);
	kill(pid, SIGKILL);
	do {
		CU_ASSERT_EQUAL_FATAL(ops->wait(c, slot, end), 0);
	} while (!ops->check(c, &err));
	CU_ASSERT_EQUAL(ops->check(c, &err), -EPIPE);
	snprintf(number, sizeof(number), "%d", (int)pid);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, number));
	waitpid(pid, NULL, 0);
	CU_ASSERT_EQUAL(ops->check(c, &err), -EPIPE);
	/* Who looks around only when its time is up gets to do so. */
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(ops->wait(c, slot, pfw_now() + 3 * PFW_MS),
				-ETIMEDOUT);
}

void test_killed_sender(void)
{
	struct pfw_channel_info info = channel_info(1, 0, 1, 64);
	struct pfw_message_id id;
	struct child child;
	struct end e;
	uint64_t bytes;
	uint32_t slot;
	void *c;

	CU_ASSERT_EQUAL_FATAL(end_open(&e, subject, 0, 5, 0), 0);
	CU_ASSERT_EQUAL_FATAL(child_start(&child, &e, 0, hang_as_sender), 0);
	CU_ASSERT_EQUAL_FATAL(end_channel(&e, &info, &child.address, &c), 0);
	CU_ASSERT_EQUAL(must_recv(subject, c, &slot, &bytes, &id), 0);
	CU_ASSERT_EQUAL(ops->release(c, slot, NULL), 0);
	mourn(c, PFW_NONE, child.pid);
	ops->close_channel(c);
	end_close(&e);
}

void test_killed_receiver(void)
{
	struct pfw_channel_info info = channel_info(0, 0, 1, 64);
	struct pfw_message_id id = id_of(0);
	struct child child;
	struct end e;
	void *c;

	CU_ASSERT_EQUAL_FATAL(end_open(&e, subject, 0, 5, 0), 0);
	CU_ASSERT_EQUAL_FATAL(child_start(&child, &e, 0, hang_as_receiver), 0);
	CU_ASSERT_EQUAL_FATAL(end_channel(&e, &info, &child.address, &c), 0);
	CU_ASSERT_EQUAL(must_acquire(subject, c, 0), 0);
	CU_ASSERT_EQUAL(ops->send(c, 0, 8, &id, NULL), 0);
	mourn(c, 0, child.pid);
	ops->close_channel(c);
	end_close(&e);
}
