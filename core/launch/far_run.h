/*
 * far_run.h: a crew of which a part is on other hosts, while the run goes on.
 *
 * At the lead the ranks of other hosts are members of the crew as its own are:
 * their states are mirrored in the page, their deaths are reported, their puts,
 * gets and fences are the hub's.  A guest passes on what its ranks say.
 */
#ifndef PFW_CORE_FAR_RUN_H
#define PFW_CORE_FAR_RUN_H

#include "launch/crew.h"
#include "launch/far.h"

/* In the launcher; both sides call back what launcher.c does for its own. */
struct pfw_far_calls {
	void (*packet)(struct pfw_crew *crew, uint32_t rank,
		       struct pfw_control_packet *packet);
	void (*left)(struct pfw_crew *crew, struct pfw_member *member,
		     int status);
	void (*signal)(struct pfw_crew *crew, int sig);
	void (*fail)(struct pfw_crew *crew, uint32_t rank, int status,
		     uint32_t cause, const char *text);
};

/* far_lead.c */

/** Takes what guests sent, and tells them what has changed. */
void pfw_far_lead_serve(struct pfw_crew *crew,
			const struct pfw_far_calls *calls);
/** An answer of the hub to a rank of a guest. */
void pfw_far_lead_answer(struct pfw_crew *crew, uint32_t rank,
			 const struct pfw_control_packet *packet);
/** Nobody is left there that could be waited for. */
void pfw_far_lead_abandon(struct pfw_crew *crew);
/** How it ended, to all guests. */
void pfw_far_lead_end(struct pfw_crew *crew);

/* far_guest.c */

/** Takes what the lead sent, and tells it how the ranks are. */
void pfw_far_guest_serve(struct pfw_crew *crew,
			 const struct pfw_far_calls *calls);
/** May ranks be listened to?  Not while the lead does not listen to us. */
int pfw_far_guest_ready(const struct pfw_crew *crew);
void pfw_far_guest_packet(struct pfw_crew *crew, uint32_t rank,
			  const struct pfw_control_packet *packet);
void pfw_far_guest_left(struct pfw_crew *crew, const struct pfw_member *member,
			int status);
void pfw_far_guest_signal(struct pfw_crew *crew, int sig);
/** After the last of its ranks: until the lead says how it ended. */
int pfw_far_guest_waits(const struct pfw_crew *crew);

/* far.c */

/** A packet in a frame is as long as it needs to be. */
size_t pfw_far_packet_bytes(const struct pfw_control_packet *packet);
int pfw_far_packet_read(const unsigned char *body, size_t len,
			struct pfw_control_packet *out);
void pfw_far_status_take(const struct pfw_status *from,
			 struct pfw_far_status *out);
void pfw_far_status_show(const struct pfw_far_status *from,
			 struct pfw_status *to);

#endif
