/*
 * endpoint.h: tcp://HOST:PORT, where the launchers of a run meet.
 */
#ifndef PFW_CORE_ENDPOINT_H
#define PFW_CORE_ENDPOINT_H

#include <pipefw/base.h>
#include <sys/socket.h>

#define PFW_ENDPOINT_TEXT 72u /**< "[" IPv6 with a scope "]:65535" */

struct pfw_endpoint {
	char host[256]; /**< a name, or IPv4 or IPv6 without brackets */
	char port[8];
	char text[280]; /**< as people write it, without tcp:// */
};

int pfw_endpoint_parse(const char *text, struct pfw_endpoint *out,
		       struct pfw_error *err);
/** Listens there, at the first of its addresses that is this host's. */
int pfw_endpoint_listen(const struct pfw_endpoint *at, int *out,
			struct pfw_error *err);
/** One try at each of its addresses; until @p deadline at most. */
int pfw_endpoint_dial(const struct pfw_endpoint *at, uint64_t deadline,
		      int *out, struct pfw_error *err);
/** For a connected socket: small packets at once, and a host that vanished is an
 *  error after about @p seconds. */
void pfw_endpoint_tune(int fd, int seconds);
/** Writes "1.2.3.4:567"; with @p port 0 the address alone. */
void pfw_endpoint_text(const struct sockaddr *addr, int port, char *buf,
		       size_t len);

#endif
