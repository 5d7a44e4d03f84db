#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* A new socket, and where it is to go. */
static int prepare(const char *ip, uint32_t port, struct addrinfo **out, int *fd)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *a;
	char digits[12];
	int code;

	snprintf(digits, sizeof(digits), "%u", port);
	if (getaddrinfo(ip, digits, &hints, &a))
		return -EINVAL;
	*fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	code = errno;
	if (*fd < 0)
		freeaddrinfo(a);
	else
		*out = a;
	return *fd < 0 ? -code : 0;
}

/* The one that the kernel has chosen. */
static int port_of(int fd, uint32_t *out)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len))
		return -errno;
	*out = ntohs(a.ss_family == AF_INET6 ?
			     ((struct sockaddr_in6 *)&a)->sin6_port :
			     ((struct sockaddr_in *)&a)->sin_port);
	return 0;
}

int socket_listen(const char *ip, int *out, uint32_t *port)
{
	struct addrinfo *a;
	int fd, rc = prepare(ip, 0, &a, &fd);

	if (rc)
		return rc;
	rc = bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, SOMAXCONN) ?
		     -errno : port_of(fd, port);
	freeaddrinfo(a);
	if (rc)
		close(fd);
	else
		*out = fd;
	return rc;
}

int socket_call(const char *ip, uint32_t port, int *out)
{
	struct addrinfo *a;
	int fd, rc = prepare(ip, port, &a, &fd);

	if (rc)
		return rc;
	if (connect(fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS)
		rc = -errno;
	freeaddrinfo(a);
	if (rc)
		close(fd);
	else
		*out = fd;
	return rc;
}

int socket_called(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int code = 0;

	if (poll(&p, 1, 0) <= 0)
		return -EAGAIN;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len))
		return -errno;
	return -code;
}
