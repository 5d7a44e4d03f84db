#include "meet.h"

#include "../common/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* A host that no longer answers is noticed within 8 s. */
static void tune(int fd)
{
	const struct { int level, name, value; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 3 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 1 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 5 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 8000 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name,
			   &options[i].value, sizeof(options[i].value));
}

static void add_rails(struct verbs_address *a, const struct verbs_rails *rails)
{
	a->n_rails = rails->n;
	for (uint32_t r = 0; r < rails->n; r++) {
		const struct verbs_rail *rail = &rails->rail[r];

		a->rail[r].max_msg = rail->attr.max_msg_sz;
		a->rail[r].n_gids = rail->n_gids;
		a->rail[r].link_layer = rail->attr.link_layer;
		for (uint32_t g = 0; g < rail->n_gids; g++) {
			a->rail[r].type[g] = (uint8_t)rail->gids[g].type;
			memcpy(a->rail[r].gid[g], rail->gids[g].gid.raw, 16);
		}
	}
}

static int start_listening(struct verbs_listener *l, struct pfw_error *err)
{
	int rc = socket_listen(l->self.ip, &l->socket, &l->self.tcp_port);

	if (rc == -EINVAL)
		return pfw_error_set(err, EINVAL, "%s is no address in numbers",
				     l->self.ip);
	if (rc)
		return pfw_error_set(err, -rc, "rank %u cannot listen at %s: %s",
				     l->rank, l->self.ip, strerror(-rc));
	return 0;
}

static void take_info(struct verbs_listener *l,
		      const struct pfw_transport_info *info)
{
	const char *ip = NULL;

	*l = (struct verbs_listener){ .rank = info->rank, .ranks = info->ranks,
				      .job = info->job };
	/* As people call it, which the id of a host need not be. */
	if (gethostname(l->host, sizeof(l->host) - 1))
		*l->host = '\0';
	if (info->size > offsetof(struct pfw_transport_info, address))
		ip = info->address;
	snprintf(l->self.ip, sizeof(l->self.ip), "%s", ip ? ip : "127.0.0.1");
	if (info->size > offsetof(struct pfw_transport_info, key) && info->key)
		memcpy(l->key, info->key, sizeof(l->key));
}

int verbs_listener_open(struct verbs_listener *l,
			const struct pfw_transport_info *info,
			const struct verbs_rails *rails, bool by_send,
			struct pfw_address *self,
			struct pfw_error *err)
{
	struct verbs_address *a = &l->self;
	int rc;

	take_info(l, info);
	a->magic = VERBS_MAGIC;
	a->version = VERBS_VERSION;
	a->by_send = by_send;
	if (getrandom(a->nonce, sizeof(a->nonce), 0) != sizeof(a->nonce))
		return pfw_error_set(err, EIO, "the kernel gives no random bytes");
	add_rails(a, rails);
	rc = start_listening(l, err);
	if (rc)
		return rc;
	self->len = sizeof(*a);
	memcpy(self->bytes, a, sizeof(*a));
	return 0;
}

static void drop_caller(struct verbs_listener *l, uint32_t i)
{
	free(l->callers[i].hello);
	l->n_callers--;
	memmove(&l->callers[i], &l->callers[i + 1],
		(l->n_callers - i) * sizeof(l->callers[0]));
}

static void hang_up(struct verbs_listener *l, uint32_t i)
{
	close(l->callers[i].socket);
	drop_caller(l, i);
}

void verbs_listener_close(struct verbs_listener *l)
{
	while (l->n_callers)
		hang_up(l, l->n_callers - 1);
	close(l->socket);
}

int verbs_address_read(const struct pfw_address *in, uint32_t rank,
		       struct verbs_address *out, struct pfw_error *err)
{
	struct verbs_address a = { 0 };
	bool good = in->len == sizeof(a);

	if (good)
		memcpy(&a, in->bytes, sizeof(a));
	good = good && a.magic == VERBS_MAGIC && a.version == VERBS_VERSION &&
	       memchr(a.ip, 0, sizeof(a.ip)) && a.tcp_port &&
	       a.tcp_port <= UINT16_MAX && a.n_rails >= 1 &&
	       a.n_rails <= VERBS_RAILS;
	for (uint32_t r = 0; good && r < a.n_rails; r++)
		good = a.rail[r].n_gids <= VERBS_GIDS && a.rail[r].max_msg;
	if (!good)
		return pfw_error_set(err, EINVAL, "the address of rank %u is not one "
				     "of this build's verbs transport: all ranks must "
				     "run the same pipefw with the same config", rank);
	*out = a;
	return 0;
}

