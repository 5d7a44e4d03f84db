/*
 * Cuts layers into stages so that the costliest stage costs least.
 *
 * Costs are whole numbers, so the result is the same on every host.  The least
 * bottleneck is found by bisection over its value, with a greedy fill as the
 * test; then a dynamic program over the cuts that keep it picks the one with
 * the least sum of squares.  A stage there never costs more than the
 * bottleneck, so its inner loop is short: about layers / stages steps.
 */
#include "model/layout.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* prefix[i]: cost of layers [0, i), in flops. */
static uint64_t *cost_prefix(const struct pfw_layer *layers, uint32_t n)
{
	uint64_t *prefix = calloc((size_t)n + 1, sizeof(*prefix));

	for (uint32_t i = 0; prefix && i < n; i++)
		prefix[i + 1] = prefix[i] +
			(uint64_t)llround(layers[i].flops_forward) +
			(uint64_t)llround(layers[i].flops_input) +
			(uint64_t)llround(layers[i].flops_weight);
	return prefix;
}

/* Stages that are needed if none may cost more than limit. */
static uint32_t stages_needed(const uint64_t *prefix, uint32_t n,
			      uint64_t limit)
{
	uint32_t stages = 1, first = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (prefix[i + 1] - prefix[i] > limit)
			return UINT32_MAX;
		if (prefix[i + 1] - prefix[first] > limit) {
			first = i;
			stages++;
		}
	}
	return stages;
}

static uint64_t least_bottleneck(const uint64_t *prefix, uint32_t n,
				 uint32_t n_stages)
{
	uint64_t low = 0, high = prefix[n];

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (stages_needed(prefix, n, mid) <= n_stages)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* The square of a stage's cost; all of the model is below 2^21 units, so no
 * sum of squares reaches 2^42. */
static uint64_t square(uint64_t cost, uint64_t unit)
{
	return cost / unit * (cost / unit);
}

/*
 * best[i]: least sum of squares of layers [i, n) in `s` stages, for the s of
 * this round; length[s * (n + 1) + i]: layers of the first of those stages.
 */
static void choose_cuts(const uint64_t *prefix, uint32_t n, uint32_t n_stages,
			uint64_t *best, uint32_t *length)
{
	const uint64_t limit = least_bottleneck(prefix, n, n_stages);
	const uint64_t unit = (prefix[n] >> 20) + 1;

	for (uint32_t i = 0; i < n; i++)
		best[i] = UINT64_MAX;
	best[n] = 0;
	for (uint32_t s = 1; s <= n_stages; s++) {
		uint32_t *len = length + (size_t)s * (n + 1);

		/* best[j], j > i, is still of s - 1 stages. */
		for (uint32_t i = 0; i <= n; i++) {
			uint64_t least = UINT64_MAX;

			for (uint32_t j = i + 1; j <= n; j++) {
				uint64_t cost = prefix[j] - prefix[i], sum;

				if (cost > limit)
					break;
				if (best[j] == UINT64_MAX)
					continue;
				sum = best[j] + square(cost, unit);
				if (sum < least) {
					least = sum;
					len[i] = j - i;
				}
			}
			best[i] = least;
		}
	}
}

int pfw_layout_balance(const struct pfw_layer *layers, uint32_t n_layers,
		       struct pfw_model_stage *stages, uint32_t n_stages,
		       struct pfw_error *err)
{
	uint64_t *prefix, *best;
	uint32_t *length, first = 0;
	int rc = 0;

	if (n_stages > n_layers)
		return pfw_error_set(err, EINVAL,
				     "%u stages (pipeline.ranks times "
				     "pipeline.chunks) for %u layers (embedding "
				     "and head counted): use at most %u stages, "
				     "or more model.layers",
				     n_stages, n_layers, n_layers);
	prefix = cost_prefix(layers, n_layers);
	best = calloc((size_t)n_layers + 1, sizeof(*best));
	length = calloc(((size_t)n_stages + 1) * ((size_t)n_layers + 1),
			sizeof(*length));
	if (!prefix || !best || !length) {
		rc = pfw_error_set(err, ENOMEM, "no memory to cut %u layers",
				   n_layers);
		goto out;
	}
	choose_cuts(prefix, n_layers, n_stages, best, length);
	for (uint32_t s = 0; s < n_stages; s++) {
		stages[s].first_layer = first;
		stages[s].n_layers =
			length[(size_t)(n_stages - s) * (n_layers + 1) + first];
		first += stages[s].n_layers;
	}
out:
	free(length);
	free(best);
	free(prefix);
	return rc;
}
