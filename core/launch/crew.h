/*
 * crew.h: the launcher's books: processes, sockets, what is known of a failure.
 */
#ifndef PFW_CORE_CREW_H
#define PFW_CORE_CREW_H

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

#include "launch/hub.h"
#include "launch/launcher.h"

/** A process and the ranks it carries. */
struct pfw_member {
	pid_t pid; /**< 0: gone */
	pid_t was; /**< its pid while it lived; on another host 0: not known */
	uint32_t first, n;
	const char *host; /**< NULL: this one */
	int stopped;      /**< on another host: what its launcher said last */
};

/** What is between this launcher and those of other hosts. */
struct pfw_far {
	uint32_t said;         /**< lead: abort and stop, as last told */
	uint64_t beat_at;      /**< guest: of the beat not yet answered, or 0 */
	uint64_t last_beat;
	uint64_t beat_bytes, answered; /**< of its link's queued bytes */
	uint64_t quickest;     /**< ns: of a beat and its answer */
	int deaf;              /**< guest: the lead does not answer */
	int ended;             /**< guest: the lead has said how */
};

struct pfw_crew {
	const struct pfw_launch *how;
	struct pfw_launch_result *result;
	struct pfw_control_page *page;
	size_t page_bytes;
	struct pfw_place own;          /**< of a run on this host alone */
	const struct pfw_place *place; /**< &own, or the meeting's */
	int *fds;       /**< [ranks] the launcher's ends; -1: of another host */
	int *rank_fds;  /**< [ranks] the ranks' ends, until they are started */
	struct pollfd *polls; /**< [ranks + 1 + guests]: sockets, signals, links */
	unsigned char *told;  /**< [ranks] it said why it fails */
	struct pfw_hub *hub; /**< NULL: the lead's */
	struct pfw_far far;
	struct pfw_binding binding;
	struct pfw_member *members;
	uint32_t n_members, alive;
	int signals;
	sigset_t old_mask;

	uint64_t last_sign, last_turns, last_look;
	int failed, explained, killing;
	uint64_t failed_at, ending_at;
	uint32_t cause_rank, cause_kind; /**< PFW_CAUSE_* */
	char cause[1200];
};

int pfw_crew_open(struct pfw_crew *crew, const struct pfw_launch *how,
		  struct pfw_launch_result *result, struct pfw_error *err);
int pfw_crew_start(struct pfw_crew *crew, struct pfw_error *err);
/** Ends what lives, at once, and waits for it. */
void pfw_crew_kill(struct pfw_crew *crew);
void pfw_crew_close(struct pfw_crew *crew);

/** Does this launcher look after ranks of other hosts, or is it looked after? */
int pfw_crew_leads(const struct pfw_crew *crew);
int pfw_crew_is_guest(const struct pfw_crew *crew);

/** "process 123", "process 123 on HOST" */
void pfw_member_process(const struct pfw_member *member, char *buf, size_t len);
/** Is the process in state T (stopped)? */
int pfw_member_stopped(const struct pfw_member *member);
/** Every rank that lives is in a wait, has failed or is stopped. */
int pfw_crew_all_wait(const struct pfw_crew *crew);
/** A line for each rank: where it is and what it waits for. */
void pfw_crew_picture(const struct pfw_crew *crew, char *buf, size_t len);
void pfw_crew_death_text(const struct pfw_crew *crew,
			 const struct pfw_member *member, int status, char *buf,
			 size_t len);
/** The paragraph: the cause, then who waited for what. */
void pfw_crew_explain(struct pfw_crew *crew);

#endif