#define CALLS "calls"
#define ANSWERS "answers"

/* MAC of a role, a hello, and what it is said to. */
static void prove(const struct verbs_listener *l, const char *role,
		  const struct verbs_hello *h, const unsigned char to[VERBS_NONCE_BYTES],
		  unsigned char out[PFW_MAC_BYTES])
{
	const struct pfw_mac_part parts[] = {
		{ role, strlen(role) + 1 },
		{ h, offsetof(struct verbs_hello, proof) },
		{ to, VERBS_NONCE_BYTES },
	};

	pfw_mac(l->key, sizeof(l->key), parts, 3, out);
}

static bool is_proved(const struct verbs_listener *l, const char *role,
		      const struct verbs_hello *h, const unsigned char to[VERBS_NONCE_BYTES])
{
	unsigned char want[PFW_MAC_BYTES];

	prove(l, role, h, to, want);
	return pfw_mac_equal(want, h->proof);
}

/* A place for one more caller: the longest silent one makes room. */
static bool make_room(struct verbs_listener *l)
{
	if (l->n_callers < VERBS_CALLERS)
		return true;
	for (uint32_t i = 0; i < l->n_callers; i++)
		if (l->callers[i].got < sizeof(struct verbs_hello)) {
			hang_up(l, i);
			return true;
		}
	return false;
}

