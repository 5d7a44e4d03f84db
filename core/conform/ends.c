#include "conform/ends.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

void pfw_subject_props(const struct pfw_subject *s,
		       struct pfw_transport_props *out)
{
	if (s->below)
		pfw_subject_props(s->below, out);
	s->ops->props(s->opt, out);
}

static int open_layers(struct pfw_end *e, const struct pfw_subject *s)
{
	struct pfw_below *layer;
	int rc;

	if (s->below) {
		rc = open_layers(e, s->below);
		if (rc)
			return rc;
	}
	layer = &e->layers[e->n_layers];
	layer->ops = s->ops;
	rc = s->ops->open(s->opt, &e->info, s->below ? layer - 1 : NULL,
			  &layer->transport, &e->self, &e->err);
	if (rc)
		return rc;
	e->n_layers++;
	e->transport = layer->transport;
	return 0;
}

int pfw_end_open_of(struct pfw_end *e, const struct pfw_subject *s,
		    uint32_t rank, uint32_t ranks, uint64_t job,
		    uint64_t spin_ns)
{
	*e = (struct pfw_end){
		.subject = s,
		.info = {
			.size = sizeof(e->info),
			.rank = rank,
			.ranks = ranks,
			.job = job,
			.spin_ns = spin_ns,
			.host = "here",
		},
	};
	return open_layers(e, s);
}

int pfw_end_open(struct pfw_end *e, const struct pfw_subject *s, uint32_t rank,
		 uint64_t job, uint64_t spin_ns)
{
	return pfw_end_open_of(e, s, rank, 2, job, spin_ns);
}

void pfw_end_close(struct pfw_end *e)
{
	while (e->n_layers) {
		struct pfw_below *layer = &e->layers[--e->n_layers];

		layer->ops->close(layer->transport);
	}
}

struct pfw_channel_info pfw_end_channel_info(uint32_t from, uint32_t kind,
					     uint32_t n_slots,
					     uint64_t slot_bytes)
{
	return (struct pfw_channel_info){
		.size = sizeof(struct pfw_channel_info),
		.from = from,
		.to = !from,
		.kind = kind,
		.n_slots = n_slots,
		.slot_bytes = slot_bytes,
		.memory = PFW_MEM_HOST,
	};
}

int pfw_end_try(struct pfw_end *e, const struct pfw_channel_info *info,
		const struct pfw_address *peer, void **channel)
{
	struct pfw_channel_info own = *info;

	own.sending = e->info.rank == info->from;
	return e->subject->ops->open_channel(e->transport, &own, peer, channel,
					     &e->err);
}

int pfw_end_channel(struct pfw_end *e, const struct pfw_channel_info *info,
		    const struct pfw_address *peer, void **channel)
{
	uint64_t end = pfw_now() + PFW_PATIENCE;
	int rc;

	*channel = NULL;
	do {
		rc = pfw_end_try(e, info, peer, channel);
		if (rc == -EAGAIN)
			sched_yield();
	} while (rc == -EAGAIN && pfw_now() < end);
	return rc;
}

int pfw_pair_open(struct pfw_pair *p, const struct pfw_subject *s,
		  uint32_t from, uint32_t n_slots, uint64_t slot_bytes)
{
	struct pfw_channel_info info = pfw_end_channel_info(
		from, PFW_CHANNEL_ACTIVATION, n_slots, slot_bytes);
	struct pfw_end *tx = &p->end[from], *rx = &p->end[!from];
	uint64_t end = pfw_now() + PFW_PATIENCE;
	int a = -EAGAIN, b = -EAGAIN, rc;

	p->from = from;
	p->tx = p->rx = NULL;
	for (uint32_t r = 0; r < 2; r++) {
		rc = pfw_end_open(&p->end[r], s, r, 77, 0);
		if (rc)
			return rc;
	}
	while ((a == -EAGAIN || b == -EAGAIN) && pfw_now() < end) {
		if (a == -EAGAIN)
			a = pfw_end_try(tx, &info, &rx->self, &p->tx);
		if (b == -EAGAIN)
			b = pfw_end_try(rx, &info, &tx->self, &p->rx);
	}
	return a ? a : b;
}

void pfw_pair_close(struct pfw_pair *p)
{
	p->end[0].subject->ops->close_channel(p->tx);
	p->end[0].subject->ops->close_channel(p->rx);
	pfw_end_close(&p->end[0]);
	pfw_end_close(&p->end[1]);
}

