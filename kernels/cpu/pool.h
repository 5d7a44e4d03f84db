/*
 * pool.h: the threads of one queue.
 *
 * A kernel cuts its work into parts that write nothing in common and hands them
 * to cpu_each(): whoever is free takes the next one, and the caller takes part.
 * A thread that does not come (asleep, or its core taken by somebody else) is
 * not waited for; only parts that are begun are.  So it is never known who does
 * what, and nothing may depend on it: a sum over parts is made of one number
 * for each part, in the order of the parts, and parts that such a sum is made
 * of do not follow from the number of threads.
 */
#ifndef PFW_KERNELS_CPU_POOL_H
#define PFW_KERNELS_CPU_POOL_H

#include <pipefw/base.h>

/** Floats of scratch of each thread, and as many again of the queue; what no
 *  kernel touches takes no memory. */
#define CPU_SCRATCH ((size_t)1 << 22)

/** Floats of a thread's, and of the queue's, that are touched from the start:
 *  where a thread's memory is its own to touch first, ordinary shapes meet no
 *  page fault in a step, and what a run takes can be told before. */
#define CPU_WARM_OWN ((size_t)5 << 16)
#define CPU_WARM_SHARED ((size_t)1 << 17)

struct cpu_pool;

/** [first, end) of a loop; @p scratch is this thread's own: CPU_SCRATCH floats,
 *  aligned to PFW_ALIGN. */
typedef void cpu_body(const void *context, size_t first, size_t end,
		      float *scratch);

struct cpu_pool_info {
	uint32_t threads; /**< with the caller's own; >= 1 */
	uint64_t spin_ns; /**< how long somebody looks for a change before it
			       sleeps; 0: it has no core of its own */
	/** What each thread does before all else. */
	int (*enter)(void *context);
	void *context;
};

int cpu_pool_open(const struct cpu_pool_info *info, struct cpu_pool **out,
		  struct pfw_error *err);
void cpu_pool_close(struct cpu_pool *pool);

/** Bytes that a pool of so many threads takes. */
uint64_t cpu_pool_bytes(uint32_t threads);
uint32_t cpu_pool_threads(const struct cpu_pool *pool);
/** The queue's. */
float *cpu_pool_shared(struct cpu_pool *pool);

/** Runs @p body over [0, @p n), in parts of @p grain where there are several
 *  threads, else in one; returns when all of it is done.  By one thread at a
 *  time, and not from a body. */
void cpu_pool_each(struct cpu_pool *pool, size_t n, size_t grain,
		   cpu_body *body, const void *context);

#endif
