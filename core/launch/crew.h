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
	pid_t was; /**< its pid while it lived */
	uint32_t first, n;
};

struct pfw_crew {
	const struct pfw_launch *how;
	struct pfw_launch_result *result;
	struct pfw_control_page *page;
	size_t page_bytes;
	uint64_t job;
	int *fds;       /**< [ranks] the launcher's ends */
	int *rank_fds;  /**< [ranks] the ranks' ends, until they are started */
	struct pollfd *polls; /**< [ranks + 1]: sockets, then signals */
	unsigned char *told;  /**< [ranks] it said why it fails */
	struct pfw_hub *hub;
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
