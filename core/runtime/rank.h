/*
 * rank.h: one rank at work: its device, memory, channels and programs.
 *
 * A rank is an object; several may run as threads of one process.
 */
#ifndef PFW_CORE_RANK_H
#define PFW_CORE_RANK_H

#include "launch/boot.h"
#include "model/checkpoint.h"
#include "runtime/forms.h"
#include "runtime/job.h"
#include "runtime/trace.h"

/** One end of an edge, or both where it stays within the rank. */
struct pfw_end {
	const struct pfw_edge *edge;
	const struct pfw_transport_ops *ops;
	void *channel;
	uint32_t memory; /**< PFW_MEM_* of the channel's slots */
	uint32_t behind; /**< 1: a device of its own memory uses them, behind
			      the host's back */
	uint32_t bound;  /**< 1: likewise, and the rank's queue keeps the
			      channel's order */
	char *mirror; /**< its slots as device memory; NULL: the device reads
			   and writes the channel's own */
	void *pinned; /**< its slots, where the device holds them in place */
	struct pfw_group_id id; /**< if `invited`: what invite() gave */
	uint32_t invited;
	uint64_t sent, received; /**< for the life of the channel */
	uint32_t arrived;        /**< in this run of the program */
};

/** A transport and its filters, lowest first; none: not needed here. */
struct pfw_stack {
	struct pfw_below layers[1 + PFW_MAX_FILTERS];
	uint32_t n_layers;
	uint32_t memory; /**< OR of PFW_MEM_*: what its slots may be */
	uint32_t receive; /**< PFW_RECEIVE_* */
};

#define PFW_STACK_LOCAL 0u
#define PFW_STACK_REMOTE 1u /**< to ranks of other hosts, where it is another */
#define PFW_STACKS 2u

/** Another rank, as this one reaches it. */
struct pfw_peer {
	uint32_t known;   /**< it has an edge to this rank */
	uint32_t stack;   /**< PFW_STACK_* */
	char host[64];
	struct pfw_address address;
};

/** One use of a parameter by this rank. */
struct pfw_rank_use {
	uint32_t use;   /**< index in model->uses */
	uint32_t param;
	uint64_t n;     /**< elements */
	float *grad;
};

/** A parameter this rank holds: one copy of weights and moments. */
struct pfw_rank_param {
	uint32_t param;
	uint32_t owned; /**< this rank counts it in the norm and saves it */
	uint64_t n;
	float *weight;
	float *grad;    /**< after TIE: the whole gradient */
	float *moment1, *moment2;
	void *forms[PFW_FORMS]; /**< NULL: nobody reads it */
};

/** A stage on this rank. */
struct pfw_rank_chunk {
	uint32_t stage;
	float **weights;  /**< [uses] */
	float **grads;    /**< [uses] */
	void **packed;    /**< [2 * uses], see struct pfw_call */
	void **weights_act; /**< [uses], likewise */
	char **saved;     /**< [n_saved] */
	uint32_t n_saved;
};

#define PFW_LATER_RELEASE 0u
#define PFW_LATER_SEND 1u
#define PFW_LATER_POST 2u /**< as soon as all before it is done */
#define PFW_LATER_NOTHING 3u

/** What is done once the device has come so far. */
struct pfw_deferred {
	struct pfw_end *end;
	void *event;
	struct pfw_message_id id; /**< of what is sent */
	uint64_t bytes;
	uint32_t slot;
	uint32_t does;  /**< PFW_LATER_* */
};

/** Of a device that has memory and events of its own; a ring. */
struct pfw_pending {
	void *in, *out;  /**< queues beside the rank's own; NULL: not needed */
	void *came, *made; /**< events that tie these two to it */
	struct pfw_deferred *items;
	uint32_t head, n, capacity;
	uint32_t n_bound; /**< ends whose peers the device waits for by itself */
};

/** An action on one choice of slots, which the device may have recorded. */
struct pfw_graph {
	struct pfw_call call; /**< equal in every byte: the same work */
	uint32_t type;        /**< PFW_FORWARD, ... */
	uint32_t runs;        /**< so often it was done */
	uint32_t settled;     /**< known whether it is worth it */
	uint32_t timed[2];    /**< so often, call by call and as a graph */
	uint64_t best_ns[2];
	void *object;         /**< NULL: done call by call */
};

/** Of the actions of training. */
struct pfw_graphs {
	struct pfw_graph *items; /**< NULL: none are made */
	uint32_t n, capacity;
	uint32_t settled;        /**< of these */
	uint32_t told;
	uint32_t failed;         /**< one could not be recorded */
	struct pfw_graph **of_op; /**< [actions of the program] its last one */
	int32_t *tokens, *targets; /**< device, of the micro-batch that runs;
					NULL: there is nothing to read */
};

