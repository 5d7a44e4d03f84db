#include "call.h"

#include "../common/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define DIALLING 0u /* until it is connected */
#define ASKING 1u   /* for an answer */
#define PROVING 2u  /* for a verdict */

void tcp_call_begin(struct tcp_call *call, const struct tcp_self *self,
		    const struct pfw_channel_info *info)
{
	*call = (struct tcp_call){ .socket = -1 };
	call->hello = (struct tcp_hello){
		.job = self->job,
		.from = info->from,
		.to = info->to,
		.kind = info->kind,
		.n_slots = info->n_slots,
		.slot_bytes = info->slot_bytes,
	};
}

int tcp_address_read(const struct pfw_address *in, uint32_t rank,
		     struct tcp_address *out, struct pfw_error *err)
{
	if (in->len == sizeof(*out))
		memcpy(out, in->bytes, sizeof(*out));
	if (in->len != sizeof(*out) || out->magic != TCP_MAGIC ||
	    !memchr(out->host, 0, sizeof(out->host)) || !out->port ||
	    out->port > 65535)
		return pfw_error_set(err, EINVAL, "the address of rank %u is not "
				     "one of this build's tcp transport", rank);
	return 0;
}

static int no_answer(const struct tcp_call *call, const struct tcp_address *a,
		     int code, struct pfw_error *err)
{
	return pfw_error_set(err, code, "rank %u does not answer at %s port %u: "
			     "%s (is that the address at which other hosts "
			     "reach its host? transport.address sets it)",
			     call->hello.to, a->host, a->port, strerror(code));
}

static int dial(struct tcp_call *call, const struct tcp_address *a,
		struct pfw_error *err)
{
	int rc = socket_call(a->host, a->port, &call->socket);

	call->stage = DIALLING;
	call->have = 0;
	return rc ? no_answer(call, a, -rc, err) : 0;
}

static int greet(struct tcp_call *call, const struct tcp_address *a,
		 struct pfw_error *err)
{
	int rc = socket_called(call->socket);

	if (rc)
		return rc == -EAGAIN ? rc : no_answer(call, a, -rc, err);
	call->hello.magic = TCP_MAGIC;
	call->hello.pid = (uint64_t)getpid();
	if (getrandom(call->hello.nonce, TCP_NONCE_BYTES, 0) != TCP_NONCE_BYTES)
		return pfw_error_set(err, EIO,
				     "the kernel gives no random bytes");
	call->stage = ASKING;
	return tcp_say(call->socket, &call->hello, sizeof(call->hello));
}

static int prove(struct tcp_call *call, const struct tcp_self *self,
		 struct pfw_error *err)
{
	uint8_t proof[PFW_MAC_BYTES];
	int rc = tcp_take(call->socket, &call->answer, sizeof(call->answer),
			  &call->have);

	if (rc)
		return rc;
	tcp_prove(self->key, "answers", &call->hello, call->answer.nonce, proof);
	if (call->answer.magic != TCP_MAGIC ||
	    !pfw_mac_equal(proof, call->answer.proof))
		return pfw_error_set(err, EACCES,
				     "who answers for rank %u does not know the "
				     "run's key", call->hello.to);
	tcp_prove(self->key, "calls", &call->hello, call->answer.nonce, proof);
	call->stage = PROVING;
	return tcp_say(call->socket, proof, sizeof(proof));
}

static int hear_verdict(struct tcp_call *call, const struct tcp_self *self,
			struct pfw_error *err)
{
	struct tcp_verdict *v = &call->verdict;
	int rc = tcp_take(call->socket, v, sizeof(*v), &call->have);

	if (rc || !v->code)
		return rc;
	v->text[sizeof(v->text) - 1] = 0;
	return pfw_error_set(err, v->code < 4096 ? (int)v->code : EPROTO,
			     "rank %u refuses rank %u: %s", call->hello.to,
			     self->rank, v->text);
}

int tcp_call_go_on(struct tcp_call *call, const struct tcp_self *self,
		   const struct pfw_address *peer, struct pfw_error *err)
{
	struct tcp_address a;
	int rc = tcp_address_read(peer, call->hello.to, &a, err);

	if (!rc && call->socket < 0)
		rc = dial(call, &a, err);
	if (!rc && call->stage == DIALLING)
		rc = greet(call, &a, err);
	if (!rc && call->stage == ASKING)
		rc = prove(call, self, err);
	if (!rc && call->stage == PROVING)
		rc = hear_verdict(call, self, err);
	if (rc == -EPIPE && call->stage != DIALLING) {
		/* Hung up on to make room: call again, if it still listens. */
		close(call->socket);
		call->socket = -1;
		return -EAGAIN;
	}
	return rc;
}

int tcp_call_join(struct tcp_call *call, struct tcp_listener *listener,
		  const struct tcp_self *self, const struct pfw_address *peer,
		  int *fd, uint64_t *pid, struct pfw_error *err)
{
	int rc;

	if (listener)
		return tcp_listener_answer(listener, &call->hello, fd, pid, err);
	rc = tcp_call_go_on(call, self, peer, err);
	if (rc)
		return rc;
	*fd = call->socket;
	*pid = call->answer.pid;
	call->socket = -1;
	return 0;
}
