/*
 * event.h: what a rank tells the launcher.
 */
#ifndef PFW_CORE_EVENT_H
#define PFW_CORE_EVENT_H

#include <stdint.h>

#define PFW_EVENT_STEP 1u  /**< a training step is done */
#define PFW_EVENT_EVAL 2u  /**< an evaluation is done */
#define PFW_EVENT_SAVED 3u /**< a checkpoint is on disk */
#define PFW_EVENT_END 4u   /**< training is over; from every rank */
#define PFW_EVENT_FAIL 5u  /**< this rank gives up: code and text */
#define PFW_EVENT_TOKEN 6u /**< generation: one token */
#define PFW_EVENT_NOTE 7u  /**< a sentence for people */
#define PFW_EVENT_PEAK 8u  /**< what its device can do; from every rank */

/** Why training ended. */
#define PFW_END_STEPS 0u     /**< all steps done */
#define PFW_END_STOPPED 1u   /**< asked to stop */
#define PFW_END_NONFINITE 2u /**< too many bad steps in a row */

/** What a rank knows of the cause of its failure: less counts for more. */
#define PFW_CAUSE_OWN 0u  /**< a fault of its own */
#define PFW_CAUSE_WAIT 1u /**< it gave up a wait; others may know why */
#define PFW_CAUSE_LEFT 2u /**< the other end of a channel went away */

/** PFW_CAUSE_* of a rank that ends by @rc, a -errno.  -ECONNREFUSED is a peer
 * that left while channels opened: its name was a listener's before. */
uint32_t pfw_event_cause(int rc);

struct pfw_event {
	uint32_t type; /**< PFW_EVENT_* */
	uint32_t rank;
	uint64_t step; /**< counted from 1; 0: before the first */
	uint64_t tokens;       /**< of the step or the evaluation */
	uint64_t duration_ns;
	double loss;           /**< mean per token, nats */
	double grad_norm;      /**< before clipping */
	double lr;
	double bubble;         /**< idle share of the compute phase; NaN: not
				    measured */
	double peak;           /**< FLOP/s, measured; NaN: not known */
	uint64_t bytes;        /**< that this rank was handed by others */
	uint64_t copied_bytes; /**< of these, copied by a transport */
	uint32_t skipped;      /**< the update was left out */
	uint32_t reason;       /**< PFW_END_* */
	int32_t code;          /**< FAIL: exit status; TOKEN: the token */
	uint32_t cause;        /**< FAIL: PFW_CAUSE_* */
	char text[1024];       /**< FAIL, NOTE */
};

#endif
