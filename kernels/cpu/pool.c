/*
 * Two words are all there is to agree on.  `left`, the parts that nobody has
 * claimed: a worker counts it down, and sleeps while it is 0.  `pending`, the
 * parts that are not done: the caller sleeps until it is 0.
 *
 *    caller                           worker
 *    body, n, grain = ...             claim: left = left - 1, if it is not 0
 *    pending = parts                  (no claim: sleepers++, futex_wait(left, 0))
 *    left = parts                     body(...)
 *    futex_wake(left) if sleepers     pending = pending - 1
 *    claims parts itself              futex_wake(pending) if 0 and caller_sleeps
 *    futex_wait(pending, not 0)
 *
 * What a worker reads of the caller's it reads between its claim and the end of
 * its part, when the caller cannot be past its wait; a claim that comes too late
 * for one loop is a good one of the next.  Sleeper and waker each write one word
 * and then read the other's, all sequentially consistent, and futex_wait looks
 * again: no wake-up is lost.  A wait has no deadline: what is waited for is
 * arithmetic that somebody is doing.
 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

/* From linux/futex.h, which a musl system may be without. */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

#define LINE 64
#define SPINS 32              /* looks between two readings of the clock */
#define STACK_BYTES ((uint64_t)32 << 10) /* of a thread, that are touched */
#define CLOSED UINT32_MAX     /* left: no work will come */
#define MOST_PARTS ((size_t)1 << 20)

struct worker {
	pthread_t id;
	struct cpu_pool *pool;
	float *scratch;
};

struct cpu_pool {
	/* The loop that runs: the caller's. */
	cpu_body *body;
	const void *context;
	size_t n, grain;
	_Alignas(LINE) _Atomic uint32_t left;
	_Atomic uint32_t sleepers;
	_Alignas(LINE) _Atomic uint32_t pending;
	_Atomic uint32_t caller_sleeps;
	_Alignas(LINE) struct cpu_pool_info info;
	uint32_t started;
	size_t bytes; /* of the mapping that this is the beginning of */
	float *scratch;
	struct worker workers[];
};

