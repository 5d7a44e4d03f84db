/*
 * stage_kit.h: a small model of the stage's family, for its checks.
 */
#ifndef PFW_CORE_STAGE_KIT_H
#define PFW_CORE_STAGE_KIT_H

#include "conform/check.h"
#include "conform/rig.h"

#define PFW_CASE_BATCH 2u
#define PFW_CASE_MICRO 3u
#define PFW_CASE_MAX_SEQ 5u
#define PFW_CASE_MAX_TOKENS (PFW_CASE_MICRO * PFW_CASE_BATCH * PFW_CASE_MAX_SEQ)

/** What is run: options, sizes, tokens, the cpu device in fp32. */
struct pfw_case {
	const struct pfw_values *values;
	char options[256]; /**< in words: "layers=2 hidden=16" */
	struct pfw_rig_device cpu;
	struct pfw_rig_setup setup; /**< of one stage */
	uint32_t vocab, n_layers, n_params;
	uint32_t rows;     /**< tokens of a micro-batch */
	int32_t tokens[PFW_CASE_MAX_TOKENS], targets[PFW_CASE_MAX_TOKENS];
};

/**
 * Integer options that were not given are halved in turn while the model opens,
 * until it is small.  Skips what cannot be run here.  Lives as long as the
 * process.
 */
const struct pfw_case *pfw_trial_case(struct pfw_trial *t);

/** The same case, on the cpu device in bf16. */
const struct pfw_case *pfw_trial_case_bf16(struct pfw_trial *t);

/** The case's model on @p setup, or it is refused; doing is noted. */
void pfw_case_open(struct pfw_trial *t, const struct pfw_case *c,
		   const struct pfw_rig_setup *setup, struct pfw_rig *r);
/** Refuses what was written outside of the memory given. */
void pfw_case_close(struct pfw_trial *t, struct pfw_rig *r);

/** The first number of a gradient that is not finite: the use and its element;
 *  PFW_NONE: none. */
uint32_t pfw_case_not_finite(const struct pfw_rig *r, uint64_t *element);

extern const struct pfw_check pfw_check_gradients, pfw_check_split,
	pfw_check_cuts, pfw_check_again, pfw_check_grouping, pfw_check_order,
	pfw_check_evaluation, pfw_check_logits, pfw_check_not_finite,
	pfw_check_bf16;

#endif
