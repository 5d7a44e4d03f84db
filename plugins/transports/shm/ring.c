#include "ring.h"

#include <errno.h>
#include <stdlib.h>

/* What a sleeping receiver writes into its word; a sender writes slot + 1. */
#define ANY_MESSAGE 1u

/*
 * The other side reads this line next: out of our own cache into the one that
 * both share.  A hint (CLDEMOTE), which processors without it do not heed.
 */
static inline void pass_line(const void *line)
{
#if defined(__x86_64__)
	__asm__ volatile(".byte 0x0f, 0x1c, 0x00" : : "a"(line) : "memory");
#else
	(void)line;
#endif
}

int shm_ring_init(struct shm_ring *ring, const struct shm_header *header,
		  unsigned char *base)
{
	*ring = (struct shm_ring){
		.n_slots = header->n_slots,
		.mask = header->n_descriptors - 1,
		.slot_bytes = header->slot_bytes,
		.stride = header->stride,
		.descriptors = (void *)(base + header->descriptors),
		.released = (void *)(base + header->released),
		.slots = header->memory == PFW_MEM_HOST ?
				 base + header->slots : NULL,
		.control = (void *)(base + header->control),
		.slot = calloc(header->n_slots, sizeof(struct shm_ring_slot)),
	};
	return ring->slot ? 0 : -ENOMEM;
}

void shm_ring_free(struct shm_ring *ring)
{
	free(ring->slot);
	ring->slot = NULL;
}

static int no_slot(const struct shm_ring *ring, uint32_t slot,
		   struct pfw_error *err)
{
	return pfw_error_set(err, EINVAL, "slot %u of a channel of %u slots", slot,
			     ring->n_slots);
}

static int corrupt(const char *what, uint64_t found, struct pfw_error *err)
{
	return pfw_error_set(err, EBADMSG, "the shared memory of the channel is "
			     "damaged: %s is %llu; something wrote where it must "
			     "not", what, (unsigned long long)found);
}

int shm_ring_acquire(struct shm_ring *ring, uint32_t slot, struct pfw_error *err)
{
	uint64_t released;

	if (slot >= ring->n_slots)
		return no_slot(ring, slot, err);
	released = atomic_load_explicit(&ring->released[slot],
					memory_order_acquire);
	if (released == ring->slot[slot].messages) {
		ring->slot[slot].held = true;
		return 0;
	}
	if (released + 1 == ring->slot[slot].messages)
		return -EAGAIN;
	return corrupt("a slot's count of releases", released, err);
}

int shm_ring_send(struct shm_ring *ring, uint32_t slot, uint64_t bytes,
		  const struct pfw_message_id *id, struct pfw_error *err)
{
	struct shm_descriptor *d = &ring->descriptors[ring->next & ring->mask];

	if (slot >= ring->n_slots)
		return no_slot(ring, slot, err);
	if (!ring->slot[slot].held)
		return pfw_error_set(err, EINVAL, "slot %u is sent, but was not "
				     "acquired", slot);
	if (bytes > ring->slot_bytes)
		return pfw_error_set(err, EMSGSIZE, "a message of %llu bytes in "
				     "slots of %llu", (unsigned long long)bytes,
				     (unsigned long long)ring->slot_bytes);
	d->bytes = bytes;
	d->slot = slot;
	d->id = *id;
	ring->slot[slot].held = false;
	ring->slot[slot].messages++;
	ring->next++;
	ring->bytes += bytes;
	/* Sequentially consistent: before the look at the sleeper's word. */
	atomic_store_explicit(&d->sequence, ring->next, memory_order_seq_cst);
	pass_line(d);
	if (ring->slots)
		pass_line(ring->slots + slot * ring->stride);
	shm_wake(&ring->control->receiver_sleeps, ANY_MESSAGE);
	return 0;
}

/* What a descriptor holds before its next message: 0 in the first round. */
static uint64_t stale_sequence(const struct shm_ring *ring)
{
	return ring->next > ring->mask ? ring->next - ring->mask : 0;
}

int shm_ring_recv(struct shm_ring *ring, uint32_t *slot, uint64_t *bytes,
		  struct pfw_message_id *id, struct pfw_error *err)
{
	struct shm_descriptor *d = &ring->descriptors[ring->next & ring->mask];
	uint64_t sequence, n;
	uint32_t s;

	sequence = atomic_load_explicit(&d->sequence, memory_order_acquire);
	if (sequence != ring->next + 1) {
		if (sequence == stale_sequence(ring))
			return -EAGAIN;
		return corrupt("a descriptor's sequence number", sequence, err);
	}
	/* One read each: what was checked is what is used. */
	s = *(volatile uint32_t *)&d->slot;
	n = *(volatile uint64_t *)&d->bytes;
	if (s >= ring->n_slots || ring->slot[s].held)
		return corrupt("a descriptor's slot", s, err);
	if (n > ring->slot_bytes)
		return corrupt("a descriptor's byte count", n, err);
	*id = d->id;
	*slot = s;
	*bytes = n;
	ring->slot[s].held = true;
	ring->next++;
	ring->bytes += n;
	return 0;
}

int shm_ring_release(struct shm_ring *ring, uint32_t slot, struct pfw_error *err)
{
	if (slot >= ring->n_slots)
		return no_slot(ring, slot, err);
	if (!ring->slot[slot].held)
		return pfw_error_set(err, EINVAL, "slot %u is released, but holds "
				     "no message", slot);
	ring->slot[slot].held = false;
	ring->slot[slot].messages++;
	atomic_store_explicit(&ring->released[slot], ring->slot[slot].messages,
			      memory_order_seq_cst);
	pass_line(&ring->released[slot]);
	shm_wake(&ring->control->sender_sleeps, slot + 1);
	return 0;
}

struct shm_watch shm_ring_watch_message(struct shm_ring *ring)
{
	return (struct shm_watch){
		.word = &ring->descriptors[ring->next & ring->mask].sequence,
		.unchanged = stale_sequence(ring),
		.sleeps = &ring->control->receiver_sleeps,
		.mark = ANY_MESSAGE,
	};
}

struct shm_watch shm_ring_watch_slot(struct shm_ring *ring, uint32_t slot)
{
	return (struct shm_watch){
		.word = &ring->released[slot],
		.unchanged = ring->slot[slot].messages - 1,
		.sleeps = &ring->control->sender_sleeps,
		.mark = slot + 1,
	};
}
