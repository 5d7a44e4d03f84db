/*
 * meet.h: how the two ends of a channel find each other.
 *
 * Each rank listens on a TCP port; the sender of a channel calls its receiver,
 * says what it expects and where its queue pairs are, and gets the same or a
 * sentence.  Nobody waits: every step is taken when it can be.  The connection
 * stays: it tells at once that the other process has died.
 */
#ifndef VERBS_MEET_H
#define VERBS_MEET_H

#include "wire.h"

#define VERBS_CALLERS 64u

struct verbs_caller {
	int socket;
	uint32_t got; /* bytes of `hello` */
	struct verbs_hello *hello;
};

struct verbs_listener {
	int socket;
	uint32_t rank, ranks;
	uint64_t job;
	unsigned char key[PFW_MAC_BYTES];
	char host[VERBS_HOST_BYTES];
	struct verbs_address self;
	uint32_t n_callers; /* oldest first */
	struct verbs_caller callers[VERBS_CALLERS];
};

/* A channel's connection, from the first try on. */
struct verbs_call {
	int socket;         /* -1: none */
	bool said;          /* the hello is out */
	uint32_t got;       /* bytes of the answer */
	unsigned char proof[PFW_MAC_BYTES]; /* of the hello */
};

int verbs_listener_open(struct verbs_listener *l,
			const struct pfw_transport_info *info,
			const struct verbs_rails *rails, bool by_send,
			struct pfw_address *self,
			struct pfw_error *err);
void verbs_listener_close(struct verbs_listener *l);

/** Reads a peer's address; @p rank is for the sentence. */
int verbs_address_read(const struct pfw_address *in, uint32_t rank,
		       struct verbs_address *out, struct pfw_error *err);

/**
 * Receiver: the hello of who calls for the channel @p from, @p kind, and the
 * connection; -EAGAIN until it has called.
 */
int verbs_answer(struct verbs_listener *l, uint32_t from, uint32_t kind,
		 int *socket, struct verbs_hello *hello, struct pfw_error *err);
/** Signs and sends the answer to @p hello; 0 or -errno. */
int verbs_reply(const struct verbs_listener *l, int socket,
		const struct verbs_hello *hello, struct verbs_hello *answer);

/** Sender: calls, says @p own, gets the answer; -EAGAIN until it is there. */
int verbs_dial(const struct verbs_listener *l, const struct verbs_address *peer,
	       struct verbs_hello *own, struct verbs_call *call,
	       struct verbs_hello *answer, struct pfw_error *err);

/** Is the connection's other end still there? */
bool verbs_alive(int socket);

#endif
