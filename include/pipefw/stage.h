/*
 * pipefw/stage.h: the stage interface: a family of models.
 *
 * A model is a list of layers.  The core cuts the list into stages, owns all
 * memory (parameters, gradients, what is kept per micro-batch, scratch), and
 * asks the plugin to run a range of layers on it.  A stage keeps no pointer
 * between calls.
 *
 * Between two layers lies a boundary: a list of tensors that travels from stage
 * to stage as one message, the tensors one after the other, each aligned to
 * PFW_ALIGN.  Its gradient has the same form.
 */
#ifndef PIPEFW_STAGE_H
#define PIPEFW_STAGE_H

#include <pipefw/device.h>

PFW_BEGIN_DECLS

#define PFW_MAX_DIMS 4u

struct pfw_tensor {
	const char *name;
	uint32_t dtype;
	uint32_t n_dims;
	uint64_t dims[PFW_MAX_DIMS];
};

/** Weight decay applies (matrices). */
#define PFW_PARAM_DECAY 1u
/** The weight is B of GEMMs, of kinds NT and NN: it is also given in act, and
 *  packed, where the device has such forms. */
#define PFW_PARAM_MATRIX 2u

#define PFW_INIT_ZERO 0u
#define PFW_INIT_ONE 1u
#define PFW_INIT_NORMAL 2u /**< mean 0, standard deviation `std` */

/**
 * A parameter.  Two layers that list the same name share it (tied): each has a
 * gradient of its own, which the core adds in layer order once a step.
 */
struct pfw_param {
	const char *name; /**< as in the saved model's file */
	uint32_t n_dims;
	uint32_t flags;   /**< PFW_PARAM_* */
	uint64_t dims[PFW_MAX_DIMS];
	uint32_t init;    /**< PFW_INIT_* */
	float std;
};

/** How a call is shaped; part of what decides sizes. */
struct pfw_call_shape {
	size_t size;
	uint32_t batch; /**< sequences of a micro-batch */
	uint32_t seq;   /**< tokens of a sequence, <= the model's context */
	uint32_t act_dtype;
	uint32_t split; /**< 1: backward comes as input and weight apart */
};

/** One layer, all strings and arrays owned by the model. */
struct pfw_layer {
	size_t size;
	const char *name;
	char letter; /**< in a layout string: E embedding, a attention, m MLP, L head */
	uint32_t n_params;
	const struct pfw_param *params;
	uint64_t saved_bytes; /**< kept from F to the end of B (or W) for each
				   micro-batch, besides the stage's input */
	uint64_t work_bytes;  /**< scratch during any one call */
	double flops_forward; /**< per micro-batch, multiply and add are 2 */
	double flops_input;
	double flops_weight;
	double flops_model; /**< of the model itself, F, I and W together: nothing
				 that is computed again; 0: it is no arithmetic */
	char whole;       /**< in a layout string: this layer and those after it
			       that make a whole with it, as t is a block of
			       attention and MLP; 0: none begins here */
	uint32_t n_whole; /**< layers of that whole, this one included */
};

/** F keeps what backward needs (else: evaluation). */
#define PFW_CALL_TRAIN 1u
/** Gradients of parameters are added to what is there (else overwritten). */
#define PFW_CALL_ACCUMULATE 2u

/** One call on a range of layers. */
struct pfw_call {
	size_t size;
	const struct pfw_device *device;
	void *queue;
	uint32_t first_layer, n_layers;
	struct pfw_call_shape shape;
	uint32_t flags;   /**< PFW_CALL_* */
	uint32_t binding; /**< equal numbers: every pointer below is as before */

	/* Tables over the range's parameters in the order of the layers. */
	float *const *weights;    /**< fp32 */
	void *const *packed;      /**< [2 * i + kind], kind PFW_GEMM_NT or _NN:
				       parameter i packed as B of such a GEMM;
				       entries NULL where there is no packed
				       form; may be NULL */
	float *const *grads;      /**< fp32 */

	void *saved;              /**< sum of saved_bytes (each aligned) of the
				       range: of this micro-batch */
	void *work;               /**< max of work_bytes of the range */

