/* The part of the transports' suite that needs several sides at work. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "conform/transport_kit.h"

/* A small, repeatable source of choices. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

#define SOAK_SLOTS 4u

/* A filter adds a little to a transport that has its own soak; and one that posts is
 * made for few and large ones. */
static uint64_t soak_messages(const struct pfw_subject *s)
{
	return s->below || s->ops->post ? 10000 : 100000;
}

/* Of the m-th message: both ends know it, as those of a plan do. */
static uint32_t soak_slot(uint64_t m)
{
	uint32_t state = (uint32_t)m * 2654435761u;

	return next_random(&state) % SOAK_SLOTS;
}

static uint64_t soak_bytes(uint64_t m)
{
	return 8 + m % 200;
}

/* Enough where the machine is slow, or emulated. */
#define SOAK_NS (4 * PFW_S)
/* What the last message is full of; the others' bytes are less. */
#define SOAK_LAST 255u

static unsigned char soak_byte(uint64_t m)
{
	return (unsigned char)(m % 251);
}

static int soak_put(struct pfw_end *e, void *c, uint64_t m, unsigned char byte)
{
	struct pfw_message_id id = pfw_id_of(m);
	uint32_t slot = soak_slot(m);
	int rc = pfw_must_acquire(e->subject, c, slot);

	if (rc)
		return rc;
	memset(e->subject->ops->slot(c, slot), byte, soak_bytes(m));
	return e->subject->ops->send(c, slot, soak_bytes(m), &id, &e->err);
}

/* Uses slots in whatever order they come free, as plans do. */
static int soak_send(struct pfw_end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = pfw_end_channel_info(e->info.rank, 0, SOAK_SLOTS, 256);
	uint64_t most = soak_messages(e->subject), end = pfw_now() + SOAK_NS;
	bool last = false;
	void *c;
	int rc = pfw_end_channel(e, &info, peer, &c);

	for (uint64_t m = 0; !rc && !last; m++) {
		last = m + 1 == most || (m % 64 == 63 && pfw_now() > end);
		rc = soak_put(e, c, m, last ? SOAK_LAST : soak_byte(m));
	}
	/* The last ones are out when their slots come back. */
	for (uint32_t s = 0; !rc && s < SOAK_SLOTS; s++)
		rc = pfw_must_acquire(e->subject, c, s);
	e->subject->ops->close_channel(c);
	return rc;
}

static int soak_post(struct pfw_end *e, void *c, uint64_t m, uint64_t *posted)
{
	if (*posted > m)
		return 0;
	*posted = m + 1;
	return pfw_must_post(e->subject, c, soak_slot(m), soak_bytes(m));
}

static int soak_take(struct pfw_end *e, void *c, uint64_t m, uint64_t *posted,
		     uint32_t *slot, bool *last)
{
	const unsigned char *at;
	struct pfw_message_id id;
	uint64_t bytes;
	int rc = soak_post(e, c, m, posted);

	if (!rc)
		rc = pfw_must_recv(e->subject, c, slot, &bytes, &id);
	if (rc)
		return rc;
	at = e->subject->ops->slot(c, *slot);
	*last = at[0] == SOAK_LAST;
	if (!pfw_id_is(&id, m) || bytes != soak_bytes(m) ||
	    (!*last && at[0] != soak_byte(m)) || at[bytes - 1] != at[0])
		return -EBADMSG;
	return 0;
}

