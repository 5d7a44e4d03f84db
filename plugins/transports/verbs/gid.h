/*
 * gid.h: which of a port's addresses reaches which of a peer's.
 */
#ifndef VERBS_GID_H
#define VERBS_GID_H

#include "device.h"

#include <netinet/in.h>

/** Fills r->gids, the best first; row @p index alone if it is not -1. */
int verbs_gids_find(struct verbs_rail *r, int index);

/** Is it an IP address (of RoCE v2)?  It in *out, IPv4 in its IPv6 form. */
bool verbs_gid_ip(const union ibv_gid *gid, struct in6_addr *out);

/**
 * The pair of addresses for a connection: first what the routing table says,
 * then a common subnet, then the best of the same kind.  false: none.
 */
bool verbs_gids_match(const struct verbs_gid *own, uint32_t n_own,
		      const struct verbs_gid *peer, uint32_t n_peer,
		      uint32_t *a, uint32_t *b);

/** As ibv_devinfo prints it, IPv4 as such. */
const char *verbs_gid_text(const union ibv_gid *gid, char out[INET6_ADDRSTRLEN]);

#endif
