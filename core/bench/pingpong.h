/*
 * pingpong.h: half a round trip between two processes, size by size in turn.
 */
#ifndef PFW_CORE_PINGPONG_H
#define PFW_CORE_PINGPONG_H

#include "conform/ends.h"

#define PFW_PINGPONG_SIZES 16u

struct pfw_pingpong {
	uint64_t spin_ns;
	uint32_t rounds;
	uint32_t n_sizes;
	uint64_t bytes[PFW_PINGPONG_SIZES]; /**< each a multiple of 8 */
	uint32_t times[PFW_PINGPONG_SIZES]; /**< round trips in a round */
	bool copy;    /**< the receiver copies the message out of its slot */
	bool pin;     /**< each side to a core of its own */
	double half[PFW_PINGPONG_SIZES]; /**< out: ns, median of rounds'
					      medians */
};

/** The receiver reads the message where it lies: its first and its last word,
 *  which the sender wrote. */
int pfw_pingpong_run(const struct pfw_subject *s, struct pfw_pingpong *p,
		     struct pfw_error *err);

#endif
