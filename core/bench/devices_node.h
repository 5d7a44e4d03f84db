/*
 * devices_node.h: one of the two processes that devices.c has: its device, its end
 * of both channels, and what it measured there.
 */
#ifndef PFW_CORE_BENCH_DEVICES_NODE_H
#define PFW_CORE_BENCH_DEVICES_NODE_H

#include "bench/bench.h"
#include "conform/ends.h"

#define PFW_DEVICE_SIZES 6u
#define PFW_DEVICE_QUICK 3u /* of these */

struct pfw_device_size {
	uint64_t bytes;
	const char *name;
	uint32_t trips;
};
extern const struct pfw_device_size pfw_device_sizes[PFW_DEVICE_SIZES];

static inline uint32_t pfw_device_n_sizes(const struct pfw_bench *bench)
{
	return bench->quick ? PFW_DEVICE_QUICK : PFW_DEVICE_SIZES;
}

/** The size whose traffic is beside products. */
static inline uint32_t pfw_device_beside(const struct pfw_bench *bench)
{
	return bench->quick ? PFW_DEVICE_QUICK - 1 : 4;
}

/** What a process has to say. */
struct pfw_device_figures {
	int rc;      /**< 0, or -errno and why */
	char why[256];
	uint32_t copied; /**< 1: bytes were, on their way */
	double half[PFW_DEVICE_SIZES][PFW_BENCH_MAX_ROUNDS]; /**< ns */
	double beside[PFW_BENCH_MAX_ROUNDS]; /**< ms */
	double alone[PFW_BENCH_MAX_ROUNDS];
};

/** The life of a process, rank @p rank of two: writes its figures to @p fd, and
 *  ends.  @p peer is a socket to the other one. */
_Noreturn void pfw_device_node_main(const struct pfw_bench *bench,
				    const struct pfw_subject *subject,
				    const struct pfw_device_ops *ops,
				    uint32_t rank, int peer, int fd);

#endif
