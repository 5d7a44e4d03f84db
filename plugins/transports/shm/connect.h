/*
 * connect.h: how a receiver's memory reaches its sender.
 *
 * Each rank listens on an abstract unix socket with a random name; the sender
 * of a channel calls its receiver there, shows the layout that it expects, and
 * gets the memfd or a sentence.  Nobody waits: every step is taken when it can
 * be.  Callers of another user are hung up on at once, those who say nothing
 * or nonsense when their place in a small table is needed or at once, those of
 * another run are told so.
 *
 * Slots are a device's memory where both ends have such and the receiver reaches
 * what the sender lends; else both are told -ENOTSUP, and come again with memory
 * of the host.
 */
#ifndef SHM_CONNECT_H
#define SHM_CONNECT_H

#include "lent.h"
#include "wire.h"

#define SHM_CALLERS 64u
#define SHM_HOST_BYTES 256u

struct shm_caller {
	int socket;
	int greeted; /* `wants` is filled in and is of this run */
	struct shm_hello wants;
};

struct shm_listener {
	int socket;
	uint32_t rank, ranks;
	uint64_t job;
	char host[SHM_HOST_BYTES];
	uint32_t n_callers; /* oldest first */
	struct shm_caller callers[SHM_CALLERS];
};

int shm_listener_open(struct shm_listener *l, const struct pfw_transport_info *info,
		      struct pfw_address *self, struct pfw_error *err);
void shm_listener_close(struct shm_listener *l);

/**
 * Receiver: gives @p memfd to the sender of the channel @p own, when it has
 * called; the connection in *socket.  What it lends becomes @p lent, where there
 * is such.
 */
int shm_answer(struct shm_listener *l, const struct shm_header *own, int memfd,
	       struct shm_lent *lent, int *socket, struct pfw_error *err);

/**
 * Sender: calls @p peer over *socket, which is -1 at first and is kept between
 * calls; its memfd in *memfd.
 */
int shm_call(const struct shm_listener *l, const struct pfw_address *peer,
	     const struct shm_hello *own, int *socket, int *memfd,
	     struct pfw_error *err);

/** Is it an address of a rank on this host? */
int shm_address_check(const struct shm_listener *l, const struct pfw_address *peer,
		      uint32_t rank, struct pfw_error *err);

#endif