/* Holds up to two messages and releases them in either order. */
static int soak_recv(struct pfw_end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = pfw_end_channel_info(!e->info.rank, 0, SOAK_SLOTS, 256);
	uint32_t random = 2, slot, held = PFW_NONE;
	uint64_t posted = 0;
	bool last = false;
	void *c;
	int rc = pfw_end_channel(e, &info, peer, &c);

	for (uint64_t m = 0; !rc && !last; m++) {
		rc = soak_take(e, c, m, &posted, &slot, &last);
		if (rc)
			break;
		/* Keep it only if nothing is kept: the sender may need it. */
		if (held == PFW_NONE && next_random(&random) % 2 &&
		    m + 1 < soak_messages(e->subject) &&
		    soak_slot(m + 1) != slot &&
		    !soak_post(e, c, m + 1, &posted) &&
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
	struct pfw_end *end;
	const struct pfw_address *peer;
	int (*run)(struct pfw_end *, const struct pfw_address *);
	int rc;
};

static void *side_main(void *arg)
{
	struct side *s = arg;

	s->rc = s->run(s->end, s->peer);
	return NULL;
}

/* -EBADMSG is soak_take()'s: what came is not what was sent. */
static void soaked(struct pfw_trial *t, const char *who, int rc,
		   const struct pfw_error *err)
{
	if (rc == -EBADMSG)
		pfw_trial_refuse(t, "the receiver gets another message than was "
				 "sent, or in another order");
	pfw_trial_gives(t, who, rc, 0, err);
}

static void between_threads(struct pfw_trial *t, uint64_t spin_ns)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_end e[2];
	struct side side[2] = {
		{ .end = &e[0], .peer = &e[1].self, .run = soak_send },
		{ .end = &e[1], .peer = &e[0].self, .run = soak_recv },
	};
	pthread_t thread;

	pfw_trial_doing(t, "passing messages between threads, spin_ns %u",
			(unsigned)spin_ns);
	for (uint32_t r = 0; r < 2; r++)
		pfw_trial_gives(t, "open()",
				pfw_end_open(&e[r], s, r, 5, spin_ns), 0,
				&e[r].err);
	if (pthread_create(&thread, NULL, side_main, &side[1]))
		pfw_trial_skip(t, "no thread");
	side_main(&side[0]);
	pthread_join(thread, NULL);
	soaked(t, "a receiver in a thread", side[1].rc, &e[1].err);
	soaked(t, "a sender in a thread", side[0].rc, &e[0].err);
	pfw_end_close(&e[0]);
	pfw_end_close(&e[1]);
}

static void threads(struct pfw_trial *t)
{
	between_threads(t, 20000);
	between_threads(t, 0);
}

const struct pfw_check pfw_check_threads = {
	"messages between threads",
	"pipefw/transport.h, open(): one object per rank, and ranks may be threads of "
	"one process; messages of a channel come in order",
	"keep nothing in static variables; order what two threads share by atomics "
	"or a lock",
	120, threads,
};

static void start(struct pfw_trial *t, struct pfw_child *c, struct pfw_end *e,
		  uint64_t spin_ns,
		  int (*run)(struct pfw_end *, const struct pfw_address *))
{
	pfw_trial_gives(t, "open()",
			pfw_child_start(c, e, pfw_trial_subject(t), spin_ns, NULL,
					run), 0, &e->err);
}

/* Of two processes: which one sends, and how long they may spin. */
struct soak {
	int theirs; /* the other one does */
	uint64_t spin_ns;
};

static void soak(struct pfw_trial *t, const void *arg)
{
	const struct soak *s = arg;
	struct pfw_error err = { 0 };
	struct pfw_child child;
	struct pfw_end e;
	int rc, theirs;

	start(t, &child, &e, s->spin_ns, s->theirs ? soak_send : soak_recv);
	rc = s->theirs ? soak_recv(&e, &child.address) :
			 soak_send(&e, &child.address);
	theirs = pfw_child_join(&child, &err);
	soaked(t, s->theirs ? "the sender" : "the receiver", theirs, &err);
	soaked(t, s->theirs ? "the receiver" : "the sender", rc, &e.err);
	pfw_end_close(&e);
}

static void between_processes(struct pfw_trial *t, uint64_t spin_ns)
{
	pfw_trial_doing(t, "passing messages between processes, spin_ns %u",
			(unsigned)spin_ns);
	for (int theirs = 0; theirs < 2; theirs++) {
		struct soak s = { theirs, spin_ns };

		pfw_trial_apart(t, soak, &s);
	}
}

static void processes(struct pfw_trial *t)
{
	between_processes(t, 20000);
	between_processes(t, 0);
}

const struct pfw_check pfw_check_processes = {
	"messages between processes",
	"pipefw/transport.h, life of a message: in order, whole, each slot reused "
	"as soon as it is released",
	"order the bytes before the flag that hands them over (release), and look "
	"at the flag before the bytes (acquire); wake who sleeps in wait()",
	120, processes,
};

static void one_core(struct pfw_trial *t)
{
	pfw_use_core(0);
	between_processes(t, 0);
	between_threads(t, 0);
}

const struct pfw_check pfw_check_one_core = {
	"both ends on one core",
	"pipefw/transport.h, struct pfw_transport_info: spin_ns is 0 where ranks "
	"outnumber cores, and wait() sleeps",
	"sleep in wait(): who spins keeps the other end from running",
	120, one_core,
};

/* A ring of ranks, each a process; what they share. */
#define RING 9u
#define RING_ROUNDS 300u

struct ring {
	struct pfw_address address[RING];
	struct pfw_error err[RING];
	int rc[RING];
	uint32_t here; /* how many addresses there are */
};

enum { ACTIVATION_OUT, ACTIVATION_IN, GRADIENT_OUT, GRADIENT_IN, N_RING };

/* Opens a rank's four channels in turn. */
static int ring_open(struct pfw_end *e, const struct ring *ring, void *c[N_RING])
{
	const uint32_t me = e->info.rank;
	const uint32_t next = (me + 1) % RING, before = (me + RING - 1) % RING;
	const uint32_t peer[N_RING] = { next, before, before, next };
	uint64_t end = pfw_now() + PFW_PATIENCE;
	int rc[N_RING] = { -EAGAIN, -EAGAIN, -EAGAIN, -EAGAIN }, left = N_RING;

	while (left && pfw_now() < end) {
		for (uint32_t i = 0; i < N_RING; i++) {
			struct pfw_channel_info info = pfw_end_channel_info(
				0, i / 2, 2, 4096);

			if (rc[i] != -EAGAIN)
				continue;
			info.from = i % 2 ? peer[i] : me;
			info.to = i % 2 ? me : peer[i];
			rc[i] = pfw_end_try(e, &info, &ring->address[peer[i]],
					    &c[i]);
			if (rc[i] && rc[i] != -EAGAIN)
				return rc[i];
			left -= !rc[i];
		}
		sched_yield();
	}
	return left ? -ETIMEDOUT : 0;
}

static int ring_send(struct pfw_end *e, void *c, uint64_t m)
{
	struct pfw_message_id id = pfw_id_of(m);
	int rc = pfw_must_acquire(e->subject, c, m % 2);

	if (rc)
		return rc;
	memset(e->subject->ops->slot(c, m % 2), (int)(m % 200), 4096);
	return e->subject->ops->send(c, m % 2, 4096, &id, &e->err);
}

static int ring_recv(struct pfw_end *e, void *c, uint64_t m)
{
	const unsigned char *at;
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;
	int rc = pfw_must_post(e->subject, c, m % 2, 4096);

	if (!rc)
		rc = pfw_must_recv(e->subject, c, &slot, &bytes, &id);
	if (rc)
		return rc;
	at = e->subject->ops->slot(c, slot);
	if (!pfw_id_is(&id, m) || bytes != 4096 || at[0] != m % 200 ||
	    at[4095] != m % 200)
		return -EBADMSG;
	return e->subject->ops->release(c, slot, &e->err);
}

static int ring_turn(struct pfw_end *e, const struct ring *ring)
{
	void *c[N_RING] = { NULL };
	int rc = ring_open(e, ring, c);

	for (uint64_t m = 0; !rc && m < RING_ROUNDS; m++) {
		rc = ring_send(e, c[ACTIVATION_OUT], m);
		if (!rc)
			rc = ring_send(e, c[GRADIENT_OUT], m);
		if (!rc)
			rc = ring_recv(e, c[GRADIENT_IN], m);
		if (!rc)
			rc = ring_recv(e, c[ACTIVATION_IN], m);
	}
	/* The last ones are out when their slots come back. */
	for (uint32_t i = 0; !rc && i < 4; i++)
		rc = pfw_must_acquire(e->subject, c[i / 2 * 2], i % 2);
	return rc;
}

/* A rank: leaves its channels open until all are through. */
static void ring_rank(const struct pfw_subject *s, struct ring *ring, uint32_t r)
{
	uint64_t end = pfw_now() + PFW_PATIENCE;
	struct pfw_end e;
	int rc = pfw_end_open_of(&e, s, r, RING, 5, 0);

	ring->address[r] = e.self;
	__atomic_fetch_add(&ring->here, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ring->here, __ATOMIC_SEQ_CST) < RING &&
	       pfw_now() < end)
		sched_yield();
	if (!rc)
		rc = ring_turn(&e, ring);
	ring->err[r] = e.err;
	ring->rc[r] = rc;
	__atomic_fetch_add(&ring->here, 1, __ATOMIC_SEQ_CST);
	while (!rc && __atomic_load_n(&ring->here, __ATOMIC_SEQ_CST) < 2 * RING &&
	       pfw_now() < end)
		usleep(1000);
	_exit(0);
}

