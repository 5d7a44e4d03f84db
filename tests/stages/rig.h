/*
 * rig.h: the rig of core/conform/rig.h as the tests of gpt2 want it: by options,
 * on every kind of kernels; what cannot be had ends the program.
 */
#ifndef PFW_TESTS_RIG_H
#define PFW_TESTS_RIG_H

#include "conform/rig.h"

#define MAX_SUBJECTS 3

/** "plain" always; where the cpu device is built, it with fp32 and then with
 *  bf16, on so many threads.  Gives their number. */
uint32_t subjects_open(struct pfw_registry *reg, uint32_t threads,
		       struct pfw_rig_device out[MAX_SUBJECTS]);
void subjects_close(struct pfw_rig_device *s, uint32_t n);

/** A gpt2 model's numbers, and how it is run. */
struct rig_setup {
	const char *options[5]; /* "layers=2", ...; the rest NULL */
	uint32_t batch, seq, split, stages;
	const char *layout;
};

void rig_open(struct pfw_rig *r, const struct pfw_loaded *stage,
	      const struct pfw_rig_device *on, const struct rig_setup *setup);

#endif
