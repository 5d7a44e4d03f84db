/*
 * transport_kit.h: what the parts of the transports' suite share.
 */
#ifndef PFW_CORE_TRANSPORT_KIT_H
#define PFW_CORE_TRANSPORT_KIT_H

#include "conform/check.h"
#include "conform/ends.h"

/**
 * What is asked: the transport, or the filter on the first transport that can
 * run here.  Skips what cannot be asked.  Lives as long as the process.
 */
const struct pfw_subject *pfw_trial_subject(struct pfw_trial *t);

/** Refuses "CALL gives GOT, not WANTED", and what it said in @p err, if any. */
void pfw_trial_gives(struct pfw_trial *t, const char *call, int got, int wanted,
		     const struct pfw_error *err);

/** A channel of one thread, or it is refused. */
void pfw_trial_pair(struct pfw_trial *t, struct pfw_pair *p, uint32_t from,
		    uint32_t n_slots, uint64_t slot_bytes);
/** The m-th message through a slot of it, and looked at. */
void pfw_trial_pass(struct pfw_trial *t, struct pfw_pair *p, uint64_t m,
		    uint32_t slot, uint64_t bytes);

extern const struct pfw_check pfw_check_half_open, pfw_check_any_order,
	pfw_check_wrong_job, pfw_check_two_plans, pfw_check_bad_address;
extern const struct pfw_check pfw_check_threads, pfw_check_processes,
	pfw_check_one_core, pfw_check_ring, pfw_check_killed_sender,
	pfw_check_killed_receiver;

#endif
