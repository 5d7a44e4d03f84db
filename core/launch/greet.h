/*
 * greet.h: two launchers prove to each other that they know the secret.
 *
 *    guest  -- "pipefw-boot-0001", nonce -->  lead
 *           <-- "pipefw-boot-0001", nonce --
 *           -- HMAC(secret, "guest", nonces) -->
 *           <-- HMAC(secret, "lead", nonces) --   or REFUSED
 *
 * Either nonce is fresh, the roles are part of what is signed, and the guest
 * proves first: a stranger learns nothing.  From the same nonces follow the keys
 * of the link, one for each direction.
 */
#ifndef PFW_CORE_GREET_H
#define PFW_CORE_GREET_H

#include <pipefw/mac.h>

#include "launch/link.h"
#include "launch/secret.h"

#define PFW_GREET_HELLO 48u /**< bytes: the magic words and a nonce */

struct pfw_greeting {
	const struct pfw_secret *secret;
	int fd;     /**< non-blocking; borrowed */
	int lead;   /**< this is the side that was called */
	int proving; /**< hellos are exchanged */
	uint8_t nonce[2][32]; /**< guest's, lead's */
	uint8_t in[PFW_GREET_HELLO];
	size_t have;
};

/** A guest says hello at once. */
int pfw_greet_begin(struct pfw_greeting *g, int fd, int lead,
		    const struct pfw_secret *secret, struct pfw_error *err);
/** 0: the other side knows the secret; -EAGAIN: poll for input; -EACCES: it
 *  knows another; -EPROTO: it speaks otherwise; -EPIPE: it went away. */
int pfw_greet_go_on(struct pfw_greeting *g, struct pfw_error *err);
/** After 0: the link over the same socket, which is the link's now. */
int pfw_greet_link(const struct pfw_greeting *g, struct pfw_link **out,
		   struct pfw_error *err);

#endif
