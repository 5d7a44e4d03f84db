/*
 * call.h: the sending end of a channel calls the receiving one.
 */
#ifndef PFW_TCP_CALL_H
#define PFW_TCP_CALL_H

#include "callers.h"

/** A call on its way. */
struct tcp_call {
	int socket; /**< -1: to be made */
	unsigned stage;
	struct tcp_hello hello;
	struct tcp_answer answer;
	struct tcp_verdict verdict;
	size_t have;
};

/** Nobody is called yet. */
void tcp_call_begin(struct tcp_call *call, const struct tcp_self *self,
		    const struct pfw_channel_info *info);
/** -EINVAL: no address of this transport. */
int tcp_address_read(const struct pfw_address *in, uint32_t rank,
		     struct tcp_address *out, struct pfw_error *err);
/** 0: the channel is open, call->socket is the caller's; -EAGAIN. */
int tcp_call_go_on(struct tcp_call *call, const struct tcp_self *self,
		   const struct pfw_address *peer, struct pfw_error *err);
/** Either end's part: answers where @p listener is given, else calls.  0: *fd is
 *  the caller's, *pid the other end's process; -EAGAIN. */
int tcp_call_join(struct tcp_call *call, struct tcp_listener *listener,
		  const struct tcp_self *self, const struct pfw_address *peer,
		  int *fd, uint64_t *pid, struct pfw_error *err);

#endif
