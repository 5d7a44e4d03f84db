/*
 * pingpong.h: half a round trip between two processes, size by size in turn.
 */
#ifndef PFW_TESTS_PINGPONG_H
#define PFW_TESTS_PINGPONG_H

#include "harness.h"

#define PINGPONG_SIZES 16u

struct pingpong {
	uint64_t spin_ns;
	uint32_t rounds;
	uint32_t n_sizes;
	uint64_t bytes[PINGPONG_SIZES];
	uint32_t times[PINGPONG_SIZES]; /* round trips in a round */
	bool copy;    /* the receiver copies the message out of its slot */
	bool pin;     /* each side to a core of its own */
	double half[PINGPONG_SIZES]; /* out: ns, median of rounds' medians */
};

int pingpong_run(const struct pfw_subject *s, struct pingpong *p,
		 struct pfw_error *err);

double median(double *v, size_t n);

#endif
