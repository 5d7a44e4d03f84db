/*
 * ring.h: the data plane of a channel, on memory laid out by layout.h.
 *
 * Nothing here blocks, allocates or takes a system call, but for the wake-up
 * of a side that sleeps.  What is read from shared memory is checked before it
 * is used: the other process may have gone mad.
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include "layout.h"
#include "wait.h"

#include <stdbool.h>

struct shm_ring_slot {
	uint64_t messages; /* this slot has carried, as this end knows */
	bool held;         /* acquired and not sent, received and not released */
};

/** One end. */
struct shm_ring {
	uint64_t next; /* message to send or to receive */
	uint64_t bytes;
	uint32_t n_slots;
	uint32_t mask;
	uint64_t slot_bytes;
	uint64_t stride;
	struct shm_descriptor *descriptors;
	_Atomic uint64_t *released;
	unsigned char *slots; /* NULL: a device's memory, see lent.h */
	struct shm_control *control;
	struct shm_ring_slot *slot; /* n_slots */
};

int shm_ring_init(struct shm_ring *ring, const struct shm_header *header,
		  unsigned char *base);
void shm_ring_free(struct shm_ring *ring);

int shm_ring_acquire(struct shm_ring *ring, uint32_t slot, struct pfw_error *err);
int shm_ring_send(struct shm_ring *ring, uint32_t slot, uint64_t bytes,
		  const struct pfw_message_id *id, struct pfw_error *err);
int shm_ring_recv(struct shm_ring *ring, uint32_t *slot, uint64_t *bytes,
		  struct pfw_message_id *id, struct pfw_error *err);
int shm_ring_release(struct shm_ring *ring, uint32_t slot, struct pfw_error *err);

/** What a receiver, and a sender in want of @p slot, wait for. */
struct shm_watch shm_ring_watch_message(struct shm_ring *ring);
struct shm_watch shm_ring_watch_slot(struct shm_ring *ring, uint32_t slot);

#endif
