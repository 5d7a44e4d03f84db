/*
 * peer.h: is the other end alive?
 *
 * The socket that the channel was made over stays open and serves nothing
 * else: it hangs up when the other end is closed or its process ends.  Where
 * the kernel gives a pidfd it also tells of a process whose children still
 * hold the socket, and which of the two it was.
 */
#ifndef SHM_PEER_H
#define SHM_PEER_H

#include <pipefw/base.h>

#include <stdbool.h>
#include <sys/types.h>

struct shm_peer {
	int socket; /* -1: none */
	int pidfd;  /* -1: none */
	pid_t pid;  /* 0: not known (another pid namespace) */
	uint32_t rank;
};

#define SHM_NO_PEER ((struct shm_peer){ .socket = -1, .pidfd = -1 })

/** Takes over @p socket. */
void shm_peer_init(struct shm_peer *peer, int socket, uint32_t rank);
void shm_peer_free(struct shm_peer *peer);
/** Is the process at the other end of the socket this one? */
bool shm_is_this_process(int socket);
/** 0, or -EPIPE and what is known.  One system call. */
int shm_peer_check(const struct shm_peer *peer, struct pfw_error *err);

#endif
