/*
 * program.h: a training step as a checked, complete program.
 *
 * A schedule plugin gives compute lists; this turns them into one program for
 * each rank: transfers and buffer slots placed, every dependency proved, no
 * deadlock under the transport's declared ordering with the planned slots.
 * All passes are linear in the number of actions.
 */
#ifndef PFW_CORE_PROGRAM_H
#define PFW_CORE_PROGRAM_H

#include <stdio.h>

#include "plugin/registry.h"

/** One compute action as a schedule listed it. */
struct pfw_planned {
	uint32_t type, stage, microbatch;
	uint32_t group; /**< pair it belongs to, or PFW_NONE */
};

/** The list a plugin writes into (opaque in the public header). */
struct pfw_plan {
	struct pfw_planned *items;
	size_t n, capacity;
	size_t limit; /**< more are refused; 0: no limit */
	uint32_t n_groups;
	int failed; /**< errno of the first pfw_plan_add() that went wrong */
};
void pfw_plan_clear(struct pfw_plan *plan);

/** Compute lists of all ranks, and where the stages are. */
struct pfw_schedule_plan {
	uint32_t ranks, chunks, microbatches, stages;
	uint32_t *rank_of;      /**< [stages] */
	uint32_t *chunk_of;     /**< [stages]: index within its rank, ascending */
	struct pfw_plan *lists; /**< [ranks] */
};

/** Empty lists and no placement yet; refuses what is too small or too large. */
int pfw_schedule_plan_new(uint32_t ranks, uint32_t chunks,
			  uint32_t microbatches, struct pfw_schedule_plan **out,
			  struct pfw_error *err);
/** Sets chunk_of from rank_of, or refuses a placement that is not even. */
int pfw_schedule_plan_number(struct pfw_schedule_plan *plan,
			     struct pfw_error *err);
/** Asks the plugin: check, place, plan for every rank. */
int pfw_schedule_plan_make(const struct pfw_loaded *schedule,
			   const struct pfw_values *opt,
			   const struct pfw_shape *shape,
			   struct pfw_schedule_plan **out,
			   struct pfw_error *err);
/**
 * The same in a process of its own.  -ELIBACC: the plugin crashed in it, or
 * ended it.
 */
int pfw_schedule_plan_apart(const struct pfw_loaded *schedule,
			    const struct pfw_values *opt,
			    const struct pfw_shape *shape,
			    struct pfw_schedule_plan **out,
			    struct pfw_error *err);
/**
 * Forward only, for evaluation and generation, on the placement of @p like: a
 * greedy order, deepest ready stage first.
 */
int pfw_schedule_plan_forward(const struct pfw_schedule_plan *like,
			      uint32_t microbatches,
			      struct pfw_schedule_plan **out,
			      struct pfw_error *err);
void pfw_schedule_plan_free(struct pfw_schedule_plan *plan);

/** A message of a channel, in the order it is sent. */
struct pfw_planned_message {
	uint32_t stage;      /**< that makes it */
	uint32_t microbatch;
	uint32_t slot;
};

/** A channel of a program.  from == to: an edge within one rank. */
struct pfw_channel {
	uint32_t from, to, kind;
	uint32_t n_slots;     /**< as planned */
	uint32_t least_live;  /**< fewer deadlock */
	uint32_t least_ideal; /**< fewer cost step time */
	uint32_t n_messages;  /**< per run of the program */
	struct pfw_planned_message *messages;
};

/** One end of a transfer as an action uses it; channel PFW_NONE: none. */
struct pfw_transfer {
	uint32_t channel; /**< index in pfw_program.channels */
	uint32_t message; /**< index in the channel's messages */
	uint32_t slot;
};

#define PFW_RELEASE_INPUT 1u    /**< after it, the stage's input is done with */
#define PFW_RELEASE_GRAD 2u     /**< ... the gradient of its output */
#define PFW_RELEASE_SAVED 4u    /**< ... what F kept */
#define PFW_FIRST_GRADIENT 8u   /**< first of its stage in this step: parameter
				     gradients are overwritten */

/**
 * One action of a rank, with all it touches:
 *   F: waits for input, acquires output, sends it.
 *   B, I: waits for grad_output, acquires grad_input, sends it; reads input.
 *   W: reads input and grad_output.
 *   TIE, NORM, OPT, LOAD: no transfers here; the runtime knows what they need.
 */
struct pfw_op {
	uint32_t type; /**< PFW_FORWARD, ... */
	uint32_t stage, chunk, microbatch; /**< PFW_NONE where it has none */
	uint32_t flags; /**< PFW_RELEASE_*, PFW_FIRST_GRADIENT */
	uint32_t saved; /**< which of the chunk's saved buffers */
	struct pfw_transfer input, output, grad_output, grad_input;
};

/** A receive of a transport that says PFW_RECEIVE_PLANNED. */
struct pfw_posting {
	uint32_t at;      /**< index in the rank's ops: posted before this one */
	uint32_t channel; /**< index in pfw_program.channels */
	uint32_t message; /**< index in the channel's messages */
};

struct pfw_rank_program {
	struct pfw_op *ops;
	size_t n;
	struct pfw_posting *posts; /**< in ascending order of `at` */
	uint32_t n_posts;          /**< 0: receives need no posting */
	uint32_t *n_saved;   /**< [chunks]: saved buffers each needs */
	uint32_t peak_saved; /**< most of them live at once, all chunks */
};

/** How the slots are counted. */
#define PFW_SLOTS_IDEAL 0u
#define PFW_SLOTS_LIVE 1u
#define PFW_SLOTS_GIVEN 2u /**< n_slots as in `given`, for tests */

struct pfw_program {
	uint32_t ranks, chunks, microbatches, stages;
	uint32_t *rank_of, *chunk_of; /**< [stages] */
	struct pfw_channel *channels; /**< sorted by (from, to, kind) */
	uint32_t n_channels;
	struct pfw_rank_program *rank; /**< [ranks] */
	uint64_t hash;  /**< of everything above: equal programs, equal hash */
	int splits;     /**< has I and W */
	/* As the model of time has it, costs as given or F=I=W=1 ms, hop
	 * 0.1 ms: with unlimited slots, and with those planned. */
	int64_t ideal_time, planned_time;
};

struct pfw_compile {
	const struct pfw_schedule_plan *plan;
	const struct pfw_transport_props *props; /**< NULL: PFW_ORDER_CHANNEL,
						       PFW_RECEIVE_EARLY */
	const struct pfw_costs *costs; /**< NULL: see above */
	uint32_t slots;                /**< PFW_SLOTS_* */
	const uint32_t *given;         /**< [n_channels] */
	int order_any;    /**< B, I, W of a stage need not ascend */
	int forward_only; /**< input released by F, no TIE, NORM, OPT */
};

/** Verify, lower, place slots, prove.  Refusals name rank, action and why. */
int pfw_program_compile(const struct pfw_compile *how, struct pfw_program **out,
			struct pfw_error *err);
void pfw_program_free(struct pfw_program *prog);

/** Index of the channel, or PFW_NONE. */
uint32_t pfw_program_channel(const struct pfw_program *prog, uint32_t from,
			     uint32_t to, uint32_t kind);

/** "3F7", "0SEND_F2", "NORM": what people and files call an action. */
void pfw_action_text(uint32_t type, uint32_t stage, uint32_t microbatch,
		     char *buf, size_t len);

#endif
