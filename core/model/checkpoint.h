/*
 * checkpoint.h: a run's saved state: model and optimizer, whole or not at all.
 *
 * In the run's folder:
 *   checkpoints/step-N/model/   config.json, model.safetensors, tokenizer files
 *   checkpoints/step-N/state/   state.json, optimizer.safetensors, checksums
 *   latest -> checkpoints/step-N      one rename makes both new at once
 *   model -> latest/model, state -> latest/state
 * Work goes on in checkpoints/step-N.tmp, which is fsynced and renamed.  The
 * newest two are kept.  Every rank writes its own tensors into the same files
 * at offsets that follow from the model alone.
 */
#ifndef PFW_CORE_CHECKPOINT_H
#define PFW_CORE_CHECKPOINT_H

#include "model/model.h"
#include "model/safetensors.h"

/** What training needs besides weights and moments. */
struct pfw_train_state {
	uint64_t step;       /**< steps done, skipped ones too */
	uint64_t updates;    /**< optimizer updates done: AdamW's t */
	uint64_t sample;     /**< next sample of the training order */
	uint64_t seed;
	uint64_t data;       /**< fingerprint of the data set */
	uint64_t bad_steps;  /**< skipped updates, in all */
	uint64_t bad_in_row;
};

/** Which number of a parameter. */
#define PFW_PART_WEIGHT 0u
#define PFW_PART_MOMENT1 1u /**< optimizer.safetensors: "NAME.exp_avg" */
#define PFW_PART_MOMENT2 2u /**< optimizer.safetensors: "NAME.exp_avg_sq" */

/**
 * One rank makes the files: folders, headers, files at full size, config.json
 * (with the member `"pipefw": {"tokenizer": NAME}`), state.json, copies of
 * @p tokenizer_dir's vocab.json and merges.txt where not NULL.  Needs the space
 * up front, so a full disk is found here.
 */
int pfw_checkpoint_create(const char *run_dir, const struct pfw_model *model,
			  const struct pfw_train_state *state,
			  const char *tokenizer, const char *tokenizer_dir,
			  struct pfw_error *err);

/** Then every rank, the maker too, opens, writes its parameters, closes. */
struct pfw_checkpoint_writer;
int pfw_checkpoint_open_writer(const char *run_dir,
			       const struct pfw_model *model, uint64_t step,
			       struct pfw_checkpoint_writer **out,
			       struct pfw_error *err);
/**
 * Elements [@p from, @p from + @p n) of parameter @p param, of one part after
 * the other and from its first element on; @p data is host memory.  Now and then it waits for the disk, so that a call takes the time of
 * some PFW_PIECE numbers at most, and closing no longer.
 */
int pfw_checkpoint_write(struct pfw_checkpoint_writer *w, uint32_t param,
			 uint32_t part, uint64_t from, uint64_t n,
			 const float *data, struct pfw_error *err);
/** Numbers to write at a time: 16 MiB. */
#define PFW_PIECE ((uint64_t)4 << 20)
/** fsync and close; the writer is gone in any case.  Takes NULL. */
int pfw_checkpoint_close_writer(struct pfw_checkpoint_writer *w,
				struct pfw_error *err);

/** Then one rank, after all have closed. */
int pfw_checkpoint_commit(const char *run_dir, uint64_t step,
			  struct pfw_error *err);
/** Removes what a failed or killed save left in @p run_dir. */
void pfw_checkpoint_sweep(const char *run_dir);
/** Removes all checkpoints of @p run_dir (--overwrite). */
void pfw_checkpoint_clear(const char *run_dir);

/**
 * Reads back.  @p dir: a run's folder, a checkpoint's folder, or (weights only,
 * @p state NULL) any folder or file that pfw_st_open() takes.  Names and shapes
 * must be the model's: what is missing, left over or of another shape is
 * refused by name, and so are numbers that are not those that a checkpoint's
 * checksums tell of.  Where the run's latest checkpoint is damaged, the newest
 * whole one is read, and the reader's note says so.
 */
struct pfw_checkpoint_reader;
int pfw_checkpoint_open_reader(const char *dir, const struct pfw_model *model,
			       struct pfw_train_state *state,
			       struct pfw_checkpoint_reader **out,
			       struct pfw_error *err);
int pfw_checkpoint_read(struct pfw_checkpoint_reader *r, uint32_t param,
			uint32_t part, float *data, struct pfw_error *err);
void pfw_checkpoint_close_reader(struct pfw_checkpoint_reader *r);
/** A sentence for the user, or "". */
const char *pfw_checkpoint_note(const struct pfw_checkpoint_reader *r);

/**
 * The model folder in @p dir: itself, its model/, or that of a run's newest
 * whole checkpoint.
 */
int pfw_checkpoint_model_dir(const char *dir, char *out, size_t len,
			     struct pfw_error *err);
/**
 * From a model folder's config.json: the name of the stage plugin
 * ("model_type") and of the tokenizer; "" where the file does not say.
 */
int pfw_checkpoint_config(const char *model_dir, char *stage, size_t stage_len,
			  char *tokenizer, size_t tokenizer_len,
			  struct pfw_error *err);

#endif
