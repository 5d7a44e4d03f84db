/*
 * binding.h: which processors each rank of this host gets.
 *
 * The threads of a rank lie within one last-level cache where they fit, else
 * within one NUMA node, one package; ranks fill one of these after the other, so
 * that neighbours in the pipeline are near each other; the second hardware
 * threads of cores come after all first ones.  Memory follows by itself: a rank
 * is the first to touch what it computes with, after it has been bound.
 */
#ifndef PFW_CORE_BINDING_H
#define PFW_CORE_BINDING_H

#include "launch/topology.h"

/** What to bind. */
struct pfw_binding_wish {
	uint32_t ranks;
	uint32_t threads; /**< of each rank; 0: as many cores as there are for it */
	int sleeps;       /**< ranks leave their core as they work */
};

struct pfw_binding {
	uint32_t ranks, threads;
	uint32_t usable, n_cores; /**< as in struct pfw_topology */
	int pinned;               /**< cpu[] and node[] are there */
	uint32_t *cpu;  /**< [ranks * threads] the system's numbers */
	uint32_t *node; /**< [ranks * threads] PFW_NONE: not known */
};

/** The pure part: on @p t. */
int pfw_binding_make(const struct pfw_topology *t,
		     const struct pfw_binding_wish *wish,
		     struct pfw_binding *out, struct pfw_error *err);
/** On this host. */
int pfw_binding_open(const struct pfw_binding_wish *wish,
		     struct pfw_binding *out, struct pfw_error *err);
void pfw_binding_close(struct pfw_binding *b);

/** Binds the calling thread, and those that it will start.  Where the system
 *  does not let it, nothing happens. */
void pfw_binding_apply(const struct pfw_binding *b, uint32_t rank);

/** "0-3,8": of a rank's processors or NUMA nodes; "" where none is known. */
void pfw_binding_text(const struct pfw_binding *b, const uint32_t *numbers,
		      uint32_t rank, char *buf, size_t len);

/** Every thread has a processor of its own. */
static inline int pfw_binding_enough(const struct pfw_binding *b)
{
	return b->usable >= (uint64_t)b->ranks * b->threads;
}

#endif
