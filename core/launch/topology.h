/*
 * topology.h: the processors that this process may use, and what they share.
 *
 * By hwloc where pipefw was built with it; else every processor is a core of its
 * own, and nothing is known of caches and memory.
 */
#ifndef PFW_CORE_TOPOLOGY_H
#define PFW_CORE_TOPOLOGY_H

#include <pipefw/base.h>
#include <sched.h>

/** What processors may share, from the nearest on. */
enum pfw_near {
	PFW_NEAR_CACHE, /**< the last level */
	PFW_NEAR_NODE,  /**< of memory (NUMA) */
	PFW_NEAR_PACKAGE,
	PFW_NEAR_HOST,
	PFW_N_NEAR
};

/** A hardware thread. */
struct pfw_cpu {
	uint32_t number;  /**< the system's */
	uint32_t sibling; /**< of its core's that may be used, from 0 on */
	uint32_t near[PFW_N_NEAR]; /**< equal: shared */
};

struct pfw_topology {
	struct pfw_cpu *cpus; /**< neighbours beside each other */
	uint32_t n_cpus, n_cores;
	uint32_t usable; /**< so many at a time: n_cpus, or what a container may
			      use of them */
	int known;       /**< near[] and sibling say something */
};

int pfw_topology_read(struct pfw_topology *out, struct pfw_error *err);
void pfw_topology_free(struct pfw_topology *t);

/** Processors that this process may use at a time; at least 1. */
uint32_t pfw_cores(void);

/** A set for @p n processors, empty; freed by CPU_FREE.  NULL: no memory. */
cpu_set_t *pfw_cpu_set(uint32_t n, size_t *bytes);

#endif
