/*
 * ckpt.h: what writing and reading a checkpoint have in common: names of files
 * and folders, what lies where in them, state.json.
 */
#ifndef PFW_CORE_CKPT_H
#define PFW_CORE_CKPT_H

#include <limits.h>

#include "model/checkpoint.h"

/** Written to state.json; another one is refused. */
#define PFW_CKPT_FORMAT 2u

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
/** "", ".exp_avg", ".exp_avg_sq" of PFW_PART_*. */
const char *pfw_ckpt_tensor_end(uint32_t part);
/** The parameter's name with that end; to be freed. */
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

/** From the checkpoint's folder; ckpt_sums.c tells its form. */
#define PFW_CKPT_SUMS "state/checksums"
#define PFW_CKPT_DIGITS 16u

/** The lines of the tensors. */
struct pfw_ckpt_sums {
	char *text; /**< NULL: none */
	size_t len;
	size_t *lines; /**< [3 * n_params]: where the line of part k of parameter
			    i begins, at 3 * i + k */
};

void pfw_ckpt_digits(char out[PFW_CKPT_DIGITS + 1], uint64_t sum);
/** As a new file has them: zeros. */
int pfw_ckpt_sums_make(const struct pfw_model *model, struct pfw_ckpt_sums *out,
		       struct pfw_error *err);
void pfw_ckpt_sums_free(struct pfw_ckpt_sums *sums);
/** Makes the file, once all others are there; fsynced. */
int pfw_ckpt_sums_write(const char *dir, const struct pfw_model *model,
			struct pfw_error *err);
/** Are all files but the tensors' numbers what was saved? */
int pfw_ckpt_sums_check(const char *dir, struct pfw_error *err);
/** The tensors' lines, for who reads them. */
int pfw_ckpt_sums_read(const char *dir, const struct pfw_model *model,
		       struct pfw_ckpt_sums *out, struct pfw_error *err);

/**
 * Is the checkpoint in folder @p path whole?  state.json is there and all files
 * have the sizes it lists; the headers of the tensors' files are good; files and
 * headers have their checksums.  The tensors' numbers are looked at by those
 * who read them.
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
