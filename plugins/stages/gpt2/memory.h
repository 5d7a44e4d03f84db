/*
 * memory.h: where a call finds its tensors: at the range's ends in the
 * boundaries' slots, inside of it in `saved` (kept from forward to backward)
 * or in `work`.
 *
 * Each layer keeps its own input, which the layer before it writes there; the
 * range's first input stays in its slot.  With a split backward each layer keeps
 * the gradients of its GEMMs' outputs as well, from I to W.
 *
 * Rows are the tokens of the micro-batch, C the width, s the bytes of act:
 *   attention's `saved` is 6 C s bytes a row and 2 + 1 per head numbers, split
 *   10 C s; the MLP's is 10 C s and 2 numbers, split 15 C s; the head's is C s
 *   (its input); the embedding's nothing, split C s.
 */
#ifndef PFW_GPT2_MEMORY_H
#define PFW_GPT2_MEMORY_H

#include "gpt2.h"

enum run_mode {
	RUN_EVALUATE, /* nothing is kept */
	RUN_TRAIN,    /* forward; backward in one */
	RUN_APART     /* backward, input and weight apart */
};

/* One call, at one of its layers. */
struct run {
	const struct gpt2 *m;
	const struct pfw_call *call;
	const struct pfw_kernels *k;
	uint32_t rows;
	uint32_t layer; /* in the model */
	uint32_t param; /* of its first parameter in the call's tables */
	char *saved;    /* its part of call->saved; NULL in evaluation */
	enum run_mode mode;
};

/* The tensors of half a block; act unless float. */
struct half {
	void *h;             /* [C] after the norm */
	float *mean, *rstd;
	void *dh;            /* [C] scratch of backward */
	/* attention */
	void *qkv, *dqkv;    /* [3C] */
	void *heads;         /* [C] its output */
	float *stats;        /* [heads] */
	/* MLP */
	void *a, *da;        /* [4C] what the GELU notes for its derivative */
	void *g;             /* [4C] after the GELU */
};

struct head {
	void *h;             /* [C] after the final norm */
	float *mean, *rstd;
	void *logits;        /* [chunk, vocab] */
	uint32_t chunk;      /* rows that have logits at a time */
	void *dh;            /* [C] */
};

/* Bytes that a layer needs. */
void layer_bytes(const struct gpt2 *m, uint32_t layer,
		 const struct pfw_call_shape *shape, uint64_t *saved,
		 uint64_t *work);

/* Starts a call; then before each layer. */
void run_start(struct run *r, const struct gpt2 *m, const struct pfw_call *call,
	       enum run_mode mode);
void run_seek(struct run *r, uint32_t layer);

/* Of the layer the run is at. */
const void *run_input(const struct run *r);
void *run_output(const struct run *r);
const void *run_grad_output(const struct run *r);
void *run_grad_input(const struct run *r);
void run_half(const struct run *r, struct half *out);
void run_head(const struct run *r, struct head *out);

#endif
