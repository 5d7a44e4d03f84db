/*
 * callers.h: the receiving end of channels: a listener, and who has called.
 *
 * Nothing here waits or is trusted: a caller that has not proved that it has the
 * run's key makes room for the next one.
 */
#ifndef PFW_TCP_CALLERS_H
#define PFW_TCP_CALLERS_H

#include "wire.h"

#define TCP_CALLERS 128u

/** Who is this rank, and what does it know. */
struct tcp_self {
	uint32_t rank, ranks;
	uint64_t job;
	uint8_t key[PFW_MAC_BYTES];
	char host[TCP_HOST_BYTES];
};

struct tcp_caller {
	int socket;
	unsigned stage; /**< TCP_CALLER_* */
	struct tcp_hello hello;
	uint8_t nonce[TCP_NONCE_BYTES], proof[PFW_MAC_BYTES];
	size_t have;
};

#define TCP_CALLER_SILENT 0u
#define TCP_CALLER_ANSWERED 1u /**< it has our nonce */
#define TCP_CALLER_PROVED 2u   /**< it waits for a verdict */

struct tcp_listener {
	const struct tcp_self *self;
	int socket;
	uint32_t n;
	struct tcp_caller callers[TCP_CALLERS]; /**< oldest first */
};

/** @p host: the one that was chosen, or NULL. */
void tcp_self_take(struct tcp_self *self, const char *host,
		   const struct pfw_transport_info *info);

int tcp_listener_open(struct tcp_listener *l, const struct tcp_self *self,
		      struct pfw_address *out, struct pfw_error *err);
void tcp_listener_close(struct tcp_listener *l);

/** A caller for the channel @p own (its nonce and pid are the caller's);
 *  -EAGAIN until it is there. */
int tcp_listener_answer(struct tcp_listener *l, const struct tcp_hello *own,
			int *socket, uint64_t *pid, struct pfw_error *err);

#endif