/** One action, as a device with events times it. */
struct pfw_timed {
	struct pfw_trace_record record;
	void *start, *end;  /**< events */
	uint32_t by_device; /**< these count, not the host's clock */
	uint32_t computes;  /**< it counts as busy */
	uint32_t traced;    /**< the record is wanted */
	uint32_t sample;    /**< PFW_SAMPLE_* of graph */
	struct pfw_graph *graph;
};

#define PFW_SAMPLE_CALLS 0u /**< done call by call */
#define PFW_SAMPLE_GRAPH 1u
#define PFW_SAMPLE_NONE 2u  /**< of neither: something was done for the first
				 time */

/** Those that are not read yet. */
struct pfw_timing {
	struct pfw_timed *items; /**< NULL: the host's clock will do */
	uint32_t n, capacity;
	uint32_t done; /**< the first so many have been seen to be */
	int on;        /**< the program that runs is timed */
	void *mark;    /**< event whose time both clocks know */
	uint64_t left; /**< when the last action was over */
	int failed;
	struct pfw_error error;
};

/** How long a thread with a core of its own looks for a change before it
 *  sleeps. */
#define PFW_SPIN_NS 20000ull

struct pfw_rank {
	const struct pfw_job *job;
	struct pfw_boot *boot;
	uint32_t rank;
	int has_core;   /**< of its own, for each thread */
	int evaluates;  /**< there is a validation split and a wish */

	/* device */
	const struct pfw_device_ops *device_ops;
	void *device_object, *queue;
	struct pfw_device device;
	struct pfw_pending pending;
	struct pfw_timing timing;
	struct pfw_graphs graphs;

	/* transports */
	struct pfw_stack stacks[PFW_STACKS];
	struct pfw_peer *peers;        /**< [ranks]; those with an edge to us */
	struct pfw_end *ends;          /**< [job->n_edges]; channel NULL: not ours */

	/* memory */
	struct pfw_rank_chunk *chunks;
	uint32_t n_chunks;
	struct pfw_rank_use *uses;
	uint32_t n_uses;
	struct pfw_rank_param *params;
	uint32_t n_params;
	void *work;
	void **blocks; /**< everything allocated on the device */
	size_t n_blocks, blocks_capacity;
	double *scalars; /**< device: [0] loss, [1...] squares */
	struct pfw_clipped *clipped; /**< device */
	struct pfw_vector *grads; /**< [n_params]: those that it owns */
	struct pfw_adamw *updates; /**< [n_params] */

	/* training */
	struct pfw_train_state state;
	struct pfw_loader *train, *valid;
	int32_t *device_tokens, *device_targets; /**< NULL: host memory will do */

	/* of the program that runs */
	struct pfw_call_shape shape;
	const int32_t *tokens, *targets; /**< [microbatches, batch, seq] */
	float *logits;                   /**< generation, last stage */
	uint64_t busy_ns, first_ns;
	struct pfw_norm_report *report;  /**< host */
	double *squares;                 /**< rank 0: [model->n_params] */
	struct pfw_norm_decision decision;
	double bubble;                   /**< rank 0, after NORM */

	/* of the action that runs */
	uint64_t start_ns, end_ns;  /**< of its computation; 0: none */
	uint64_t wait_ns;           /**< its longest wait */
	struct pfw_graph *graph;    /**< NULL: it has none */
	uint32_t sample;            /**< PFW_SAMPLE_* of it */
	uint32_t wait_peer, wait_wait, wait_kind;
	struct pfw_trace *trace;    /**< NULL: nobody asked */
};

/** rank_main of struct pfw_launch; @p context is the struct pfw_job. */
int pfw_rank_main(void *context, struct pfw_boot *boot);

/** What the config chose for it. */
static inline const struct pfw_choice *pfw_rank_device(const struct pfw_rank *r)
{
	const struct pfw_config *cfg = r->job->cfg;

	return pfw_config_device(cfg, pfw_config_device_of(cfg, r->rank));
}

/* memory.c: device, weights, buffers */
int pfw_rank_open_memory(struct pfw_rank *rank, struct pfw_error *err);
void pfw_rank_close_memory(struct pfw_rank *rank);
/** Zeroed device memory that lives as long as the rank. */
int pfw_rank_alloc(struct pfw_rank *rank, uint64_t bytes, void **out,
		   struct pfw_error *err);
/** Initial weights, or those of job->init, or all that job->resume holds. */
int pfw_rank_load(struct pfw_rank *rank, struct pfw_error *err);

