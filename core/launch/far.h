/*
 * far.h: the frames between a lead and its guests, in the order of a run.
 *
 * Both ends are the same build of pipefw, on hosts of one byte order and one
 * layout of structs (PFW_FAR_INTRO says so), so bodies are structs.
 */
#ifndef PFW_CORE_FAR_H
#define PFW_CORE_FAR_H

#include "launch/control.h"

/* Meeting. */
#define PFW_FAR_INTRO 1u    /**< guest: struct pfw_far_intro */
#define PFW_FAR_SETTINGS 2u /**< guest: a piece of its text */
#define PFW_FAR_REFUSED 3u  /**< either: why, as text */
#define PFW_FAR_FOLDER 4u   /**< lead: struct pfw_far_folder */
#define PFW_FAR_READY 5u    /**< guest: sees it */
#define PFW_FAR_START 6u    /**< lead */

/* Running.  The frame's rank is the rank it is about. */
#define PFW_FAR_PACKET 7u  /**< either: a control packet, as long as it needs */
#define PFW_FAR_STATUS 8u  /**< guest: struct pfw_far_status */
#define PFW_FAR_MEMBER 9u /**< guest: struct pfw_far_member */
#define PFW_FAR_LEFT 10u   /**< guest: a member's int32_t from waitpid() */
#define PFW_FAR_SIGNAL 11u /**< guest: int32_t: it was asked to end */
#define PFW_FAR_BEAT 12u   /**< guest: answered by STATE */
#define PFW_FAR_STATE 13u  /**< lead: struct pfw_far_state */
#define PFW_FAR_END 14u    /**< lead: struct pfw_far_end */

/** Changes with what may not differ between two builds that talk. */
#define PFW_FAR_WIRE                                                           \
	(0x01020304u ^ (uint32_t)sizeof(struct pfw_control_packet) << 16 ^     \
	 (uint32_t)sizeof(struct pfw_far_status) << 24)

struct pfw_far_intro {
	uint32_t wire;     /**< PFW_FAR_WIRE; the rest is read if it fits */
	char version[44];
	uint32_t ranks, first, n;
	uint32_t settings; /**< bytes that follow */
	char host[64];     /**< host id */
	char name[64];     /**< for people */
};

struct pfw_far_folder {
	uint64_t job;
	uint32_t needed;
	char proof[60]; /**< name of a file in the run's folder */
};

struct pfw_far_status {
	uint32_t phase, type, stage, microbatch;
	uint64_t step, turns;
	uint32_t wait, peer, kind, wait_type, wait_stage, wait_microbatch;
	uint64_t waited; /**< ns: clocks of hosts differ */
};

struct pfw_far_member {
	uint32_t n;
	int32_t pid;
	uint32_t stopped;
	uint32_t reserved;
};

struct pfw_far_state {
	uint64_t elsewhere; /**< turns of all ranks but the guest's */
	uint64_t now;       /**< the lead's clock, ns */
	uint32_t abort, stop;
	uint32_t answers;   /**< 1: to a BEAT; 0: something changed */
	uint32_t reserved;
};

struct pfw_far_end {
	int32_t status, signal;
	char text[8192];
};

_Static_assert(sizeof(struct pfw_far_end) <= 9216, "a frame holds it");

#endif
