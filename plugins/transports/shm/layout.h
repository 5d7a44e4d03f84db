/*
 * layout.h: what lies in the memory that the two ends of a channel share.
 *
 *    header        geometry, written once by the receiver, checked by both
 *    control       one word a side: "I sleep, wake me"
 *    descriptors   a ring, one for each message that can be in flight
 *    released      one counter a slot
 *    words         where the slots are a device's memory, which lies elsewhere
 *                  (lent.h): what devices write (words.h), on pages of its own
 *    slots         the payload; from a page boundary on
 *
 * A message is published by one store: the sequence word of its descriptor,
 * so that the receiver finds word and description in the one line it polls.
 * There is no head and no tail to share: both ends count for themselves.
 *
 * The ring needs no "full".  A message needs a free slot, so at most n_slots
 * are unreceived, and there are at least as many descriptors.  When message m
 * overwrites the descriptor of m - n, two of the messages m - n ... m used the
 * same slot, so one of them was received and released before: m - n, being no
 * younger, was received too, and acquire() saw the release.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <pipefw/transport.h>

#include <stdatomic.h>

#define SHM_MAGIC 0x6d68732d77666970u /* "pifw-shm", also tells the endianness */
#define SHM_VERSION 2u
#define SHM_MAX_SLOTS 65536u
#define SHM_MAX_BYTES (1ull << 40) /* of one channel */
/* Two lines: the processor fetches them in pairs. */
#define SHM_PAIR 128u

struct shm_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint32_t descriptor_bytes;
	uint32_t n_slots;
	uint32_t n_descriptors; /* a power of two */
	uint32_t from, to, kind;
	uint32_t memory; /* PFW_MEM_* */
	uint32_t unused;
	uint64_t slot_bytes;
	uint64_t stride; /* from slot to slot */
	uint64_t job;
	/* offsets from here */
	uint64_t control;
	uint64_t descriptors;
	uint64_t released;
	uint64_t words;
	uint64_t slots;
	uint64_t total;
};

/* Each word is written by its side when it goes to sleep, which is rare. */
struct shm_control {
	_Alignas(SHM_PAIR) _Atomic uint32_t receiver_sleeps;
	_Alignas(SHM_PAIR) _Atomic uint32_t sender_sleeps;
};

struct shm_descriptor {
	_Alignas(64) _Atomic uint64_t sequence; /* m + 1 once m is there */
	uint64_t bytes;
	uint32_t slot;
	uint32_t unused;
	struct pfw_message_id id;
};

_Static_assert(sizeof(struct shm_descriptor) == 64, "one cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
	       "atomics in shared memory must not need a lock");

/** Fills @p out for a channel; both ends compute the same. */
int shm_layout(const struct pfw_channel_info *info, uint64_t job, size_t page,
	       struct shm_header *out, struct pfw_error *err);

#endif
