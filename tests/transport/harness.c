#include "harness.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void subject_props(const struct subject *s, struct pfw_transport_props *out)
{
	if (s->below)
		subject_props(s->below, out);
	s->ops->props(s->opt, out);
}

static int open_layers(struct end *e, const struct subject *s)
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

int end_open(struct end *e, const struct subject *s, uint32_t rank, uint64_t job,
	     uint64_t spin_ns)
{
	*e = (struct end){
		.subject = s,
		.info = {
			.size = sizeof(e->info),
			.rank = rank,
			.ranks = 2,
			.job = job,
			.spin_ns = spin_ns,
			.host = "here",
		},
	};
	return open_layers(e, s);
}

void end_close(struct end *e)
{
	while (e->n_layers) {
		struct pfw_below *layer = &e->layers[--e->n_layers];

		layer->ops->close(layer->transport);
	}
}

struct pfw_channel_info channel_info(uint32_t from, uint32_t kind,
				     uint32_t n_slots, uint64_t slot_bytes)
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

int end_try(struct end *e, const struct pfw_channel_info *info,
	    const struct pfw_address *peer, void **channel)
{
	struct pfw_channel_info own = *info;

	own.sending = e->info.rank == info->from;
	return e->subject->ops->open_channel(e->transport, &own, peer, channel,
					     &e->err);
}

int end_channel(struct end *e, const struct pfw_channel_info *info,
		const struct pfw_address *peer, void **channel)
{
	uint64_t end = pfw_now() + PATIENCE;
	int rc;

	*channel = NULL;
	do {
		rc = end_try(e, info, peer, channel);
		if (rc == -EAGAIN)
			sched_yield();
	} while (rc == -EAGAIN && pfw_now() < end);
	return rc;
}

int pair_open(struct pair *p, const struct subject *s, uint32_t from,
	      uint32_t n_slots, uint64_t slot_bytes)
{
	struct pfw_channel_info info = channel_info(from, PFW_CHANNEL_ACTIVATION,
						    n_slots, slot_bytes);
	struct end *tx = &p->end[from], *rx = &p->end[!from];
	uint64_t end = pfw_now() + PATIENCE;
	int a = -EAGAIN, b = -EAGAIN;

	p->from = from;
	p->tx = p->rx = NULL;
	for (uint32_t r = 0; r < 2; r++)
		if (end_open(&p->end[r], s, r, 77, 0))
			return -EIO;
	while ((a == -EAGAIN || b == -EAGAIN) && pfw_now() < end) {
		if (a == -EAGAIN)
			a = end_try(tx, &info, &rx->self, &p->tx);
		if (b == -EAGAIN)
			b = end_try(rx, &info, &tx->self, &p->rx);
	}
	return a ? a : b;
}

void pair_close(struct pair *p)
{
	p->end[0].subject->ops->close_channel(p->tx);
	p->end[0].subject->ops->close_channel(p->rx);
	end_close(&p->end[0]);
	end_close(&p->end[1]);
}

int must_acquire(const struct subject *s, void *channel, uint32_t slot)
{
	uint64_t end = pfw_now() + PATIENCE;
	int rc;

	while ((rc = s->ops->acquire(channel, slot, NULL)) == -EAGAIN) {
		rc = s->ops->wait(channel, slot, end);
		if (rc)
			return rc;
	}
	return rc;
}

int must_recv(const struct subject *s, void *channel, uint32_t *slot,
	      uint64_t *bytes, struct pfw_message_id *id)
{
	uint64_t end = pfw_now() + PATIENCE;
	int rc;

	while ((rc = s->ops->recv(channel, slot, bytes, id, NULL)) == -EAGAIN) {
		rc = s->ops->wait(channel, PFW_NONE, end);
		if (rc)
			return rc;
	}
	return rc;
}

struct pfw_message_id id_of(uint64_t m)
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

bool id_is(const struct pfw_message_id *id, uint64_t m)
{
	struct pfw_message_id want = id_of(m);

	return !memcmp(id, &want, sizeof(want));
}

void scratch_make(char path[64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 64, "%.40s/pipefw-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		exit(99);
	}
}

void scratch_remove(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	if (rmdir(path))
		perror(path);
}

void use_core(int n)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && n-- == 0)
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* The life of a child: no CUnit here, its parent asserts. */
static int child_main(int fd, const struct end *parent, uint64_t spin_ns,
		      int (*run)(struct end *, const struct pfw_address *))
{
	struct end self;
	int rc = end_open(&self, parent->subject, 1, parent->info.job, spin_ns);

	if (!rc && write(fd, &self.self, sizeof(self.self)) != sizeof(self.self))
		rc = -EIO;
	close(fd);
	self.user = parent->user;
	if (!rc)
		rc = run(&self, &parent->self);
	if (rc)
		fprintf(stderr, "rank 1: %s %s\n", strerror(-rc), self.err.text);
	end_close(&self);
	return rc ? 1 : 0;
}

int child_start(struct child *c, const struct end *parent, uint64_t spin_ns,
		int (*run)(struct end *self, const struct pfw_address *parent))
{
	int fd[2];
	ssize_t n;

	if (pipe(fd))
		return -errno;
	c->pid = fork();
	if (c->pid == 0) {
		close(fd[0]);
		_exit(child_main(fd[1], parent, spin_ns, run));
	}
	close(fd[1]);
	n = read(fd[0], &c->address, sizeof(c->address));
	close(fd[0]);
	return n == sizeof(c->address) ? 0 : -EIO;
}

int child_join(struct child *c)
{
	int status;

	if (waitpid(c->pid, &status, 0) != c->pid)
		return -ECHILD;
	return status ? -EIO : 0;
}
