#include "launch/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const char scheme[] = "tcp://";

static int is_port(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n && n <= 5 && !text[n] && atoi(text) >= 1 &&
	       atoi(text) <= 65535;
}

/* The end of the host, and where its port begins; NULL: there is none. */
static const char *split(const char *host, const char **port)
{
	const char *end = *host == '[' ? strchr(host, ']') :
					 strrchr(host, ':');

	if (!end)
		return NULL;
	*port = *end == ']' ? end + 1 : end;
	return *(*port)++ == ':' ? end : NULL;
}

int pfw_endpoint_parse(const char *text, struct pfw_endpoint *out,
		       struct pfw_error *err)
{
	struct pfw_endpoint e;
	const char *host = text + sizeof(scheme) - 1, *end = NULL, *port = "";

	if (!strncmp(text, scheme, sizeof(scheme) - 1)) {
		end = split(host, &port);
		host += *host == '[';
	}
	if (!end || end == host || (size_t)(end - host) >= sizeof(e.host) ||
	    !is_port(port) ||
	    (host[-1] == '/' && memchr(host, ':', (size_t)(end - host))))
		return pfw_error_set(err, EINVAL,
				     "--boot %s: must be tcp://HOST:PORT, with "
				     "a port from 1 to 65535 and brackets "
				     "around an IPv6 address, tcp://[::1]:4711",
				     text);
	memset(&e, 0, sizeof(e));
	memcpy(e.host, host, (size_t)(end - host));
	snprintf(e.port, sizeof(e.port), "%s", port);
	snprintf(e.text, sizeof(e.text), "%.270s", text + sizeof(scheme) - 1);
	*out = e;
	return 0;
}

static int resolve(const struct pfw_endpoint *at, int flags,
		   struct addrinfo **out, struct pfw_error *err)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};
	int code = getaddrinfo(at->host, at->port, &hints, out);

	if (code)
		return pfw_error_set(err, EHOSTUNREACH, "%s: %s", at->host,
				     gai_strerror(code));
	return 0;
}

static int listen_at(const struct addrinfo *a, int *out)
{
	int yes = 1, bytes = 1 << 18, code;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (fd < 0)
		return -errno;
	/* A run that has just ended leaves connections in TIME_WAIT. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	/* Inherited: more than a launcher sends before it is answered. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 128)) {
		code = -errno;
		close(fd);
		return code;
	}
	*out = fd;
	return 0;
}

int pfw_endpoint_listen(const struct pfw_endpoint *at, int *out,
			struct pfw_error *err)
{
	struct addrinfo *list;
	int rc = resolve(at, AI_PASSIVE, &list, err);

	if (rc)
		return rc;
	rc = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a && rc; a = a->ai_next)
		rc = listen_at(a, out);
	freeaddrinfo(list);
	if (rc == -EADDRNOTAVAIL)
		return pfw_error_set(err, EADDRNOTAVAIL,
				     "%s is no address of this host: the "
				     "launcher of rank 0 listens there, so name "
				     "its host in --boot",
				     at->host);
	if (rc)
		return pfw_error_set(err, -rc, "cannot listen at %s: %s%s",
				     at->text, strerror(-rc),
				     rc == -EADDRINUSE ?
					     " (choose another port)" : "");
	return 0;
}

static int finish_dial(int fd, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	uint64_t now = pfw_now();
	int code = 0;

	if (now >= deadline)
		return -ETIMEDOUT;
	if (poll(&p, 1, (int)((deadline - now) / PFW_MS) + 1) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len))
		return -errno;
	return -code;
}

static int dial(const struct addrinfo *a, uint64_t deadline, int *out)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = connect(fd, a->ai_addr, a->ai_addrlen) ? -errno : 0;
	if (rc == -EINPROGRESS)
		rc = finish_dial(fd, deadline);
	if (rc)
		close(fd);
	else
		*out = fd;
	return rc;
}

int pfw_endpoint_dial(const struct pfw_endpoint *at, uint64_t deadline,
		      int *out, struct pfw_error *err)
{
	struct addrinfo *list;
	int rc = resolve(at, 0, &list, err);

	if (rc)
		return rc;
	rc = -EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && rc; a = a->ai_next)
		rc = dial(a, deadline, out);
	freeaddrinfo(list);
	if (rc)
		return pfw_error_set(err, -rc, "%s: %s", at->text,
				     strerror(-rc));
	return 0;
}

void pfw_endpoint_tune(int fd, int seconds)
{
	unsigned ms = (unsigned)seconds * 1000;
	int yes = 1, idle = seconds > 3 ? seconds - 3 : 1, one = 1, three = 3;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &three, sizeof(three));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void pfw_endpoint_text(const struct sockaddr *addr, int port, char *buf,
		       size_t len)
{
	socklen_t bytes = addr->sa_family == AF_INET6 ?
				  sizeof(struct sockaddr_in6) :
				  sizeof(struct sockaddr_in);
	char host[64], service[8];

	if (getnameinfo(addr, bytes, host, sizeof(host), service,
			sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(buf, len, "?");
	else if (!port)
		snprintf(buf, len, "%s", host);
	else
		snprintf(buf, len, strchr(host, ':') ? "[%s]:%s" : "%s:%s",
			 host, service);
}
