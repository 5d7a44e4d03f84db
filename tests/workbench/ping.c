/*
 * The least that two processes can say to each other: a cache line, shared, on
 * which each spins.  Prints half a round trip, nanoseconds, best of ten rounds.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define ROUNDS 10u
#define TRIPS 1000u

/* The nth core of those we may use; -1: there are fewer. */
static int take_core(const cpu_set_t *all, int nth)
{
	cpu_set_t one;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, all) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		return sched_setaffinity(0, sizeof(one), &one);
	}
	return -1;
}

static void await(atomic_uint *word, unsigned value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		;
}

static void answer(atomic_uint *word)
{
	for (unsigned i = 0; i < ROUNDS * TRIPS; i++) {
		await(word, 2 * i + 1);
		atomic_store_explicit(word, 2 * i + 2, memory_order_release);
	}
}

static double best_half(atomic_uint *word)
{
	double best = 1e18;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t start = pfw_now();
		double half;

		for (unsigned i = round * TRIPS; i < (round + 1) * TRIPS; i++) {
			atomic_store_explicit(word, 2 * i + 1,
					      memory_order_release);
			await(word, 2 * i + 2);
		}
		half = (double)(pfw_now() - start) / (2 * TRIPS);
		if (half < best)
			best = half;
	}
	return best;
}

int main(void)
{
	atomic_uint *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cpu_set_t all;
	pid_t child;

	if (word == MAP_FAILED || sched_getaffinity(0, sizeof(all), &all))
		return 1;
	if (CPU_COUNT(&all) < 2)
		return 77;
	child = fork();
	if (child < 0)
		return 1;
	if (!child) {
		if (take_core(&all, 1))
			_exit(1);
		answer(word);
		_exit(0);
	}
	if (take_core(&all, 0))
		return 1;
	printf("%.1f\n", best_half(word));
	return waitpid(child, NULL, 0) != child;
}
