/*
 * data.h: token files, and batches drawn from them.
 *
 * Which tokens a micro-batch holds is a pure function of (seed, sample number):
 * not of p, of schedule, or of where a run was resumed.
 */
#ifndef PFW_CORE_DATA_H
#define PFW_CORE_DATA_H

#include <pipefw/base.h>

#include "data/tokenizer.h"

/**
 * A token file: plain text through a tokenizer, nanoGPT's .bin (uint16 without
 * header) or llm.c's .bin (magic 20240520 version 1, 20240801 version 7), told
 * apart by their content (llm.c's magic), then by their name (.bin is nanoGPT's).
 * Read with pread into own buffers: a file cut short while it is used is an
 * error, not a signal.
 */
struct pfw_dataset;

struct pfw_dataset_info {
	uint64_t tokens;      /**< in all */
	uint64_t train_from, train_to; /**< token ranges, half open */
	uint64_t valid_from, valid_to; /**< equal: no validation split */
	uint64_t epoch;       /**< sequences of a training epoch */
	uint64_t fingerprint; /**< of size, content's head, split: for resume */
	const char *format;   /**< "text", "nanogpt", "llm.c" */
	double byte_entropy;  /**< nats per byte of the training file's bytes
				   taken singly, NaN where it is not text */
};

/**
 * @p validation: share of the tokens at the end kept for evaluation, unless
 * @p validation_path names a file of its own.  Every token must be < vocab;
 * the split must hold at least one sequence of @p seq + 1 tokens.
 */
int pfw_dataset_open(const char *path, const char *validation_path,
		     const struct pfw_tokenizer *tok, double validation,
		     uint32_t vocab, uint32_t seq, struct pfw_dataset **out,
		     struct pfw_error *err);
void pfw_dataset_close(struct pfw_dataset *set);
void pfw_dataset_info(const struct pfw_dataset *set,
		      struct pfw_dataset_info *out);

/** Reads the batches of one rank ahead of use, on a thread of its own. */
struct pfw_loader;

#define PFW_SPLIT_TRAIN 0u
#define PFW_SPLIT_VALID 1u

struct pfw_loader_info {
	uint64_t seed;
	uint32_t batch, seq;    /**< of a micro-batch */
	uint32_t microbatches;  /**< of a step */
	uint64_t first_sample;  /**< where training (re)starts */
	uint64_t samples;       /**< validation: of one evaluation, spread evenly
				     over the split; then the same come again */
	uint32_t split;         /**< PFW_SPLIT_* */
};

/** @p set must outlive the loader. */
int pfw_loader_open(const struct pfw_dataset *set,
		    const struct pfw_loader_info *info, struct pfw_loader **out,
		    struct pfw_error *err);
void pfw_loader_close(struct pfw_loader *ld);

/**
 * The next step's tokens: [microbatches, batch, seq] each; @p targets are the
 * tokens one further on.  Ready at once unless the disk is slow: then it waits
 * until @p deadline (CLOCK_MONOTONIC ns).  Valid until the next call.
 */
int pfw_loader_next(struct pfw_loader *ld, uint64_t deadline,
		    const int32_t **tokens, const int32_t **targets,
		    struct pfw_error *err);

#endif
