/*
 * boot.h: how ranks find each other and reach the launcher.
 *
 * A boot gives each rank its number, a store of small values, fences, a way to
 * tell events, and words that say "stop" and "abort".  `fork` is one
 * implementation; nothing else in pipefw assumes a common parent, working
 * folder, pid space or shared file descriptor.
 */
#ifndef PFW_CORE_BOOT_H
#define PFW_CORE_BOOT_H

#include <pipefw/mac.h>

#include "launch/event.h"
#include "launch/status.h"

#define PFW_BOOT_KEY_MAX 64u
#define PFW_BOOT_VALUE_MAX 1024u

struct pfw_boot;

struct pfw_boot_ops {
	/** Makes a value known to all ranks. */
	int (*put)(struct pfw_boot *boot, const char *key, const void *value,
		   size_t len, struct pfw_error *err);
	/** Waits until somebody has put it; -ETIMEDOUT at the deadline. */
	int (*get)(struct pfw_boot *boot, const char *key, void *value,
		   size_t size, size_t *len, uint64_t deadline,
		   struct pfw_error *err);
	/** Returns when all ranks have come here.  The deadline is put off while
	 *  the others get on: their status->turns grow. */
	int (*fence)(struct pfw_boot *boot, uint64_t deadline,
		     struct pfw_error *err);
	int (*tell)(struct pfw_boot *boot, const struct pfw_event *event,
		    struct pfw_error *err);
	/** Somebody failed: give up now.  Cheap, no system call. */
	int (*aborted)(const struct pfw_boot *boot);
	/** The user wants an orderly end.  Cheap, no system call. */
	int (*stopping)(const struct pfw_boot *boot);
	/** A rank has something to tell, and the launcher does not listen: it is
	 *  held up by whoever reads what it prints.  All wait with that rank, so
	 *  no deadline passes meanwhile.  Cheap, no system call. */
	int (*held)(const struct pfw_boot *boot);
	/** ns that the clock of rank 0's host is ahead of this one's. */
	int64_t (*clock_ahead)(const struct pfw_boot *boot);
};

/** What all ranks that one launcher starts have in common. */
struct pfw_place {
	uint32_t ranks;     /**< of the whole run */
	uint32_t first, n;  /**< of these, the launcher's own */
	uint32_t cores;     /**< this host's that the run may use */
	uint64_t job;       /**< random number of the run */
	char host[64];      /**< equal strings: ranks share memory */
	char address[48];   /**< numeric: where other hosts reach this one */
	uint8_t key[PFW_MAC_BYTES]; /**< known to the ranks of this run alone */
};

/** One rank's end; by one thread. */
struct pfw_boot {
	const struct pfw_boot_ops *ops;
	uint32_t rank, ranks;
	const struct pfw_place *place;
	uint32_t threads;   /**< of this rank */
	struct pfw_status *status; /**< this rank's */
};

#endif
