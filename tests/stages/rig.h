/*
 * rig.h: a model with its memory, on a device whose memory is the host's, and
 * micro-batches through all of its stages in one process, without a runtime.
 */
#ifndef PFW_TESTS_RIG_H
#define PFW_TESTS_RIG_H

#include "model/model.h"

/** Kernels to run on. */
struct subject {
	const char *name;
	uint32_t dtype; /**< the policy */
	struct pfw_device device;
	void *queue;
	/* of a plugin */
	const struct pfw_device_ops *ops;
	void *object;
};

#define MAX_SUBJECTS 3

/** "plain" always; where the cpu device is built, it with fp32 and then with
 *  bf16, on so many threads.  Gives their number. */
uint32_t subjects_open(struct pfw_registry *reg, uint32_t threads,
		       struct subject out[MAX_SUBJECTS]);
void subjects_close(struct subject *s, uint32_t n);

struct rig {
	const struct subject *on;
	const struct pfw_loaded *stage;
	struct pfw_values *values;
	struct pfw_model *model;
	float **weights; /* [model->n_params] */
	float **table;   /* [model->n_uses]: weights by use */
	float **grads;   /* [model->n_uses] */
};

/** A gpt2 model's numbers, and how it is run. */
struct rig_setup {
	const char *options[5]; /* "layers=2", ...; the rest NULL */
	uint32_t batch, seq, split, stages;
	const char *layout;
};

/** Weights are wider than a model's initial ones, so that every term counts.
 *  What cannot be had ends the program. */
void rig_open(struct rig *r, const struct pfw_loaded *stage,
	      const struct subject *on, const struct rig_setup *setup);
void rig_close(struct rig *r);

#define RIG_BACKWARD 0 /* B of each micro-batch */
#define RIG_APART 1    /* I of all micro-batches, then W of all */

/**
 * All micro-batches forward, then backward; gradients are left in r->grads.
 * tokens and targets: [n_micro, batch, seq].  Memory is poisoned before and
 * scratch before each call.
 */
double rig_train(struct rig *r, const int32_t *tokens, const int32_t *targets,
		 uint32_t n_micro, int how);

/** One micro-batch of evaluation; logits [batch, seq, vocab] or NULL. */
double rig_evaluate(struct rig *r, const int32_t *tokens,
		    const int32_t *targets, float *logits);

/** Numbers of [0, vocab), the same for the same seed. */
void rig_tokens(int32_t *out, uint32_t n, uint32_t vocab, uint32_t seed);

#endif
