/*
 * model.h: a stage plugin's model cut into stages, and its table of parameters.
 */
#ifndef PFW_CORE_MODEL_H
#define PFW_CORE_MODEL_H

#include "plugin/registry.h"

/** One use of a parameter by a layer. */
struct pfw_param_use {
	uint32_t param; /**< index in pfw_model.params */
	uint32_t layer, stage;
	const struct pfw_param *info; /**< as its layer lists it: flags may
					   differ from use to use */
};

/** A parameter as the file names it; tied ones are here once. */
struct pfw_model_param {
	struct pfw_param info;  /**< of its first use */
	uint64_t elements;
	uint32_t first_use;     /**< index in pfw_model.uses */
	uint32_t n_uses;        /**< > 1: tied */
};

/** A stage: layers [first, first + n), uses [first_use, first_use + n_uses). */
struct pfw_model_stage {
	uint32_t first_layer, n_layers;
	uint32_t first_use, n_uses;
	uint64_t elements;    /**< of parameters, tied ones counted */
	uint64_t saved_bytes; /**< kept per micro-batch, each layer aligned */
	uint64_t work_bytes;
	uint64_t output_bytes; /**< of the boundary after it; 0: last */
	double flops_forward, flops_input, flops_weight;
};

struct pfw_model {
	const struct pfw_stage_ops *ops;
	void *object;              /**< of the plugin */
	struct pfw_call_shape shape;
	uint32_t n_layers, n_stages;
	uint32_t vocab; /**< 0: it reads no tokens */
	uint32_t context;
	struct pfw_layer *layers;        /**< [n_layers] */
	struct pfw_model_stage *stages;  /**< [n_stages] */
	struct pfw_param_use *uses;      /**< in layer order; .stage is set */
	uint32_t n_uses;
	struct pfw_model_param *params;  /**< in order of first use */
	uint32_t n_params;
	uint64_t elements;               /**< tied ones once */
	double flops;                    /**< of a micro-batch, nothing that is
					      computed again; 0: not known */
};

/**
 * Opens the model and cuts its layers into @p n_stages: by a layout string
 * ("E t*3 | t*4 | t L", see pipefw.cfg(5)), or, where @p layout is NULL, so that
 * the costliest stage costs least.  Every layer is placed exactly once.
 */
int pfw_model_open(const struct pfw_loaded *stage, const struct pfw_values *opt,
		   const struct pfw_call_shape *shape, uint32_t n_stages,
		   const char *layout, struct pfw_model **out,
		   struct pfw_error *err);
/** Bytes of what goes from @p layer to the next, for this shape. */
uint64_t pfw_model_boundary_bytes(const struct pfw_model *m, uint32_t layer,
				  const struct pfw_call_shape *shape);
void pfw_model_close(struct pfw_model *model);

/** "E t*3 | t*3 L": the cut as a layout string. */
void pfw_model_layout_text(const struct pfw_model *model, char *buf, size_t len);

/**
 * Fills [from, from + n) of the parameter's initial values; a function of
 * (seed, name, element) alone (Philox 4x32-10 and Box-Muller).
 */
void pfw_param_init(const struct pfw_param *param, uint64_t seed, uint64_t from,
		    uint64_t n, float *out);

#endif
