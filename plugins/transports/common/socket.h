/*
 * socket.h: listens at, and calls, addresses in numbers; nothing here waits.
 */
#ifndef PFW_TRANSPORTS_SOCKET_H
#define PFW_TRANSPORTS_SOCKET_H

#include <stdint.h>

/** -EINVAL: @p ip is no address in numbers; or -errno.  The kernel chooses the
 *  port. */
int socket_listen(const char *ip, int *out, uint32_t *port);
/** A connection on its way; -EINVAL, -errno as above. */
int socket_call(const char *ip, uint32_t port, int *out);
/** Of a call: 0 is there, -EAGAIN, -errno. */
int socket_called(int fd);

#endif
