/*
 * tiny_model.h: a model of three parameters without a plugin, and saves of it.
 */
#ifndef PFW_TESTS_TINY_MODEL_H
#define PFW_TESTS_TINY_MODEL_H

#include "model/checkpoint.h"

#define TINY_PARAMS 3

extern const struct pfw_model tiny_model;

/** Element @p i of a parameter's part in the save of @p step. */
float tiny_value(uint64_t step, uint32_t param, uint32_t part, uint64_t i);
/** A whole save; any step of it may fail. */
int tiny_save(const char *run_dir, uint64_t step, struct pfw_error *err);
/** With the tokenizer's files of that folder. */
int tiny_save_with(const char *run_dir, uint64_t step, const char *tokenizer_dir,
		   struct pfw_error *err);
/** Reads all of it back: 1: it is all of its step. */
int tiny_is_whole(const char *dir, struct pfw_train_state *state, char *note,
		  size_t note_len, struct pfw_error *err);

#endif
