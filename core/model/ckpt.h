/*
 * ckpt.h: what writing and reading a checkpoint have in common: names of files
 * and folders, what lies where in them, state.json.
 */
#ifndef PFW_CORE_CKPT_H
#define PFW_CORE_CKPT_H

#include <limits.h>

#include "model/checkpoint.h"

/** Written to state.json; a greater one is refused. */
#define PFW_CKPT_FORMAT 1u

/** The files whose sizes state.json lists. */
#define PFW_CKPT_WEIGHTS 0u
#define PFW_CKPT_MOMENTS 1u
#define PFW_CKPT_CONFIG 2u
#define PFW_CKPT_FILES 3u
/** "model/model.safetensors", ...: from the checkpoint's folder. */
const char *pfw_ckpt_file(uint32_t file);

/** RUN/checkpoints/step-N, and what is put behind it (".tmp", ""). */
int pfw_ckpt_path(char out[PATH_MAX], const char *run_dir, uint64_t step,
		  const char *suffix, struct pfw_error *err);
/** Takes "step-N" apart; 0: another name. */
int pfw_ckpt_step(const char *name, uint64_t *step);
/** The steps of all step-N in the run, the newest first; *out is to be freed. */
int pfw_ckpt_list(const char *run_dir, uint64_t **out, size_t *n,
		  struct pfw_error *err);
/** The step that RUN/latest points to; 0: it does to none. */
int pfw_ckpt_latest(const char *run_dir, uint64_t *step);

/** What a .safetensors file of the model holds, and where. */
struct pfw_ckpt_layout {
	uint32_t parts;    /**< tensors of a parameter */
	char *header;
	size_t header_bytes;
	uint64_t *offsets; /**< [n_params * parts], a parameter's side by side */
	uint64_t bytes;    /**< of the file */
};

/** @p file: PFW_CKPT_WEIGHTS or PFW_CKPT_MOMENTS. */
int pfw_ckpt_layout_make(const struct pfw_model *model, uint32_t file,
			 struct pfw_ckpt_layout *out, struct pfw_error *err);
void pfw_ckpt_layout_free(struct pfw_ckpt_layout *layout);
/** "NAME", "NAME.exp_avg", "NAME.exp_avg_sq" of PFW_PART_*; to be freed. */
char *pfw_ckpt_tensor(const char *param, uint32_t part);

struct pfw_ckpt_state {
	struct pfw_train_state train;
	uint64_t bytes[PFW_CKPT_FILES];
};

/** Makes @p path, fsynced. */
int pfw_ckpt_state_write(const char *path, const struct pfw_ckpt_state *state,
			 struct pfw_error *err);
int pfw_ckpt_state_read(const char *path, struct pfw_ckpt_state *state,
			struct pfw_error *err);

/**
 * Is the checkpoint in folder @p path whole?  state.json is there and all files
 * have the sizes it lists; the headers of the tensors' files are good.
 */
int pfw_ckpt_check(const char *path, struct pfw_ckpt_state *state,
		   struct pfw_error *err);
/**
 * The checkpoint to read in a run's folder: latest, or where that is damaged
 * the newest whole one, and then a sentence in @p note ("" else).
 */
int pfw_ckpt_find(const char *run_dir, char path[PATH_MAX],
		  struct pfw_ckpt_state *state, char *note, size_t note_len,
		  struct pfw_error *err);

/** Removes a folder and all that is in it, as far as that goes. */
void pfw_ckpt_remove(const char *path);

#endif