static void ring(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct ring *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[RING];
	char who[32];

	if (shared == MAP_FAILED)
		pfw_trial_skip(t, "no memory");
	pfw_trial_doing(t, "passing messages round a ring of %u ranks", RING);
	for (uint32_t r = 0; r < RING; r++) {
		shared->rc[r] = -EIO;
		pid[r] = fork();
		if (pid[r] == 0)
			ring_rank(s, shared, r);
		if (pid[r] < 0)
			pfw_trial_skip(t, "no %u processes", RING);
	}
	for (uint32_t r = 0; r < RING; r++)
		waitpid(pid[r], NULL, 0);
	for (uint32_t r = 0; r < RING; r++) {
		snprintf(who, sizeof(who), "rank %u of %u", r, RING);
		soaked(t, who, shared->rc[r], &shared->err[r]);
	}
}

const struct pfw_check pfw_check_ring = {
	"more ranks than cores, two kinds at once",
	"pipefw/transport.h: a channel joins any two ranks and carries one kind; the "
	"data plane never blocks, and no channel waits for another (as far as "
	"props().order says)",
	"keep channels apart; sleep in wait(); move on all channels of a rank where "
	"that needs somebody to do it",
	90, ring,
};

/* Opens its end, passes one message and then hangs. */
static int hang_as_sender(struct pfw_end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = pfw_end_channel_info(1, 0, 1, 64);
	struct pfw_message_id id = pfw_id_of(0);
	void *c;
	int rc = pfw_end_channel(e, &info, peer, &c);

	if (!rc)
		rc = pfw_must_acquire(e->subject, c, 0);
	if (!rc)
		rc = e->subject->ops->send(c, 0, 8, &id, &e->err);
	/* Moves what send() has not. */
	while (!rc)
		e->subject->ops->wait(c, 0, pfw_now() + PFW_S);
	return rc;
}