/* weights.c */
/** Room for the forms that this use of the parameter wants. */
int pfw_rank_open_forms(struct pfw_rank *rank, const struct pfw_param *use,
			struct pfw_rank_param *param, struct pfw_error *err);
/** After every change of the weight and of rank->state: makes its first
 *  @p n_forms forms. */
void pfw_rank_form(struct pfw_rank *rank, const struct pfw_rank_param *param,
		   uint32_t n_forms);

/** Device memory to host memory, done on return. */
int pfw_rank_read(struct pfw_rank *rank, void *host, const void *device,
		  uint64_t bytes, struct pfw_error *err);

/* connect.c: transport, channels, first messages */
int pfw_rank_connect(struct pfw_rank *rank, struct pfw_error *err);
void pfw_rank_disconnect(struct pfw_rank *rank);

/* stacks.c */

/** Learns where the peers are, and opens the transports that lead there. */
int pfw_rank_open_stacks(struct pfw_rank *rank, struct pfw_error *err);
/** A value of @p size bytes that some rank puts there. */
int pfw_rank_get(struct pfw_rank *rank, const char *key, void *out, size_t size,
		 struct pfw_error *err);
/** What they found, for the run's header; after the channels are open. */
int pfw_rank_tell_transports(struct pfw_rank *rank, struct pfw_error *err);
void pfw_rank_close_stacks(struct pfw_rank *rank);

/* channel.c: waiting, with a deadline, an ear for aborts and a status */

/** What a wait is for; said when it is asked for or fails. */
struct pfw_awaited {
	uint32_t type, stage, microbatch;
};
/** The edge's next message will land in this slot; nothing to do where messages
 *  arrive by themselves. */
int pfw_end_post(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		 uint64_t bytes, struct pfw_error *err);
/** Until the edge has delivered message @p index of this run, checking each. */
int pfw_end_receive(struct pfw_rank *rank, struct pfw_end *end,
		    uint32_t program, const struct pfw_channel *channel,
		    uint32_t index, struct pfw_error *err);
/** The next message of an edge without a plan (scalars, ties). */
int pfw_end_receive_next(struct pfw_rank *rank, struct pfw_end *end,
			 uint32_t program, const struct pfw_awaited *what,
			 uint64_t bytes, const void **data, uint32_t *slot,
			 struct pfw_error *err);
int pfw_end_acquire(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		    const struct pfw_awaited *what, struct pfw_error *err);
int pfw_end_send(struct pfw_rank *rank, struct pfw_end *end, uint32_t program,
		 uint32_t slot, uint64_t bytes, uint32_t stage,
		 uint32_t microbatch, struct pfw_error *err);
int pfw_end_release(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		    struct pfw_error *err);
/** A slot as the device sees it. */
void *pfw_end_slot(const struct pfw_end *end, uint32_t slot);
/** What came in a slot, to where the device sees it: for what is queued from
 *  now on. */
int pfw_end_fetch(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		  uint64_t bytes, struct pfw_error *err);
/** A whole message on an edge without a plan, copied from @p data. */
int pfw_end_send_next(struct pfw_rank *rank, struct pfw_end *end,
		      uint32_t program, const struct pfw_awaited *what,
		      const void *data, uint64_t bytes, struct pfw_error *err);

/* pending.c */
int pfw_rank_open_pending(struct pfw_rank *rank, struct pfw_error *err);
void pfw_rank_close_pending(struct pfw_rank *rank);
/** Copies to the device; what is queued from now on finds it there. */
int pfw_rank_bring_in(struct pfw_rank *rank, void *to, const void *from,
		      uint64_t bytes, struct pfw_error *err);
/** Copies from the device what has been queued so far, on pending.out. */
int pfw_rank_take_out(struct pfw_rank *rank, void *to, const void *from,
		      uint64_t bytes, struct pfw_error *err);
/** Hands a slot over after what was taken out or, where the channel's own is
 *  the device's, after what has been queued so far; gives one back after that. */
int pfw_rank_send_later(struct pfw_rank *rank, const struct pfw_deferred *what,
			struct pfw_error *err);
int pfw_rank_release_later(struct pfw_rank *rank,
			   const struct pfw_deferred *what,
			   struct pfw_error *err);
/** Posts a receive, behind all that is deferred: its slot may be given back
 *  there, and posts keep their order. */
int pfw_rank_post(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		  uint64_t bytes, struct pfw_error *err);
int pfw_rank_is_deferred(const struct pfw_rank *rank, const struct pfw_end *end,
			 uint32_t slot);
/** Does what the device is ready for; never waits. */
int pfw_rank_settle(struct pfw_rank *rank, struct pfw_error *err);
/** Where the queue may wait for other ranks: marks what it was given so far, so
 *  that drain() sees how far it has come. */
