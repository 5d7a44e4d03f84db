#include "wait.h"

#include "base/clock.h"

#include <sys/syscall.h>
#include <unistd.h>

/* From linux/futex.h, which a musl system may be without.  None is private: the
 * two ends may be two processes. */
#define FUTEX_WAKE 1
#define FUTEX_WAIT_BITSET 9 /* takes an absolute, monotonic time */
#define FUTEX_BITSET_MATCH_ANY 0xffffffffu

/* Looks between two readings of the clock. */
#define SPINS 32

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

bool shm_spin(const struct shm_watch *w, uint64_t ns, uint64_t deadline)
{
	uint64_t end;

	if (shm_watch_changed(w))
		return true;
	if (!ns)
		return false;
	end = pfw_now() + ns;
	if (end > deadline)
		end = deadline;
	do
		for (int i = 0; i < SPINS; i++) {
			if (shm_watch_changed(w))
				return true;
			relax();
		}
	while (pfw_now() < end);
	return false;
}

void shm_wake_sleeper(_Atomic uint32_t *sleeps)
{
	atomic_store_explicit(sleeps, 0, memory_order_seq_cst);
	syscall(SYS_futex, sleeps, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool shm_sleep(const struct shm_watch *w, uint64_t deadline)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline / PFW_S),
		.tv_nsec = (long)(deadline % PFW_S),
	};
	bool slept = false;

	atomic_store_explicit(w->sleeps, w->mark, memory_order_seq_cst);
	if (!shm_watch_changed(w)) {
		syscall(SYS_futex, w->sleeps, FUTEX_WAIT_BITSET, w->mark, &until,
			NULL, FUTEX_BITSET_MATCH_ANY);
		slept = true;
	}
	atomic_store_explicit(w->sleeps, 0, memory_order_relaxed);
	return slept;
}
