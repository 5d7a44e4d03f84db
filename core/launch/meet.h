/*
 * meet.h: launchers on several hosts become one run.
 *
 * The launcher that has rank 0 leads: it listens, the others (its guests) call,
 * in any order and until the deadline.  Each shows that it knows the secret
 * (greet.h), and says which ranks it has and what its settings are; the lead
 * takes it, or says why not.  When all ranks are there, the lead gives the run
 * its number, every guest looks whether it sees the run's folder, and all start.
 */
#ifndef PFW_CORE_MEET_H
#define PFW_CORE_MEET_H

#include "launch/boot.h"
#include "launch/endpoint.h"
#include "launch/link.h"
#include "launch/secret.h"

/** Longest settings text that is compared. */
#define PFW_MEET_SETTINGS_MAX 65536u
/** A host is given up when nothing came from it for so long. */
#define PFW_MEET_SILENCE_S 5

struct pfw_meet {
	const struct pfw_endpoint *at;
	const struct pfw_secret *secret;
	uint32_t ranks;    /**< of the whole run */
	uint32_t first, n; /**< this launcher's; it leads if first is 0 */
	double timeout;    /**< s: for all to come */
	const char *file;  /**< the config, as the user names it */
	const char *settings; /**< "name = value" lines that must be equal */
	void (*on_note)(void *context, const char *text);
	void *context;
};

/** A launcher on another host, and the ranks that it has. */
struct pfw_guest {
	struct pfw_link *link; /**< NULL: it has left */
	uint32_t first, n;
	char name[64]; /**< of its host */
};

struct pfw_meeting {
	struct pfw_place place;
	const struct pfw_secret *secret; /**< borrowed */
	int leads;
	struct pfw_guest *guests; /**< the lead's; a guest has one: the lead */
	uint32_t n_guests;
};

/** "rank 4", "ranks 4-5" */
void pfw_ranks_text(uint32_t first, uint32_t n, char *buf, size_t len);

/** Until all have come.  -EADDRNOTAVAIL, -ETIMEDOUT, -EACCES, -EPROTO, ... */
int pfw_meeting_open(const struct pfw_meet *how, struct pfw_meeting **out,
		     struct pfw_error *err);
/** Takes NULL.  Others see that this launcher has left. */
void pfw_meeting_close(struct pfw_meeting *meeting);
/** Takes NULL.  Before the start: tells the others why there will be none. */
void pfw_meeting_refuse(struct pfw_meeting *meeting, const char *text);
/**
 * Until all say that they start.  @p run_dir: this host's name for the run's
 * folder, which all must see, and which is there at the lead; NULL: nobody but
 * the lead writes.
 */
int pfw_meeting_start(struct pfw_meeting *meeting, const char *run_dir,
		      double timeout, struct pfw_error *err);

#endif
