/*
 * job.h: everything about a run that is the same on all ranks, made before the
 * first rank starts: config, model, programs, edges, memory.
 */
#ifndef PFW_CORE_JOB_H
#define PFW_CORE_JOB_H

#include "data/data.h"
#include "model/model.h"
#include "schedule/program.h"
#include "settings/config.h"

#define PFW_PROGRAM_TRAIN 0u
#define PFW_PROGRAM_EVAL 1u
#define PFW_PROGRAM_GENERATE 2u
#define PFW_PROGRAMS 3u
#define PFW_PROGRAM_WARM_UP 3u /**< identity of the first messages alone */

/** Bytes an edge's message needs at most, and slots for any program. */
struct pfw_edge {
	uint32_t from, to, kind;
	uint32_t n_slots;
	uint64_t slot_bytes;
	uint32_t param; /**< PFW_CHANNEL_TIE: whose gradient, else PFW_NONE */
};

/** A program, and which edges its channels are. */
struct pfw_job_program {
	struct pfw_program *program; /**< NULL: this job has no such program */
	uint32_t *edge;              /**< [n_channels] */
};

/** Where a parameter lives: one copy of the weights for each rank that uses it. */
struct pfw_tie {
	uint32_t param;
	uint32_t use[2];  /**< indices in model->uses, in layer order */
	uint32_t rank[2]; /**< may be equal */
};

/** Bytes of one rank, by what they are for. */
struct pfw_rank_memory {
	uint64_t weights, gradients, optimizer;
	uint64_t saved;   /**< kept from F to B or W: peak, all buffers */
	uint64_t work;
	uint64_t slots;   /**< of the channels this rank receives from, and its
			       own edges */
};

struct pfw_job {
	const struct pfw_config *cfg;
	struct pfw_model *model;
	struct pfw_job_program programs[PFW_PROGRAMS];
	struct pfw_edge *edges; /**< sorted by (from, to, kind, param) */
	uint32_t n_edges;
	struct pfw_tie *ties;
	uint32_t n_ties;
	struct pfw_transport_props props;
	struct pfw_dataset *data;     /**< NULL: generation, or no tokens read */
	struct pfw_tokenizer *tokenizer; /**< NULL with data */
	const char *run_dir;          /**< NULL: nothing is written */
	const char *resume;           /**< folder, or NULL */
	const char *init;             /**< folder, or NULL */
	const char *tokenizer_dir;    /**< NULL: no files to copy */
	uint64_t steps;               /**< train until so many are done */
	struct pfw_trace **traces;    /**< [ranks] of this host, else NULL; no
					   array: nothing is recorded */
	struct pfw_attention attention; /**< of training; size 0: none */
	uint32_t first_here, n_here;  /**< ranks of this host; none: all are */
	/* Generation. */
	const int32_t *prompt;
	uint32_t n_prompt, n_tokens;
	double temperature;
	uint32_t top_k;
};

/** What a job is made of; strings and objects are borrowed. */
struct pfw_job_options {
	const struct pfw_config *cfg;
	const struct pfw_costs *costs; /**< to plan for; NULL: F = I = W */
	int generate; /**< the generation program alone, batch 1 */
};

/** A refusal says which key of the config is at fault, and where it stands. */
int pfw_job_open(const struct pfw_job_options *how, struct pfw_job **out,
		 struct pfw_error *err);
void pfw_job_close(struct pfw_job *job);

/** Memory to record every action of this host's ranks in, before they are
 *  started; the job's. */
int pfw_job_open_traces(struct pfw_job *job, struct pfw_error *err);
/** What ranks that have ended could not write themselves. */
int pfw_job_write_traces(const struct pfw_job *job, struct pfw_error *err);

/** How a device is opened for ranks of @p threads threads; the rest is 0. */
struct pfw_device_info pfw_job_device_info(const struct pfw_job *job,
					   uint32_t threads);

/** Index in job->edges, PFW_NONE: no such edge. */
uint32_t pfw_job_edge(const struct pfw_job *job, uint32_t from, uint32_t to,
		      uint32_t kind, uint32_t param);
/** The first rank, in rank order, that is given this parameter. */
uint32_t pfw_job_param_rank(const struct pfw_job *job, uint32_t param);
void pfw_job_memory(const struct pfw_job *job, uint32_t rank,
		    struct pfw_rank_memory *out);
/** Of all channels' slots of the run, on one machine. */
uint64_t pfw_job_slot_bytes(const struct pfw_job *job);
/** -ENOMEM where the slots want more than @p available bytes. */
int pfw_job_slots_fit(const struct pfw_job *job, uint64_t available,
		      struct pfw_error *err);
/** The same of all that the ranks of this host take, as far as it is the host's
 *  memory: opens the device for a moment. */
int pfw_job_fits(const struct pfw_job *job, uint64_t available,
		 struct pfw_error *err);

/**
 * Asks the transports whether this host's ranks can open their channels; a fault in
 * an option has the place where it stands in front.  -ENODEV: a transport cannot run
 * here; -ENOMEM: not with so many slots.
 */
int pfw_job_ready(const struct pfw_job *job, struct pfw_error *err);

/** Is this rank one of this host's? */
static inline int pfw_job_is_here(const struct pfw_job *job, uint32_t rank)
{
	return !job->n_here || (rank >= job->first_here &&
				rank - job->first_here < job->n_here);
}

/** Which memory the slots of a channel are: where the device computes (@p device,
 *  0: in the host's) if the transport reaches it; of scalars it is the host that
 *  wants to know. */
static inline uint32_t pfw_slots_memory(uint32_t kind, uint32_t transport,
					uint32_t device)
{
	if (kind == PFW_CHANNEL_SCALAR || !(transport & device))
		return PFW_MEM_HOST;
	return device;
}

/** What a transport and the filters on it say of themselves. */
void pfw_job_transport_props(const struct pfw_transport_choice *t,
			     struct pfw_transport_props *out);

/** Tokens of one training step. */
static inline uint64_t pfw_job_step_tokens(const struct pfw_job *job)
{
	return (uint64_t)job->cfg->pipeline.microbatches *
	       job->model->shape.batch * job->model->shape.seq;
}

/** The train program, or whichever this job has: for placement. */
const struct pfw_program *pfw_job_placement(const struct pfw_job *job);

/* The scalar messages of NORM. */

/** Rank to rank 0; `squares` in the order of the parameters the rank owns. */
struct pfw_norm_report {
	uint64_t busy_ns;   /**< in F, B, I, W */
	uint64_t first_ns;  /**< start of the first action, by rank 0's clock */
	uint64_t last_ns;   /**< start of NORM */
	/* As they lie on the device. */
	double loss;        /**< sum over tokens, last stage's rank */
	double squares[];
};

/** What the update is told of the gradient. */
struct pfw_clipped {
	float scale;  /**< the gradient is multiplied by it */
	int32_t skip; /**< not finite: leave out the update */
};

/** Rank 0 to all: one decision, the same everywhere. */
struct pfw_norm_decision {
	double loss;        /**< mean per token */
	double norm;        /**< of the whole gradient, before clipping */
	struct pfw_clipped clipped;
	int32_t stop;       /**< PFW_STOP_* */
	uint32_t reserved;
};

#define PFW_STOP_NO 0
#define PFW_STOP_ASKED 1
#define PFW_STOP_NONFINITE 2

#endif
