/*
 * rig.h: a model with its memory, on a device whose memory is the host's, and
 * micro-batches through all of its stages in one process, without a runtime.
 */
#ifndef PFW_CORE_RIG_H
#define PFW_CORE_RIG_H

#include "model/model.h"

/** Kernels to run on. */
struct pfw_rig_device {
	const char *name;
	uint32_t dtype; /**< the policy */
	struct pfw_device device;
	void *queue;
	/* of a plugin */
	const struct pfw_device_ops *ops;
	void *object;
};

/** The cpu device of @p reg on so many threads; -ENOENT where it is not built. */
int pfw_rig_device_open(struct pfw_registry *reg, const char *name,
			uint32_t dtype, uint32_t threads,
			struct pfw_rig_device *out, struct pfw_error *err);
/** Takes one that was never opened. */
void pfw_rig_device_close(struct pfw_rig_device *device);

struct pfw_rig {
	const struct pfw_rig_device *on;
	const struct pfw_loaded *stage;
	struct pfw_model *model;
	float **weights; /**< [model->n_params] */
	float **table;   /**< [model->n_uses]: weights by use */
	float **grads;   /**< [model->n_uses] */
	void **packed;   /**< [2 * model->n_uses], as in struct pfw_call */
	void **weights_act; /**< [model->n_uses], likewise */
	uint32_t binding; /**< of the last call: pointers differ in each */
	/** What a call wrote outside of its memory, in words; "": nothing. */
	char spilt[128];
};

struct pfw_rig_setup {
	uint32_t batch, seq, split;
	uint32_t stages;    /**< 0: 1 */
	const char *layout; /**< NULL: by cost */
};

/** Weights are wider than a model's initial ones, so that every term counts. */
int pfw_rig_open(struct pfw_rig *r, const struct pfw_loaded *stage,
		 const struct pfw_values *values, const struct pfw_rig_device *on,
		 const struct pfw_rig_setup *setup, struct pfw_error *err);
void pfw_rig_close(struct pfw_rig *r);

#define PFW_RIG_BACKWARD 0 /**< F of all micro-batches, then B of each */
#define PFW_RIG_APART 1    /**< F of all, I of all, then W of all */
#define PFW_RIG_IN_TURN 2  /**< F and B of one, then of the next */

/**
 * A step; gradients are left in r->grads, the loss is given.  tokens and
 * targets: [n_micro, batch, seq].  Memory is poisoned before, and scratch before
 * each call; guards around all of it are looked at.
 */
double pfw_rig_train(struct pfw_rig *r, const int32_t *tokens,
		     const int32_t *targets, uint32_t n_micro, int how);

/** One micro-batch of evaluation; logits [batch, seq, vocab] or NULL. */
double pfw_rig_evaluate(struct pfw_rig *r, const int32_t *tokens,
			const int32_t *targets, float *logits);

/** Numbers of [0, vocab), the same for the same seed; 0 for a vocab of 0. */
void pfw_rig_tokens(int32_t *out, uint32_t n, uint32_t vocab, uint32_t seed);

#endif