static void futex(_Atomic uint32_t *word, int what, uint32_t value)
{
	syscall(SYS_futex, word, what, value, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

/* Looks until the word is 0, or is not. */
static void spin(_Atomic uint32_t *word, int zero, uint64_t ns)
{
	uint64_t end;

	if (!ns)
		return;
	end = pfw_now() + ns;
	do
		for (int i = 0; i < SPINS; i++) {
			if (zero == !atomic_load_explicit(word,
							  memory_order_relaxed))
				return;
			relax();
		}
	while (pfw_now() < end);
}

/* One more part, or CLOSED; 0: there is none. */
static uint32_t claim(struct cpu_pool *pool)
{
	uint32_t left = atomic_load_explicit(&pool->left, memory_order_relaxed);

	while (left && left != CLOSED)
		if (atomic_compare_exchange_weak_explicit(
			    &pool->left, &left, left - 1, memory_order_acquire,
			    memory_order_relaxed))
			break;
	return left;
}

/* Parts go from the first to the last: the claim counts down. */
static void run_part(struct cpu_pool *pool, uint32_t left, float *scratch)
{
	size_t parts = (pool->n + pool->grain - 1) / pool->grain;
	size_t first = (parts - left) * pool->grain;
	size_t end = pool->n - first < pool->grain ? pool->n
						   : first + pool->grain;

	pool->body(pool->context, first, end, scratch);
	if (atomic_fetch_sub(&pool->pending, 1) == 1 &&
	    atomic_load(&pool->caller_sleeps))
		futex(&pool->pending, FUTEX_WAKE_PRIVATE, 1);
}

static void await_work(struct cpu_pool *pool)
{
	spin(&pool->left, 0, pool->info.spin_ns);
	if (atomic_load_explicit(&pool->left, memory_order_relaxed))
		return;
	atomic_fetch_add(&pool->sleepers, 1);
	futex(&pool->left, FUTEX_WAIT_PRIVATE, 0);
	atomic_fetch_sub(&pool->sleepers, 1);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct cpu_pool *pool = worker->pool;

	/* The caller has entered already: what fails here failed there. */
	pool->info.enter(pool->info.context);
	memset(worker->scratch, 0, CPU_WARM_OWN * sizeof(float));
	for (;;) {
		uint32_t left = claim(pool);

		if (left == CLOSED)
			return NULL;
		if (left)
			run_part(pool, left, worker->scratch);
		else
			await_work(pool);
	}
}

static void await_parts(struct cpu_pool *pool)
{
	uint32_t pending;

	spin(&pool->pending, 1, pool->info.spin_ns);
	if (!atomic_load_explicit(&pool->pending, memory_order_acquire))
		return;
	atomic_store(&pool->caller_sleeps, 1);
	while ((pending = atomic_load(&pool->pending)))
		futex(&pool->pending, FUTEX_WAIT_PRIVATE, pending);
	atomic_store_explicit(&pool->caller_sleeps, 0, memory_order_relaxed);
}

void cpu_pool_each(struct cpu_pool *pool, size_t n, size_t grain,
		   cpu_body *body, const void *context)
{
	size_t parts = (n + grain - 1) / grain;
	uint32_t left;

	if (pool->info.threads == 1 || parts <= 1) {
		if (n)
			body(context, 0, n, pool->scratch);
		return;
	}
	if (parts > MOST_PARTS) {
		grain *= (parts + MOST_PARTS - 1) / MOST_PARTS;
		parts = (n + grain - 1) / grain;
	}
	pool->body = body;
	pool->context = context;
	pool->n = n;
	pool->grain = grain;
	atomic_store_explicit(&pool->pending, (uint32_t)parts,
			      memory_order_relaxed);
	atomic_store(&pool->left, (uint32_t)parts);
	if (atomic_load(&pool->sleepers))
		futex(&pool->left, FUTEX_WAKE_PRIVATE,
		      (uint32_t)(parts < pool->info.threads
					 ? parts : pool->info.threads) - 1);
	while ((left = claim(pool)))
		run_part(pool, left, pool->scratch);
	await_parts(pool);
}

uint64_t cpu_pool_bytes(uint32_t threads)
{
	return (threads * CPU_WARM_OWN + CPU_WARM_SHARED) * sizeof(float) +
	       threads * STACK_BYTES;
}

uint32_t cpu_pool_threads(const struct cpu_pool *pool)
{
	return pool->info.threads;
}

float *cpu_pool_shared(struct cpu_pool *pool)
{
	return pool->scratch + pool->info.threads * CPU_SCRATCH;
}

static int start(struct cpu_pool *pool)
{
	int rc = 0;

	while (!rc && pool->started + 1 < pool->info.threads) {
		struct worker *worker = &pool->workers[pool->started];

		worker->pool = pool;
		worker->scratch = pool->scratch +
				  (pool->started + 1) * CPU_SCRATCH;
		rc = pfw_thread_start(&worker->id, worker_main, worker);
		pool->started += !rc;
	}
	return rc;
}

int cpu_pool_open(const struct cpu_pool_info *info, struct cpu_pool **out,
		  struct pfw_error *err)
{
	size_t head = pfw_align_up(sizeof(struct cpu_pool) +
				   info->threads * sizeof(struct worker));
	size_t bytes = head + (info->threads + 1ull) * CPU_SCRATCH *
					sizeof(float);
	struct cpu_pool *pool = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				     -1, 0);
	int rc;

	if (pool == MAP_FAILED)
		return pfw_error_set(err, ENOMEM, "no memory for %u threads",
				     info->threads);
	pool->info = *info;
	pool->bytes = bytes;
	pool->scratch = (void *)((char *)pool + head);
	memset(pool->scratch, 0, CPU_WARM_OWN * sizeof(float));
	memset(cpu_pool_shared(pool), 0, CPU_WARM_SHARED * sizeof(float));
	rc = start(pool);
	if (rc) {
		pfw_error_set(err, rc, "cannot start thread %u of %u: %s (raise "
			      "'ulimit -u', or lower device.threads)",
			      pool->started + 2, info->threads, strerror(rc));
		cpu_pool_close(pool);
		return -rc;
	}
	*out = pool;
	return 0;
}

void cpu_pool_close(struct cpu_pool *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->left, CLOSED);
	futex(&pool->left, FUTEX_WAKE_PRIVATE, INT32_MAX);
	for (uint32_t i = 0; i < pool->started; i++)
		pthread_join(pool->workers[i].id, NULL);
	munmap(pool, pool->bytes);
}