static int hang_as_receiver(struct pfw_end *e, const struct pfw_address *peer)
{
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 1, 64);
	struct pfw_message_id id;
	uint64_t bytes;
	uint32_t slot;
	void *c;
	int rc = pfw_end_channel(e, &info, peer, &c);

	if (!rc)
		rc = pfw_must_post(e->subject, c, 0, 8);
	if (!rc)
		rc = pfw_must_recv(e->subject, c, &slot, &bytes, &id);
	while (!rc)
		pause();
	return rc;
}

/* wait() comes back for a dead peer, and check() says who it was. */
static void mourn(struct pfw_trial *t, void *c, uint32_t slot,
		  struct pfw_child *child)
{
	const struct pfw_transport_ops *ops = &t->plugin->ops.transport;
	uint64_t end = pfw_now() + PFW_PATIENCE / 3;
	struct pfw_error err = { 0 };

	pfw_trial_gives(t, "check() of a live peer", ops->check(c, &err), 0, &err);
	pfw_child_kill(child);
	pfw_trial_doing(t, "waiting for a peer that was killed");
	do
		pfw_trial_gives(t, "wait(), 20 s, for a peer that was killed",
				ops->wait(c, slot, end), 0, NULL);
	while (!ops->check(c, &err));
	pfw_trial_gives(t, "check() of a peer that was killed",
			ops->check(c, &err), -EPIPE, NULL);
	if (!err.text[0])
		pfw_trial_refuse(t, "check() gives -EPIPE without a sentence");
	waitpid(child->pid, NULL, 0);
	pfw_trial_gives(t, "check() of a peer that is gone", ops->check(c, &err),
			-EPIPE, NULL);
	/* Who looks around only when its time is up gets to do so. */
	for (int i = 0; i < 10; i++)
		pfw_trial_gives(t, "wait(), 3 ms, for a peer known to be dead",
				ops->wait(c, slot, pfw_now() + 3 * PFW_MS),
				-ETIMEDOUT, NULL);
}

