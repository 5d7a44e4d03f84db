/*
 * wait.h: spins, then sleeps until a word in shared memory changes.
 *
 * The sleeper and its waker each write one word and then read the other's:
 *
 *    sleeper                           waker
 *    sleeps = mark                     word = new      (ring.c)
 *    if word is unchanged              if sleeps == mark
 *        futex_wait(sleeps, mark)          sleeps = 0, futex_wake(sleeps)
 *
 * All four are sequentially consistent, so at least one side sees what the
 * other wrote; a wake-up between the sleeper's look and its sleep changes the
 * word that futex_wait compares.  tests/transport/test_wakeup.c goes through
 * every interleaving.
 */
#ifndef SHM_WAIT_H
#define SHM_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct shm_watch {
	_Atomic uint64_t *word;
	uint64_t unchanged;
	_Atomic uint32_t *sleeps;
	uint32_t mark; /* not 0 */
};

/** The word has been written; wakes who sleeps for it. */
void shm_wake_sleeper(_Atomic uint32_t *sleeps);
static inline void shm_wake(_Atomic uint32_t *sleeps, uint32_t mark)
{
	if (atomic_load_explicit(sleeps, memory_order_seq_cst) == mark)
		shm_wake_sleeper(sleeps);
}

static inline bool shm_watch_changed(const struct shm_watch *w)
{
	return atomic_load_explicit(w->word, memory_order_seq_cst) != w->unchanged;
}

/** Looks for at most @p ns, not beyond @p deadline; true: it has changed. */
bool shm_spin(const struct shm_watch *w, uint64_t ns, uint64_t deadline);

/**
 * Sleeps until the word may have changed or until @p deadline (CLOCK_MONOTONIC,
 * ns); true: it did sleep.  May wake for nothing.
 */
bool shm_sleep(const struct shm_watch *w, uint64_t deadline);

#endif
