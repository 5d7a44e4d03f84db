/*
 * pipefw/schedule.h: the schedule interface.
 *
 * A schedule is a pure function of a shape: for each rank it lists what that
 * rank computes, in order.  It names no send, no receive and no buffer; the
 * core places those, proves the whole program, draws it, simulates it and runs
 * it.  Pure means: no state, no allocation that somebody must free, the same
 * list for the same arguments on every host.
 *
 * Words and letters: p ranks, v chunks per rank, m micro-batches, S = p*v
 * stages.  A stage is a consecutive part of the model; stage 0 holds the
 * embedding, stage S-1 the head.  A chunk is a stage as its rank counts them.
 */
#ifndef PIPEFW_SCHEDULE_H
#define PIPEFW_SCHEDULE_H

#include <pipefw/plugin.h>

PFW_BEGIN_DECLS

/**
 * Types of action.  A schedule lists the first four; the core places the rest.
 * The set is open: a tool must show a type it does not know as "?".
 */
#define PFW_FORWARD 1u         /**< F */
#define PFW_BACKWARD 2u        /**< B: input and weight gradient in one */
#define PFW_BACKWARD_INPUT 3u  /**< I */
#define PFW_BACKWARD_WEIGHT 4u /**< W */
#define PFW_SEND 16u
#define PFW_RECV 17u
#define PFW_LOAD 18u /**< tokens of one step, on the ranks that need them */
#define PFW_TIE 19u  /**< gradients of tied parameters are added */
#define PFW_NORM 20u /**< loss, norm, finite flag: one decision for all ranks */
#define PFW_OPT 21u  /**< optimizer update */

/** "F", "B", "I", "W", "SEND", ...; "?" for an unknown type. */
PFW_API const char *pfw_action_name(uint32_t type);

/** Expected costs; every array has p*v entries, nanoseconds, or is NULL. */
struct pfw_costs {
	size_t size;
	const int64_t *forward;
	const int64_t *input;
	const int64_t *weight;
	int64_t hop; /**< time from the end of a stage to its output's arrival */
	int64_t message; /**< on top of it: bytes over bandwidth, the time for
			      which a message keeps its channel busy */
};

/** What a schedule is asked for. */
struct pfw_shape {
	size_t size;
	uint32_t ranks;        /**< p >= 1 */
	uint32_t chunks;       /**< v >= 1 */
	uint32_t microbatches; /**< m >= 1 */
	uint32_t reserved;
	uint64_t memory_cap;   /**< live activations per rank, in micro-batches of
				    one stage; 0: no cap */
	const struct pfw_costs *costs; /**< NULL: unknown, take F = I = W */
};

/** The list being written; made by the core. */
struct pfw_plan;

/**
 * Appends an action.  Cannot fail from the caller's point of view: a wrong
 * argument or want of memory is remembered and refused by the core afterwards.
 * The stage may be any stage that placement gives to this rank.
 */
PFW_API void pfw_plan_add(struct pfw_plan *plan, uint32_t type, uint32_t stage,
			  uint32_t microbatch);
/**
 * The same for two actions that are to overlap (DualPipe's <F|B>).  The core
 * may run them one after the other, @p type0 first.
 */
PFW_API void pfw_plan_add_pair(struct pfw_plan *plan, uint32_t type0,
			       uint32_t stage0, uint32_t microbatch0,
			       uint32_t type1, uint32_t stage1,
			       uint32_t microbatch1);

/** The schedule lists I and W apart: the stage must be able to split. */
#define PFW_SCHEDULE_SPLITS 1u
/** Takes one chunk per rank and no more (compare runs it at v = 1). */
#define PFW_SCHEDULE_ONE_CHUNK 2u

struct pfw_schedule_ops {
	size_t size;
	uint32_t flags; /**< PFW_SCHEDULE_* */

	/**
	 * (optional: any shape will do)  0, or -EINVAL with the smallest change
	 * that would do: "m=9 does not divide by group = 4: use 5 or m=12".
	 * The config's user is shown the line of what the sentence names so: p=,
	 * v=, m=, or an option.
	 */
	int (*check)(const struct pfw_shape *shape, const struct pfw_values *opt,
		     struct pfw_error *err);

	/**
	 * (optional: stage s is on rank s mod p)  The rank that holds a stage.
	 * Every rank must hold `chunks` stages.
	 */
	uint32_t (*place)(const struct pfw_shape *shape,
			  const struct pfw_values *opt, uint32_t stage);

	/** Lists the compute actions of @p rank.  Called after check(). */
	int (*plan)(const struct pfw_shape *shape, const struct pfw_values *opt,
		    uint32_t rank, struct pfw_plan *plan, struct pfw_error *err);

	/**
	 * (optional: nothing)  What the schedule chose by itself, for the header
	 * line: "group 4".  Writes at most @p len bytes with the final NUL.
	 */
	void (*describe)(const struct pfw_shape *shape,
			 const struct pfw_values *opt, char *buf, size_t len);
};

PFW_END_DECLS

#endif
