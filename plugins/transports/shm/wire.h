/*
 * wire.h: what two ranks say to each other before they share memory.
 *
 * One packet each way (SOCK_SEQPACKET): a caller sends its struct shm_hello, and
 * gets a struct shm_reply, which carries the memfd when its code is 0.
 */
#ifndef SHM_WIRE_H
#define SHM_WIRE_H

#include "layout.h"

#include <pipefw/device.h>

#include <stdbool.h>

struct shm_hello {
	struct shm_header header;
	struct pfw_lent slots; /* where they are a device's memory */
};

struct shm_reply {
	uint64_t magic;
	int32_t code; /* positive errno */
	char text[244];
};

/** Sends a reply, with @p memfd unless it is -1. */
int shm_reply_send(int socket, int code, const char *text, int memfd);
/**
 * -EAGAIN: nothing yet; -ECONNRESET: hung up; -EPROTO: nonsense; else 0, and
 * *memfd is -1 or the caller's.
 */
int shm_reply_recv(int socket, struct shm_reply *reply, int *memfd);
/** Is the process at the other end of our user? */
bool shm_same_user(int socket);

#endif
