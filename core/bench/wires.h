/*
 * wires.h: the same messages between two processes through others' libraries.
 */
#ifndef PFW_CORE_BENCH_WIRES_H
#define PFW_CORE_BENCH_WIRES_H

#include "bench/room.h"

#define PFW_BENCH_SIZES 6u

struct pfw_bench_sizes {
	uint32_t n;
	uint64_t bytes[PFW_BENCH_SIZES];
	uint32_t trips[PFW_BENCH_SIZES]; /**< in a round */
};

/** Who else moves bytes, over what our transport moves them over. */
struct pfw_bench_wire {
	const char *name;      /**< of the row's peer */
	const char *transport; /**< ours beside it */
	const char *way;       /**< "NAME=VALUE" in its environment */
	/** Once, at first; < 0 with the reason in @p why. */
	int (*prepare)(struct pfw_bench_room *room, char *why, size_t len);
	/** One round: half a round trip of each size, ns. */
	int (*round)(struct pfw_bench_room *room, const char *way,
		     const struct pfw_bench_sizes *sizes, double *ns);
};

extern const struct pfw_bench_wire pfw_bench_wires[];
extern const size_t pfw_bench_n_wires;

#endif
