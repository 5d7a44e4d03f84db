#include "meet.h"

#include "base/clock.h"
#include "gid.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long one address of a peer is tried before the next one. */
#define TRY_NS (2 * PFW_S)

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

static int new_socket(void)
{
	const int no = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	return fd;
}

static struct in6_addr mapped(struct in_addr v4)
{
	struct in6_addr a = { 0 };

	a.s6_addr[10] = a.s6_addr[11] = 0xff;
	memcpy(&a.s6_addr[12], &v4, sizeof(v4));
	return a;
}

static void add_ip(struct verbs_address *a, const struct in6_addr *ip)
{
	for (uint32_t i = 0; i < a->n_ips; i++)
		if (!memcmp(&a->ip[i], ip, sizeof(*ip)))
			return;
	if (a->n_ips < VERBS_IPS)
		a->ip[a->n_ips++] = *ip;
}

/* The addresses of the rails first, then those of the host. */
static void add_ips(struct verbs_address *a, const struct verbs_rails *rails)
{
	struct ifaddrs *all, *i;
	struct sockaddr_in in;
	struct in6_addr ip;

	for (uint32_t r = 0; r < rails->n; r++)
		for (uint32_t g = 0; g < rails->rail[r].n_gids; g++)
			if (rails->rail[r].gids[g].type == IBV_GID_TYPE_ROCE_V2 &&
			    verbs_gid_ip(&rails->rail[r].gids[g].gid, &ip))
				add_ip(a, &ip);
	if (getifaddrs(&all))
		return;
	for (i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_flags & IFF_LOOPBACK ||
		    i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&in, i->ifa_addr, sizeof(in));
		ip = mapped(in.sin_addr);
		add_ip(a, &ip);
	}
	freeifaddrs(all);
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
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(any);
	int rc;

	l->socket = new_socket();
	if (l->socket >= 0 && !bind(l->socket, (struct sockaddr *)&any, len) &&
	    !listen(l->socket, SOMAXCONN) &&
	    !getsockname(l->socket, (struct sockaddr *)&any, &len)) {
		l->self.tcp_port = ntohs(any.sin6_port);
		return 0;
	}
	rc = pfw_error_set(err, errno, "cannot listen on a TCP port: %s",
			   strerror(errno));
	if (l->socket >= 0)
		close(l->socket);
	return rc;
}

int verbs_listener_open(struct verbs_listener *l,
			const struct pfw_transport_info *info,
			const struct verbs_rails *rails, struct pfw_address *self,
			struct pfw_error *err)
{
	struct verbs_address *a = &l->self;
	int rc;

	*l = (struct verbs_listener){ .rank = info->rank, .ranks = info->ranks,
				      .job = info->job };
	a->magic = VERBS_MAGIC;
	a->version = VERBS_VERSION;
	snprintf(a->host, sizeof(a->host), "%s", info->host ? info->host : "");
	if (getrandom(a->secret, sizeof(a->secret), 0) != sizeof(a->secret))
		return pfw_error_set(err, EIO, "the kernel gives no random bytes");
	add_rails(a, rails);
	add_ips(a, rails);
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
	       memchr(a.host, 0, sizeof(a.host)) && a.n_ips <= VERBS_IPS &&
	       a.n_rails >= 1 && a.n_rails <= VERBS_RAILS;
	for (uint32_t r = 0; good && r < a.n_rails; r++)
		good = a.rail[r].n_gids <= VERBS_GIDS && a.rail[r].max_msg;
	if (!good)
		return pfw_error_set(err, EINVAL, "the address of rank %u is not one "
				     "of this build's verbs transport: all ranks must "
				     "run the same pipefw with the same config", rank);
	*out = a;
	return 0;
}

/* Constant in time: how much was right is nobody's business. */
static bool same_secret(const unsigned char *a, const unsigned char *b)
{
	unsigned char differ = 0;

	for (uint32_t i = 0; i < VERBS_SECRET_BYTES; i++)
		differ |= a[i] ^ b[i];
	return !differ;
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

/* Whether the caller may stay.  Strangers get no answer. */
static bool welcome(const struct verbs_listener *l, struct verbs_caller *c)
{
	int rc;

	if (c->got == sizeof(*c->hello))
		return verbs_alive(c->socket);
	rc = hear(c->socket, c->hello, &c->got);
	if (rc)
		return rc == -EAGAIN;
	return well_formed(c->hello) && c->hello->job == l->job &&
	       same_secret(c->hello->secret, l->self.secret) &&
	       c->hello->to == l->rank && c->hello->from < l->ranks;
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

int verbs_reply(int socket, const struct verbs_hello *hello)
{
	ssize_t n = send(socket, hello, sizeof(*hello), MSG_DONTWAIT | MSG_NOSIGNAL);

	/* It fits into the buffer of a new connection, or it is none. */
	return n == sizeof(*hello) ? 0 : -ECONNRESET;
}

static void give_up_try(struct verbs_call *call)
{
	if (call->socket >= 0)
		close(call->socket);
	*call = (struct verbs_call){ .socket = -1, .next_ip = call->next_ip + 1 };
}

/* The n-th address to try: the loopback is enough on one host. */
static struct in6_addr target(const struct verbs_listener *l,
			      const struct verbs_address *peer, uint32_t n)
{
	struct in_addr loopback = { .s_addr = htonl(INADDR_LOOPBACK) };

	if (!peer->n_ips || !strcmp(peer->host, l->self.host))
		return mapped(loopback);
	return peer->ip[n % peer->n_ips];
}

static int begin(const struct verbs_listener *l, const struct verbs_address *peer,
		 struct verbs_call *call, struct pfw_error *err)
{
	struct sockaddr_in6 a = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(peer->tcp_port),
		.sin6_addr = target(l, peer, call->next_ip),
	};

	call->socket = new_socket();
	if (call->socket < 0)
		return pfw_error_set(err, errno, "cannot make a TCP socket: %s",
				     strerror(errno));
	tune(call->socket);
	call->since = pfw_now();
	if (connect(call->socket, (struct sockaddr *)&a, sizeof(a)) &&
	    errno != EINPROGRESS)
		give_up_try(call);
	return -EAGAIN;
}

static bool is_connected(int socket)
{
	struct pollfd p = { .fd = socket, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && p.revents == POLLOUT;
}

int verbs_dial(struct verbs_listener *l, const struct verbs_address *peer,
	       const struct verbs_hello *own, struct verbs_call *call,
	       struct verbs_hello *answer, struct pfw_error *err)
{
	int rc;

	if (call->socket < 0)
		return begin(l, peer, call, err);
	if (!call->said) {
		if (is_connected(call->socket)) {
			call->said = !verbs_reply(call->socket, own);
			if (!call->said)
				give_up_try(call);
		} else if (pfw_now() - call->since > TRY_NS ||
			   !verbs_alive(call->socket)) {
			give_up_try(call);
		}
		return -EAGAIN;
	}
	rc = hear(call->socket, answer, &call->got);
	if (rc == -EAGAIN)
		return rc;
	if (rc) {
		/* Hung up on to make room, or before it listens: again. */
		give_up_try(call);
		return -EAGAIN;
	}
	if (!well_formed(answer) || !same_secret(answer->secret, l->self.secret))
		return pfw_error_set(err, EPROTO, "what answers for rank %u is not "
				     "the verbs transport of this run", own->to);
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
