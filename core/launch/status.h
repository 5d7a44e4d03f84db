/*
 * status.h: what a rank is doing, readable by others at any moment.
 *
 * Written by the rank with relaxed stores, read by the launcher when somebody
 * asks or something went wrong; a torn picture is possible and harmless.
 */
#ifndef PFW_CORE_STATUS_H
#define PFW_CORE_STATUS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PFW_PHASE_STARTING 0u
#define PFW_PHASE_CONNECTING 1u
#define PFW_PHASE_RUNNING 2u
#define PFW_PHASE_SAVING 3u
#define PFW_PHASE_ENDED 4u

#define PFW_WAIT_NOTHING 0u
#define PFW_WAIT_MESSAGE 1u
#define PFW_WAIT_SLOT 2u
#define PFW_WAIT_FENCE 3u
#define PFW_WAIT_DATA 4u
#define PFW_WAIT_PEER 5u /**< for a channel to open */
#define PFW_WAIT_DEVICE 6u

struct pfw_status {
	_Alignas(128) _Atomic uint32_t phase;
	_Atomic uint32_t type, stage, microbatch; /**< current action */
	_Atomic uint64_t step;
	_Atomic uint64_t turns; /**< grows with every action: life */
	_Atomic uint32_t wait;  /**< PFW_WAIT_* */
	_Atomic uint32_t peer, kind, wait_type, wait_stage, wait_microbatch;
	_Atomic uint64_t since; /**< when the wait began */
};

/** One line about one rank: "rank 1 at step 3, 1F4: waits 0.4 s for ...". */
void pfw_status_text(const struct pfw_status *status, uint32_t rank,
		     const char *process, char *buf, size_t len);

#endif
