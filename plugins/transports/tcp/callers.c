#include "callers.h"

#include "../common/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

void tcp_self_take(struct tcp_self *self, const char *host,
		   const struct pfw_transport_info *info)
{
	if (!host && info->size > offsetof(struct pfw_transport_info, address))
		host = info->address;
	self->rank = info->rank;
	self->ranks = info->ranks;
	self->job = info->job;
	snprintf(self->host, sizeof(self->host), "%s",
		 host ? host : "127.0.0.1");
	if (info->size > offsetof(struct pfw_transport_info, key) && info->key)
		memcpy(self->key, info->key, sizeof(self->key));
}

int tcp_listener_open(struct tcp_listener *l, const struct tcp_self *self,
		      struct pfw_address *out, struct pfw_error *err)
{
	struct tcp_address a = { .magic = TCP_MAGIC };
	int rc = socket_listen(self->host, &l->socket, &a.port);

	if (rc == -EINVAL)
		return pfw_error_set(err, EINVAL,
				     "transport.address = \"%s\" must be an "
				     "IPv4 or IPv6 address in numbers",
				     self->host);
	if (rc)
		return pfw_error_set(err, -rc,
				     "rank %u cannot listen at %s: %s",
				     self->rank, self->host, strerror(-rc));
	l->self = self;
	l->n = 0;
	memcpy(a.host, self->host, sizeof(a.host));
	out->len = sizeof(a);
	memcpy(out->bytes, &a, sizeof(a));
	return 0;
}

static void drop(struct tcp_listener *l, uint32_t i)
{
	l->n--;
	memmove(&l->callers[i], &l->callers[i + 1],
		(l->n - i) * sizeof(l->callers[0]));
}

static void hang_up(struct tcp_listener *l, uint32_t i)
{
	close(l->callers[i].socket);
	drop(l, i);
}

void tcp_listener_close(struct tcp_listener *l)
{
	while (l->n)
		hang_up(l, l->n - 1);
	close(l->socket);
}

static bool make_room(struct tcp_listener *l)
{
	if (l->n < TCP_CALLERS)
		return true;
	for (uint32_t i = 0; i < l->n; i++)
		if (l->callers[i].stage != TCP_CALLER_PROVED) {
			hang_up(l, i);
			return true;
		}
	return false;
}

/* At most one table full: a flood of callers must not keep us here. */
static int accept_callers(struct tcp_listener *l, struct pfw_error *err)
{
	for (uint32_t i = 0; i < TCP_CALLERS && make_room(l); i++) {
		int fd = accept4(l->socket, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			return pfw_error_set(err, errno, "too many open files "
					     "to take a caller: raise ulimit "
					     "-n");
		if (fd < 0)
			break;
		l->callers[l->n++] = (struct tcp_caller){ .socket = fd };
	}
	return 0;
}

static void refuse(int fd, int code, const char *why)
{
	struct tcp_verdict v = { .code = (uint32_t)code };

	snprintf(v.text, sizeof(v.text), "%s", why);
	tcp_say(fd, &v, sizeof(v));
}

static int reply(const struct tcp_listener *l, struct tcp_caller *c)
{
	struct tcp_answer a = { .magic = TCP_MAGIC, .pid = (uint64_t)getpid() };

	if (c->hello.magic != TCP_MAGIC ||
	    getrandom(c->nonce, sizeof(c->nonce), 0) != sizeof(c->nonce))
		return -EPROTO;
	memcpy(a.nonce, c->nonce, sizeof(a.nonce));
	tcp_prove(l->self->key, "answers", &c->hello, c->nonce, a.proof);
	c->stage = TCP_CALLER_ANSWERED;
	return tcp_say(c->socket, &a, sizeof(a));
}

static int judge(const struct tcp_listener *l, struct tcp_caller *c)
{
	const struct tcp_hello *h = &c->hello;
	uint8_t want[PFW_MAC_BYTES];
	const char *no = NULL;

	tcp_prove(l->self->key, "calls", h, c->nonce, want);
	if (!pfw_mac_equal(want, c->proof))
		no = "it does not know the run's key";
	else if (h->job != l->self->job)
		no = "it belongs to another run (its job number differs)";
	else if (h->to != l->self->rank || h->from >= l->self->ranks ||
		 h->from == h->to)
		no = "it is not the rank that was called";
	if (no) {
		refuse(c->socket, EACCES, no);
		return -EACCES;
	}
	c->stage = TCP_CALLER_PROVED;
	return 0;
}

/* false: hang up. */
static bool hear(const struct tcp_listener *l, struct tcp_caller *c)
{
	int rc = 0;

	if (c->stage == TCP_CALLER_SILENT) {
		rc = tcp_take(c->socket, &c->hello, sizeof(c->hello), &c->have);
		rc = rc ? rc : reply(l, c);
	}
	if (!rc && c->stage == TCP_CALLER_ANSWERED) {
		rc = tcp_take(c->socket, c->proof, sizeof(c->proof), &c->have);
		rc = rc ? rc : judge(l, c);
	}
	return !rc || rc == -EAGAIN;
}

static int listen_to_callers(struct tcp_listener *l, struct pfw_error *err)
{
	int rc = accept_callers(l, err);

	for (uint32_t i = 0; i < l->n;)
		if (hear(l, &l->callers[i]))
			i++;
		else
			hang_up(l, i);
	return rc;
}

int tcp_listener_answer(struct tcp_listener *l, const struct tcp_hello *own,
			int *socket, uint64_t *pid, struct pfw_error *err)
{
	const struct tcp_verdict yes = { .code = 0 };
	const struct tcp_hello *h;
	int rc = listen_to_callers(l, err);
	uint32_t i = 0;

	if (rc)
		return rc;
	while (i < l->n && !(l->callers[i].stage == TCP_CALLER_PROVED &&
			     l->callers[i].hello.from == own->from &&
			     l->callers[i].hello.kind == own->kind))
		i++;
	if (i == l->n)
		return -EAGAIN;
	h = &l->callers[i].hello;
	if (h->n_slots != own->n_slots || h->slot_bytes != own->slot_bytes) {
		rc = pfw_error_set(err, EPROTO,
				   "%s channel %u -> %u: rank %u has %u slots "
				   "of %llu bytes, rank %u has %u of %llu: they "
				   "run different plans",
				   pfw_channel_kind_name(own->kind), own->from,
				   own->to, own->to, own->n_slots,
				   (unsigned long long)own->slot_bytes,
				   own->from, h->n_slots,
				   (unsigned long long)h->slot_bytes);
		refuse(l->callers[i].socket, EPROTO,
		       "the two run different plans");
		hang_up(l, i);
		return rc;
	}
	if (tcp_say(l->callers[i].socket, &yes, sizeof(yes))) {
		/* It has hung up; it may call again. */
		hang_up(l, i);
		return -EAGAIN;
	}
	*socket = l->callers[i].socket;
	*pid = h->pid;
	drop(l, i);
	return 0;
}