int pfw_must_acquire(const struct pfw_subject *s, void *channel, uint32_t slot)
{
	uint64_t end = pfw_now() + PFW_PATIENCE;
	int rc;

	while ((rc = s->ops->acquire(channel, slot, NULL)) == -EAGAIN) {
		rc = s->ops->wait(channel, slot, end);
		if (rc)
			return rc;
	}
	return rc;
}

int pfw_must_recv(const struct pfw_subject *s, void *channel, uint32_t *slot,
		  uint64_t *bytes, struct pfw_message_id *id)
{
	uint64_t end = pfw_now() + PFW_PATIENCE;
	int rc;

	while ((rc = s->ops->recv(channel, slot, bytes, id, NULL)) == -EAGAIN) {
		rc = s->ops->wait(channel, PFW_NONE, end);
		if (rc)
			return rc;
	}
	return rc;
}

int pfw_must_post(const struct pfw_subject *s, void *channel, uint32_t slot,
		  uint64_t bytes)
{
	return s->ops->post ? s->ops->post(channel, slot, bytes, NULL) : 0;
}

struct pfw_message_id pfw_id_of(uint64_t m)
{
	return (struct pfw_message_id){
		.sequence = m,
		.step = m / 3 + (1ull << 40),
		.stage = (uint32_t)m * 7,
		.microbatch = (uint32_t)m ^ 0xa5a5a5a5u,
		.kind = PFW_CHANNEL_ACTIVATION,
		.program = ~(uint32_t)m,
	};
}

bool pfw_id_is(const struct pfw_message_id *id, uint64_t m)
{
	struct pfw_message_id want = pfw_id_of(m);

	return !memcmp(id, &want, sizeof(want));
}

int pfw_core_number(int n)
{
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && n-- == 0)
			return i;
	return -1;
}

void pfw_use_core(int n)
{
	int core = pfw_core_number(n);
	cpu_set_t one;

	CPU_ZERO(&one);
	if (core >= 0)
		CPU_SET(core, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

#define JOB 5u

/* Opens an end, and swaps addresses with the other one. */
static int open_and_meet(struct pfw_end *e, const struct pfw_subject *s,
			 uint32_t rank, uint64_t spin_ns, int fd,
			 struct pfw_address *other)
{
	size_t len = sizeof(*other);
	int rc = pfw_end_open(e, s, rank, JOB, spin_ns);

	if (rc)
		return rc;
	if (send(fd, &e->self, len, MSG_NOSIGNAL) == (ssize_t)len &&
	    recv(fd, other, len, MSG_WAITALL) == (ssize_t)len)
		return 0;
	pfw_end_close(e);
	return pfw_error_set(&e->err, EIO, "rank %u, in a process of its own, "
			     "does not come up", !rank);
}

/* The life of a child: what came of it last. */
static int child_main(int fd, const struct pfw_subject *s, uint64_t spin_ns,
		      void *user,
		      int (*run)(struct pfw_end *, const struct pfw_address *))
{
	struct pfw_address parent;
	struct pfw_end self;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (open_and_meet(&self, s, 1, spin_ns, fd, &parent))
		return 1;
	self.user = user;
	rc = run(&self, &parent);
	if (rc) {
		self.err.code = -rc;
		if (write(fd, &self.err, sizeof(self.err)) < 0)
			return 1;
	}
	pfw_end_close(&self);
	return rc != 0;
}

int pfw_child_start(struct pfw_child *c, struct pfw_end *e,
		    const struct pfw_subject *s, uint64_t spin_ns, void *user,
		    int (*run)(struct pfw_end *self,
			       const struct pfw_address *parent))
{
	int fd[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return pfw_error_set(&e->err, errno, "no sockets");
	c->pid = fork();
	if (c->pid == 0) {
		close(fd[0]);
		_exit(child_main(fd[1], s, spin_ns, user, run));
	}
	close(fd[1]);
	c->fd = fd[0];
	rc = open_and_meet(e, s, 0, spin_ns, c->fd, &c->address);
	if (rc) {
		close(c->fd);
		if (c->pid > 0)
			waitpid(c->pid, NULL, 0);
		return rc;
	}
	e->user = user;
	return 0;
}

int pfw_child_join(struct pfw_child *c, struct pfw_error *err)
{
	struct pfw_error said = { .code = EIO };
	int status;
	ssize_t n = read(c->fd, &said, sizeof(said));

	close(c->fd);
	if (waitpid(c->pid, &status, 0) != c->pid)
		return -ECHILD;
	if (!status)
		return 0;
	if (n == sizeof(said))
		return pfw_error_set(err, said.code, "%s", said.text);
	return pfw_error_set(err, EIO, "rank 1 died");
}

void pfw_child_kill(struct pfw_child *c)
{
	kill(c->pid, SIGKILL);
	close(c->fd);
}
