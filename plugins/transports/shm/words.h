/*
 * words.h: two words a slot that devices write, where slots are their memory.
 *
 * `made` counts the messages that the sender's device has finished in a slot,
 * `read` those that the receiver's is done with.  The ring goes ahead of them: it
 * says what the hosts have queued.  An end that is bound to a queue lets the queue
 * write its word and wait for the other one; else the host does, and looks.
 *
 * A queue waits only for what the ring has told, so for work that the other process
 * queued before.  So whatever order a device makes of its queues on top of their
 * own, no two wait for each other.
 */
#ifndef SHM_WORDS_H
#define SHM_WORDS_H

#include <pipefw/device.h>

#include <stdatomic.h>
#include <stdbool.h>

struct shm_words {
	_Atomic uint64_t *made, *read; /* [n_slots]; NULL: the host's memory */
	uint32_t n_slots;
	const struct pfw_device_ops *ops;
	void *device, *queue; /* queue NULL: the host keeps the order */
	bool pinned;
};

/** Bytes of all words of a channel. */
static inline uint64_t shm_words_bytes(uint32_t n_slots)
{
	return 2ull * n_slots * sizeof(uint64_t);
}

/** @p at: a page of their own, zeroed. */
void shm_words_init(struct shm_words *w, void *at, uint32_t n_slots,
		    const struct pfw_device_ops *ops, void *device);
/** -ENOTSUP: the device has no such means. */
int shm_words_bind(struct shm_words *w, void *queue, struct pfw_error *err);
/** What a queue still waits for has come, whatever the other end does. */
void shm_words_let_go(struct shm_words *w, bool sending);
void shm_words_free(struct shm_words *w);

/** After all that the queue was given. */
int shm_words_raise(struct shm_words *w, _Atomic uint64_t *word, uint64_t value,
		    struct pfw_error *err);
/** 1: @p queue waits for it from now on, or, where the host keeps the order, it is
 *  there; 0: it is not. */
int shm_words_hold(struct shm_words *w, void *queue, _Atomic uint64_t *word,
		   uint64_t value, struct pfw_error *err);
static inline bool shm_words_reached(const _Atomic uint64_t *word, uint64_t value)
{
	return atomic_load_explicit(word, memory_order_acquire) >= value;
}

#endif