/* At most one table full: a flood of callers must not keep us here. */
static int accept_callers(struct verbs_listener *l, struct pfw_error *err)
{
	for (uint32_t i = 0; i < VERBS_CALLERS && make_room(l); i++) {
		int fd = accept4(l->socket, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct verbs_hello *hello;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			return pfw_error_set(err, errno, "too many open files to "
					     "take a caller: raise ulimit -n");
		if (fd < 0)
			break;
		hello = calloc(1, sizeof(*hello));
		if (!hello) {
			close(fd);
			return pfw_error_set(err, ENOMEM, "out of memory");
		}
		tune(fd);
		l->callers[l->n_callers++] = (struct verbs_caller){
			.socket = fd, .hello = hello
		};
	}
	return 0;
}

/* More of a hello; -EAGAIN: not all of it yet; -ECONNRESET: hung up. */
static int hear(int socket, struct verbs_hello *hello, uint32_t *got)
{
	ssize_t n = recv(socket, (char *)hello + *got, sizeof(*hello) - *got,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -ECONNRESET;
	*got += (uint32_t)n;
	return *got < sizeof(*hello) ? -EAGAIN : 0;
}

static bool well_formed(const struct verbs_hello *h)
{
	bool good = h->magic == VERBS_MAGIC && h->version == VERBS_VERSION &&
		    h->n_lanes >= 1 && h->n_lanes <= VERBS_LANES &&
		    memchr(h->host, 0, sizeof(h->host)) &&
		    memchr(h->text, 0, sizeof(h->text));

	for (uint32_t i = 0; good && i < h->n_lanes; i++)
		good = memchr(h->lane[i].device, 0, sizeof(h->lane[i].device)) &&
		       h->lane[i].mtu >= IBV_MTU_256 &&
		       h->lane[i].mtu <= IBV_MTU_4096;
	return good;
}

static int say(int socket, const struct verbs_hello *hello)
{
	ssize_t n = send(socket, hello, sizeof(*hello), MSG_DONTWAIT | MSG_NOSIGNAL);

	/* It fits into the buffer of a new connection, or it is none. */
	return n == sizeof(*hello) ? 0 : -ECONNRESET;
}

int verbs_reply(const struct verbs_listener *l, int socket,
		const struct verbs_hello *hello, struct verbs_hello *answer)
{
	prove(l, ANSWERS, answer, hello->proof, answer->proof);
	return say(socket, answer);
}

/* It speaks our language, but not with our key: it shall know. */
static void refuse(const struct verbs_listener *l, const struct verbs_caller *c)
{
	struct verbs_hello no = { .magic = VERBS_MAGIC, .version = VERBS_VERSION,
				  .code = EACCES };

	verbs_reply(l, c->socket, c->hello, &no);
}

/* Whether the caller may stay. */
static bool welcome(const struct verbs_listener *l, struct verbs_caller *c)
{
	int rc;

	if (c->got == sizeof(*c->hello))
		return verbs_alive(c->socket);
	rc = hear(c->socket, c->hello, &c->got);
	if (rc)
		return rc == -EAGAIN;
	if (!well_formed(c->hello))
		return false;
	if (is_proved(l, CALLS, c->hello, l->self.nonce) &&
	    c->hello->job == l->job && c->hello->to == l->rank &&
	    c->hello->from < l->ranks)
		return true;
	refuse(l, c);
	return false;
}

int verbs_answer(struct verbs_listener *l, uint32_t from, uint32_t kind,
		 int *socket, struct verbs_hello *hello, struct pfw_error *err)
{
	int rc = accept_callers(l, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < l->n_callers;)
		if (welcome(l, &l->callers[i]))
			i++;
		else
			hang_up(l, i);
	for (uint32_t i = 0; i < l->n_callers; i++) {
		const struct verbs_caller *c = &l->callers[i];

		if (c->got < sizeof(*hello) || c->hello->from != from ||
		    c->hello->kind != kind)
			continue;
		*hello = *c->hello;
		*socket = c->socket;
		drop_caller(l, i);
		return 0;
	}
	return -EAGAIN;
}

static void give_up_try(struct verbs_call *call)
{
	close(call->socket);
	*call = (struct verbs_call){ .socket = -1 };
}

static int no_answer(const struct verbs_hello *own, const struct verbs_address *peer,
		     int code, struct pfw_error *err)
{
	return pfw_error_set(err, code, "rank %u does not answer at %s port %u: %s "
			     "(is that the address at which other hosts reach its "
			     "host?)", own->to, peer->ip, peer->tcp_port,
			     strerror(code));
}

static int begin(const struct verbs_address *peer, const struct verbs_hello *own,
		 struct verbs_call *call, struct pfw_error *err)
{
	int rc = socket_call(peer->ip, peer->tcp_port, &call->socket);

	if (rc)
		return no_answer(own, peer, -rc, err);
	tune(call->socket);
	return -EAGAIN;
}

/* Once the connection is there; -EAGAIN until then. */
static int say_hello(const struct verbs_listener *l, const struct verbs_address *peer,
		     struct verbs_hello *own, struct verbs_call *call,
		     struct pfw_error *err)
{
	int rc = socket_called(call->socket);

	if (rc)
		return rc == -EAGAIN ? rc : no_answer(own, peer, -rc, err);
	prove(l, CALLS, own, peer->nonce, own->proof);
	memcpy(call->proof, own->proof, sizeof(call->proof));
	call->said = !say(call->socket, own);
	return call->said ? 0 : -ECONNRESET;
}

int verbs_dial(const struct verbs_listener *l, const struct verbs_address *peer,
	       struct verbs_hello *own, struct verbs_call *call,
	       struct verbs_hello *answer, struct pfw_error *err)
{
	int rc = 0;

	if (call->socket < 0)
		return begin(peer, own, call, err);
	if (!call->said)
		rc = say_hello(l, peer, own, call, err);
	if (!rc)
		rc = hear(call->socket, answer, &call->got);
	if (rc == -ECONNRESET) {
		/* Hung up on to make room: again, if it still listens. */
		give_up_try(call);
		return -EAGAIN;
	}
	if (rc)
		return rc;
	if (!is_proved(l, ANSWERS, answer, call->proof))
		return pfw_error_set(err, EACCES, "who answers for rank %u does not "
				     "know the run's key", own->to);
	if (!well_formed(answer))
		return pfw_error_set(err, EPROTO, "what answers for rank %u is not "
				     "the verbs transport of this build", own->to);
	if (answer->code)
		return pfw_error_set(err, answer->code, "rank %u refuses rank %u: %s",
				     own->to, own->from, answer->text);
	return 0;
}

bool verbs_alive(int socket)
{
	struct pollfd p = { .fd = socket, .events = POLLRDHUP };

	return poll(&p, 1, 0) <= 0 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}
