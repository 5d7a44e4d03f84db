/*
 * simulate.h: when every action of a plan would run, and what that says.
 *
 * The same passes that prove a program give the times, so a simulation stands
 * still exactly where the proof refuses.
 */
#ifndef PFW_CORE_SIMULATE_H
#define PFW_CORE_SIMULATE_H

#include "schedule/program.h"

/** What an action's start waited for last. */
#define PFW_CAUSE_BEGIN 0u   /**< nothing: the step began */
#define PFW_CAUSE_RANK 1u    /**< the rank's action before it */
#define PFW_CAUSE_MESSAGE 2u /**< its message */
#define PFW_CAUSE_SLOT 3u    /**< a slot for what it makes */

struct pfw_sim_action {
	uint32_t type, stage, microbatch;
	uint32_t cause;       /**< PFW_CAUSE_* */
	uint32_t after;       /**< action that ended the wait; PFW_NONE */
	int64_t start, end;   /**< ns from the step's begin */
};

/** A channel's part in it. */
struct pfw_sim_edge {
	uint32_t from, to, kind;
	uint32_t n_messages;
	int64_t waited;      /**< `to` was idle for its messages */
	int64_t slot_waited; /**< `from` was idle for its slots */
};

/**
 * Idle time of a rank by phase: warm-up until it first goes back, cool-down
 * once it has gone forward for the last time, steady between.
 */
struct pfw_sim_rank {
	uint32_t first, n; /**< its actions */
	uint32_t peak;     /**< chunk activations held at once */
	int64_t busy, warm_up, steady, cool_down;
};

struct pfw_simulation {
	uint32_t ranks, chunks, microbatches, stages;
	uint32_t *rank_of, *chunk_of;   /**< [stages] */
	struct pfw_sim_rank *rank;      /**< [ranks] */
	struct pfw_sim_action *actions; /**< [n_actions], rank after rank */
	uint32_t n_actions;
	struct pfw_sim_edge *edges;     /**< [n_edges], as a program's channels */
	uint32_t n_edges;
	uint64_t messages;              /**< between ranks */
	int64_t step_time;              /**< end of the last action */
	int64_t busy;                   /**< of all ranks */
	int64_t span;                   /**< longest from a rank's first action
					     to its last */
	uint32_t *critical;             /**< actions of a longest chain, first
					     one first */
	uint32_t n_critical;
};

/**
 * Plays how->plan with the slots of @p prog (its own program), or with slots
 * without limit when that is NULL.  how->slots and how->given are not looked at.
 */
int pfw_simulate(const struct pfw_compile *how, const struct pfw_program *prog,
		 struct pfw_simulation **out, struct pfw_error *err);
void pfw_simulation_free(struct pfw_simulation *sim);

/** Idle share of the synchronous step: every rank from begin to end. */
double pfw_simulation_bubble(const struct pfw_simulation *sim);
/** The same of each rank's longest span: what zero-bubble papers count. */
double pfw_simulation_span_bubble(const struct pfw_simulation *sim);
/** Idle over ideal time: the textbook's (p-1)/m. */
double pfw_simulation_ratio(const struct pfw_simulation *sim);

#endif