int pfw_rank_mark(struct pfw_rank *rank, struct pfw_error *err);
/** Waits until nothing is deferred, and the queue waits for no other rank. */
int pfw_rank_drain(struct pfw_rank *rank, struct pfw_error *err);
/** sync() of the rank's queue, which has no deadline, after drain(). */
int pfw_rank_sync(struct pfw_rank *rank, struct pfw_error *err);
/** Whatever other ranks do, the queue does not wait for them any more. */
void pfw_rank_let_go(struct pfw_rank *rank);

/* timing.c */
int pfw_rank_open_timing(struct pfw_rank *rank, struct pfw_error *err);
void pfw_rank_close_timing(struct pfw_rank *rank);
/** Around what an action does on the device. */
void pfw_rank_work_begins(struct pfw_rank *rank);
void pfw_rank_work_ends(struct pfw_rank *rank, int computes);
/** How many of those that are not read yet the device has done. */
uint32_t pfw_rank_work_done(struct pfw_rank *rank);
/** What the action that is over was, for the trace; by the host's clock. */
void pfw_rank_note(struct pfw_rank *rank, const struct pfw_trace_record *r);
/** Waits for the queue where anything was timed; then busy_ns, first_ns and end_ns are the device's. */
int pfw_rank_read_times(struct pfw_rank *rank, struct pfw_error *err);

/* graphs.c: F, B, I and W as one thing for the device to do */
/** Which are made, for the run's header; NULL: there is no question of any. */
const char *pfw_rank_graphs_text(const struct pfw_rank *rank);
int pfw_rank_open_graphs(struct pfw_rank *rank, struct pfw_error *err);
void pfw_rank_close_graphs(struct pfw_rank *rank);
/** An action's work on the device; @p op of the program of training, NULL: of
 *  another. */
int pfw_rank_do_call(struct pfw_rank *rank, const struct pfw_op *op,
		     void (*run)(void *model, const struct pfw_call *call),
		     struct pfw_call *call, struct pfw_error *err);
/** It took so long on the device, which now is idle. */
void pfw_rank_graph_took(struct pfw_rank *rank, struct pfw_graph *graph,
			 uint32_t sample, uint64_t ns);
/** Says what was decided, once all is. */
int pfw_rank_tell_graphs(struct pfw_rank *rank, struct pfw_error *err);

/* engine.c */

/** Runs a program once; leaves every slot free. */
int pfw_rank_run(struct pfw_rank *rank, uint32_t program,
		 struct pfw_error *err);

/* update.c: TIE, OPT; norm.c: NORM */
int pfw_rank_tie(struct pfw_rank *rank, struct pfw_error *err);
/** Sets rank->decision; at rank 0 rank->bubble too.  Where the device decides,
 *  pfw_rank_learn() does that, after OPT. */
int pfw_rank_norm(struct pfw_rank *rank, struct pfw_error *err);
int pfw_rank_update(struct pfw_rank *rank, struct pfw_error *err);
/** A rank that is alone need not wait for its device between NORM and OPT. */
int pfw_rank_device_decides(const struct pfw_rank *rank);
/** (where it does)  Waits until the step is done. */
int pfw_rank_learn(struct pfw_rank *rank, struct pfw_error *err);
/** Learning rate of update number @p update (from 0). */
double pfw_learning_rate(const struct pfw_config *cfg, uint64_t steps,
			 uint64_t update);

/* train.c, evaluate.c, generate.c, save.c */
int pfw_rank_train(struct pfw_rank *rank, struct pfw_error *err);
int pfw_rank_evaluate(struct pfw_rank *rank, struct pfw_error *err);
int pfw_rank_generate(struct pfw_rank *rank, struct pfw_error *err);
int pfw_rank_save(struct pfw_rank *rank, struct pfw_error *err);

/** peak.c: FLOP/s this rank's device can do, measured in some 10 ms; NaN: it
 *  does not say. */
double pfw_rank_peak(struct pfw_rank *rank);

/** A time of this host as the clock of rank 0's host has it. */
static inline uint64_t pfw_rank_common_time(const struct pfw_rank *rank,
					    uint64_t ns)
{
	return ns + (uint64_t)rank->boot->ops->clock_ahead(rank->boot);
}

/** Until when a boot call may wait. */
uint64_t pfw_rank_deadline(const struct pfw_rank *rank);
/** The same before the first message, while others may still be loading. */
uint64_t pfw_rank_start_deadline(const struct pfw_rank *rank);

static inline uint32_t pfw_rank_last(const struct pfw_rank *rank)
{
	const struct pfw_program *p = pfw_job_placement(rank->job);

	return p->rank_of[p->stages - 1];
}

#endif
