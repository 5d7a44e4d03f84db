/*
 * layout.h: ways to cut a list of layers into stages.
 */
#ifndef PFW_CORE_LAYOUT_H
#define PFW_CORE_LAYOUT_H

#include "model/model.h"

/**
 * Fills .first_layer and .n_layers of stages[n_stages] from a layout string:
 * letters of layers, or of wholes (struct pfw_layer), `*n` behind one for a
 * repeat, `|` between stages.
 */
int pfw_layout_parse(const char *text, const struct pfw_layer *layers,
		     uint32_t n_layers, struct pfw_model_stage *stages,
		     uint32_t n_stages, struct pfw_error *err);

/**
 * The same by cost: the costliest stage costs as little as it can; among such
 * cuts the most even one, then the one whose early stages are shortest.
 */
int pfw_layout_balance(const struct pfw_layer *layers, uint32_t n_layers,
		       struct pfw_model_stage *stages, uint32_t n_stages,
		       struct pfw_error *err);

#endif
