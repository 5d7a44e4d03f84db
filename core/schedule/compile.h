/*
 * compile.h: the passes between compute lists and a program, for this folder.
 *
 *   verify   every action once, on its rank, in an order that can be
 *   lower    flat nodes; channels, messages and releases, numbered
 *   queues   which transfers wait for which, where a transport says so
 *   pass     plays it all: a deadlock, or the earliest time of everything
 *   slots    the least number of slots that live, and that cost no time
 *   posts    when receives are posted, where that is the plan's to say
 *
 * Messages of a channel are numbered in the order they are sent, and its
 * releases in the order the consumer does them; both number spaces are laid
 * out channel after channel, so that one array of `channel of` serves both.
 */
#ifndef PFW_CORE_COMPILE_H
#define PFW_CORE_COMPILE_H

#include "schedule/program.h"

/** Largest stages * micro-batches of one program: bounds every allocation. */
#define PFW_MAX_CELLS (1u << 26)

/** F, I and W: most actions that a stage has for a micro-batch. */
#define PFW_PLAN_TYPES 3u

/** A compute action; all ranks' lie in one array, rank after rank. */
struct pfw_node {
	uint32_t type, stage, microbatch;
	uint32_t wait;       /**< message it needs first, or PFW_NONE */
	uint32_t make;       /**< message it makes, or PFW_NONE */
	uint32_t release[2]; /**< releases it does, each or PFW_NONE */
};

/** A channel while it is planned. */
struct pfw_lane {
	uint32_t from, to, kind;
	uint32_t first; /**< number of its first message, and first release */
	uint32_t n;     /**< messages */
	uint32_t live;  /**< most that the consumer's own order holds at once */
};

struct pfw_lowered {
	const struct pfw_schedule_plan *plan;
	uint32_t n_nodes, n_lanes, n_messages;
	int forward_only;         /**< F is the last to use its input */
	uint32_t *first;          /**< [ranks + 1]: nodes of each rank */
	struct pfw_node *nodes;   /**< [n_nodes] */
	struct pfw_lane *lanes;   /**< [n_lanes], by (from, to, kind) */
	uint32_t *lane_of;        /**< [n_messages] */
	uint32_t *maker;          /**< [n_messages]: node that makes it */
	uint32_t *taker;          /**< [n_messages]: node that waits for it */
	uint32_t *releaser;       /**< [n_messages]: node of this release */
	uint32_t *freed;          /**< [n_messages]: message it lets go */
	uint32_t *activation;     /**< [stages * m]: message F makes */
	uint32_t *gradient;       /**< [stages * m]: message B or I makes */
};

/** Durations, nanoseconds. */
struct pfw_durations {
	int64_t *of[PFW_BACKWARD_WEIGHT + 1]; /**< [type][stage] */
	int64_t hop;     /**< latency */
	int64_t message; /**< a message has its channel for itself so long */
};

/** One transfer order: a message may start when it is first of all its queues. */
struct pfw_queues {
	uint32_t n_queues;
	uint32_t *first;        /**< [n_queues + 1]: in `list` */
	uint32_t *list;         /**< messages, queue after queue */
	uint32_t *queue_of[2];  /**< [n_messages]: sender's, receiver's; or NONE */
	/* State of a pass. */
	uint32_t *head;   /**< [n_queues]: how many are through */
	int64_t *free_at; /**< [n_queues]: when the last was */
	uint32_t *stack;  /**< [n_messages + 2]: queues to look at */
	uint32_t n_stack;
};

/** The pass and what it found; its memory is used again by each run. */
struct pfw_pass {
	const struct pfw_lowered *low;
	const struct pfw_durations *cost;
	struct pfw_queues *queues; /**< NULL: every channel for itself */
	const uint32_t *n_slots;   /**< [n_lanes] of the run; NULL: no limit */
	int64_t *start;    /**< [n_nodes]; -1: never */
	int64_t *end;      /**< [n_nodes]; valid where it started */
	int64_t *arrival;  /**< [n_messages]; -1: never */
	int64_t *released; /**< [n_messages], by number of release; -1: never */
	uint32_t *next;    /**< [ranks]: node it has come to */
	int64_t *clock;    /**< [ranks]: end of its last node */
	int64_t *busy;     /**< [n_lanes]: until when, with its last message */
	uint32_t *ready;   /**< ring of ranks to look at */
	unsigned char *queued; /**< [ranks]: is in the ring */
	uint32_t ring_first, ring_n;
	int round_robin;   /**< one action a turn: makes `order` a fair one */
	uint32_t *order;   /**< NULL, or [n_messages] in the order made */
	uint32_t n_order;
	uint64_t work;     /**< actions tried, over all runs: is linear */
	int64_t time;      /**< of the last run: end of the last action */
};

int pfw_plan_verify(const struct pfw_schedule_plan *plan, int order_any,
		    int forward_only, struct pfw_error *err);

int pfw_lower(const struct pfw_schedule_plan *plan, int forward_only,
	      struct pfw_lowered *out, struct pfw_error *err);
void pfw_lowered_clear(struct pfw_lowered *low);

int pfw_durations_make(const struct pfw_schedule_plan *plan,
		       const struct pfw_costs *costs, struct pfw_durations *out,
		       struct pfw_error *err);
void pfw_durations_clear(struct pfw_durations *cost);

/** *out is NULL where no queue is wider than a channel. */
int pfw_queues_make(const struct pfw_lowered *low,
		    const struct pfw_durations *cost,
		    const struct pfw_transport_props *props,
		    struct pfw_queues **out, struct pfw_error *err);
void pfw_queues_reset(struct pfw_queues *queues);
void pfw_queues_free(struct pfw_queues *queues);

int pfw_pass_init(struct pfw_pass *pass, const struct pfw_lowered *low,
		  const struct pfw_durations *cost, struct pfw_queues *queues,
		  struct pfw_error *err);
void pfw_pass_clear(struct pfw_pass *pass);
/** 0, or -EDEADLK; the state stays for pfw_deadlock_explain(). */
int pfw_pass_run(struct pfw_pass *pass, const uint32_t *n_slots);
/** The release that the node's message waits for its slot, or PFW_NONE. */
uint32_t pfw_pass_slot_wait(const struct pfw_pass *pass,
			    const struct pfw_node *node);

/** When receives are posted. */
struct pfw_posts {
	uint32_t *at;   /**< [n_messages]: node before which; PFW_NONE: by itself */
	uint32_t *list; /**< [n]: messages in ascending order of `at`, those of a
			     queue in its order */
	uint32_t n;
};

/** From the last run of the pass, which has queues. */
int pfw_posts_make(const struct pfw_pass *pass, struct pfw_posts *out,
		   struct pfw_error *err);
/** Takes one that was never made, zeroed. */
void pfw_posts_clear(struct pfw_posts *posts);

/** Writes who waits for what, round the cycle; gives -EDEADLK. */
int pfw_deadlock_explain(const struct pfw_pass *pass, struct pfw_error *err);

/**
 * Fills three arrays of [n_lanes].  @p ideal_time: with slots without limit.
 */
int pfw_slots_plan(struct pfw_pass *pass, uint32_t *least_live,
		   uint32_t *least_ideal, int64_t *ideal_time,
		   struct pfw_error *err);

/** The rank a node is on. */
static inline uint32_t pfw_node_rank(const struct pfw_lowered *low,
				     const struct pfw_node *node)
{
	return low->plan->rank_of[node->stage];
}

#endif