	const void *input;        /**< boundary; NULL at the first layer */
	void *output;             /**< boundary; NULL at the last layer */
	const void *grad_output;  /**< NULL at the last layer */
	void *grad_input;         /**< NULL at the first layer */

	/* Where the range holds the first or the last layer. */
	const int32_t *tokens;    /**< [batch, seq] */
	const int32_t *targets;   /**< [batch, seq] */
	float loss_scale;         /**< 1 / tokens of the global batch */
	uint32_t reserved;
	double *loss;             /**< += sum over tokens of -log p */
	float *logits;            /**< if not NULL: [batch, seq, vocab] are written
				       in forward; then no targets, no loss */
	void *const *weights_act; /**< copies in act for GEMMs; entries NULL, or
				       NULL: the device's act is fp32 */
};

/** Has backward_input and backward_weight. */
#define PFW_STAGE_SPLITS 1u
/** Takes time but no core: its bubble can be measured with any number of ranks.
 *  A layer's flops are the nanoseconds that it was set to take. */
#define PFW_STAGE_SLEEPS 2u

struct pfw_stage_ops {
	size_t size;
	uint32_t flags; /**< PFW_STAGE_* */

	/** Checks the options; no device, no memory of note.  A refusal names
	 *  options as "heads = 3": the config's user is shown the line. */
	int (*open)(const struct pfw_values *opt, void **model,
		    struct pfw_error *err);
	void (*close)(void *model);

	uint32_t (*n_layers)(void *model);
	void (*layer)(void *model, uint32_t index,
		      const struct pfw_call_shape *shape, struct pfw_layer *out);
	/** Tensors between layer @p index and the next; gives their number,
	 *  fills at most @p max. */
	uint32_t (*boundary)(void *model, uint32_t index,
			     const struct pfw_call_shape *shape,
			     struct pfw_tensor *out, uint32_t max);
	/** Vocabulary (0: it reads no tokens) and longest sequence (>= 1). */
	void (*limits)(void *model, uint32_t *vocab, uint32_t *context);

	/*
	 * Work on one micro-batch.  They enqueue and return; but for the work of
	 * PFW_STAGE_SLEEPS, a device may do it again, without asking them, for
	 * the same call.  Where the last
	 * layer is in range, loss is added to *loss by the call that computes
	 * the logits: backward (or backward_input) in training, forward in
	 * evaluation; so training keeps no logits from F to B.
	 */
	void (*forward)(void *model, const struct pfw_call *call);
	void (*backward)(void *model, const struct pfw_call *call);
	/** (with PFW_STAGE_SPLITS) */
	void (*backward_input)(void *model, const struct pfw_call *call);
	void (*backward_weight)(void *model, const struct pfw_call *call);

	/**
	 * (optional: the model has no foreign form)  The text of the config.json
	 * that readers of the saved model want; @p extra is a JSON member list
	 * of the core's to be put in ("\"pipefw\": {...}"), or "".  Gives the
	 * length it would take; writes at most @p len bytes with the NUL.
	 */
	size_t (*config_json)(void *model, const char *extra, char *buf,
			      size_t len);
	/**
	 * (with config_json)  From such a text to option settings: calls @p set
	 * for each, value as text.
	 */
	int (*from_config_json)(const char *text, size_t len,
				int (*set)(void *ctx, const char *name,
					   const char *value,
					   struct pfw_error *err),
				void *ctx, struct pfw_error *err);
	/**
	 * (optional: names are equal)  Is this name in a foreign file the
	 * parameter @p param?  1 yes; 0 no; for a tensor that belongs to no
	 * parameter and is to be passed over, @p param is NULL and the answer 1.
	 */
	int (*matches)(void *model, const char *param, const char *name);
	/** (optional: any device takes it)  Refuses what a device of these limits
	 *  cannot compute at this shape, as open() does. */
	int (*check)(void *model, const struct pfw_call_shape *shape,
		     const struct pfw_device_limits *limits,
		     struct pfw_error *err);
	/** (optional: it has none)  The attention that its calls of this shape
	 *  ask for: batch, seq, heads and head_size; the pointers are NULL. */
	void (*attention)(void *model, const struct pfw_call_shape *shape,
			  struct pfw_attention *out);
};

PFW_END_DECLS

#endif
