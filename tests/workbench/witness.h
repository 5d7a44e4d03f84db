/*
 * witness.h: what a rank asks of the system and of malloc() within a window.
 *
 * The library that holds it is preloaded, so that its malloc() is everybody's;
 * system calls are told by the kernel (seccomp's user notification) to a thread
 * of the witness, which counts them and lets them go on.  futex is not told, and a
 * poll for each 100 ms of a window is not counted.
 */
#ifndef PFW_TESTS_WITNESS_H
#define PFW_TESTS_WITNESS_H

#include <stdint.h>

struct testimony {
	uint64_t windows, calls, allocations;
	long last_call; /* its number */
	int clock_calls; /* this machine reads its clock by system calls */
};

/* On the thread to be watched, once; 0 or -errno where the kernel cannot. */
int witness_start(void);
void witness_begin(void);
/* Without a window that is open: nothing. */
void witness_end(void);
struct testimony witness_says(void);

#endif
