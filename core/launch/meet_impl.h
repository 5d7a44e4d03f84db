/*
 * meet_impl.h: shared by the files of the meeting.
 */
#ifndef PFW_CORE_MEET_IMPL_H
#define PFW_CORE_MEET_IMPL_H

#include "launch/meet.h"

int pfw_meeting_new(const struct pfw_meet *how, uint32_t max_guests,
		    struct pfw_meeting **out, struct pfw_error *err);
/** The run's number, and the key of its ranks. */
void pfw_meeting_number(struct pfw_meeting *m, uint64_t job);
void pfw_meeting_local_address(int fd, char *out, size_t len);

/* meet_lead.c */
int pfw_meeting_gather(const struct pfw_meet *how, struct pfw_meeting **out,
		       struct pfw_error *err);
int pfw_meeting_begin(struct pfw_meeting *m, const char *run_dir,
		      double timeout, struct pfw_error *err);
/* meet_guest.c */
int pfw_meeting_join(const struct pfw_meet *how, struct pfw_meeting **out,
		     struct pfw_error *err);
int pfw_meeting_follow(struct pfw_meeting *m, const char *run_dir,
		       double timeout, struct pfw_error *err);

/* callers.c: who has called and is not taken yet */

#define PFW_CALLERS 64u

struct pfw_caller;

struct pfw_callers {
	const struct pfw_meet *how;
	int listener;
	uint32_t notes; /**< said so far */
	uint32_t n;
	struct pfw_caller *list[PFW_CALLERS]; /**< oldest first */
};

/** A guest whose introduction is there and fits: to be taken or refused. */
struct pfw_introduced {
	struct pfw_link *link;
	uint32_t first, n;
	char name[64], address[48];
	char host[64];
};

void pfw_callers_close(struct pfw_callers *callers);
/** Waits for somebody until @p until (ns) at most; 0 with *out filled, else
 *  -EAGAIN.  What is wrong with callers is said by on_note. */
int pfw_callers_next(struct pfw_callers *callers, uint64_t until,
		     struct pfw_introduced *out);

#endif