static void killed_sender(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_channel_info info = pfw_end_channel_info(1, 0, 1, 64);
	struct pfw_message_id id;
	struct pfw_child child;
	struct pfw_end e;
	uint64_t bytes;
	uint32_t slot;
	void *c;

	start(t, &child, &e, 0, hang_as_sender);
	pfw_trial_gives(t, "open_channel(), in turn,",
			pfw_end_channel(&e, &info, &child.address, &c), 0, &e.err);
	pfw_trial_gives(t, "post()", pfw_must_post(s, c, 0, 8), 0, NULL);
	pfw_trial_gives(t, "recv(), waited for,",
			pfw_must_recv(s, c, &slot, &bytes, &id), 0, NULL);
	pfw_trial_gives(t, "release()", s->ops->release(c, slot, NULL), 0, NULL);
	mourn(t, c, PFW_NONE, &child);
	s->ops->close_channel(c);
	pfw_end_close(&e);
}

#define DEAD_CONTRACT                                                          \
	"pipefw/transport.h: a dead peer is -EPIPE on its channels, never a wait "  \
	"for ever; wait() comes back for it once, and when it is known to be dead " \
	"is -ETIMEDOUT at the deadline"
#define DEAD_ADVICE                                                            \
	"watch the peer: a socket that closes, a pidfd, a lock on a file; not a "   \
	"process number alone, which a zombie keeps"

const struct pfw_check pfw_check_killed_sender = {
	"the sender is killed", DEAD_CONTRACT, DEAD_ADVICE, 60, killed_sender,
};

static void killed_receiver(struct pfw_trial *t)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	struct pfw_channel_info info = pfw_end_channel_info(0, 0, 1, 64);
	struct pfw_message_id id = pfw_id_of(0);
	struct pfw_child child;
	struct pfw_end e;
	void *c;

	start(t, &child, &e, 0, hang_as_receiver);
	pfw_trial_gives(t, "open_channel(), in turn,",
			pfw_end_channel(&e, &info, &child.address, &c), 0, &e.err);
	pfw_trial_gives(t, "acquire(), waited for,",
			pfw_must_acquire(s, c, 0), 0, NULL);
	pfw_trial_gives(t, "send()", s->ops->send(c, 0, 8, &id, NULL), 0, NULL);
	mourn(t, c, 0, &child);
	s->ops->close_channel(c);
	pfw_end_close(&e);
}

const struct pfw_check pfw_check_killed_receiver = {
	"the receiver is killed", DEAD_CONTRACT, DEAD_ADVICE, 60, killed_receiver,
};
