#include "gid.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANY_PORT 4791 /* RoCE v2's; nothing is sent */

static bool is_zero(const union ibv_gid *gid)
{
	static const union ibv_gid zero;

	return !memcmp(gid, &zero, sizeof(zero));
}

static struct in6_addr ip_of(const union ibv_gid *gid)
{
	struct in6_addr a;

	memcpy(&a, gid->raw, sizeof(a));
	return a;
}

/* Smaller is better: RoCE v2 with IPv4, IPv6, link-local IPv6; others. */
static int merit(const struct verbs_gid *g)
{
	struct in6_addr a = ip_of(&g->gid);

	if (g->type == IBV_GID_TYPE_ROCE_V2)
		return IN6_IS_ADDR_V4MAPPED(&a) ? 0 :
		       IN6_IS_ADDR_LINKLOCAL(&a) ? 2 : 1;
	return g->type == IBV_GID_TYPE_IB ? 0 : 3;
}

/* Kept in order of merit, then of the table. */
static void add(struct verbs_rail *r, const struct verbs_gid *g)
{
	uint32_t at = r->n_gids;

	while (at && merit(&r->gids[at - 1]) > merit(g))
		at--;
	if (at == VERBS_GIDS)
		return;
	if (r->n_gids < VERBS_GIDS)
		r->n_gids++;
	memmove(&r->gids[at + 1], &r->gids[at],
		(r->n_gids - 1 - at) * sizeof(r->gids[0]));
	r->gids[at] = *g;
}

int verbs_gids_find(struct verbs_rail *r, int index)
{
	size_t rows_a_port = r->attr.gid_tbl_len > 0 ? (size_t)r->attr.gid_tbl_len : 0;
	size_t most = rows_a_port * r->device.phys_port_cnt + 1;
	struct ibv_gid_entry *rows = calloc(most, sizeof(*rows));
	ssize_t n;

	if (!rows)
		return -ENOMEM;
	n = ibv_query_gid_table(r->context, rows, most, 0);
	for (ssize_t i = 0; i < n; i++) {
		struct verbs_gid g = {
			.gid = rows[i].gid,
			.index = rows[i].gid_index,
			.type = rows[i].gid_type,
		};

		if (rows[i].port_num != r->port || is_zero(&g.gid))
			continue;
		if (index < 0 || g.index == (uint32_t)index)
			add(r, &g);
	}
	free(rows);
	return r->n_gids ? 0 : -EADDRNOTAVAIL;
}

bool verbs_gid_ip(const union ibv_gid *gid, struct in6_addr *out)
{
	struct in6_addr a = ip_of(gid);

	if (IN6_IS_ADDR_LINKLOCAL(&a) || IN6_IS_ADDR_UNSPECIFIED(&a))
		return false;
	*out = a;
	return true;
}

/* The address that the kernel would send from. */
static bool route_source(const struct in6_addr *to, struct in6_addr *from)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = *to,
				  .sin6_port = htons(ANY_PORT) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	bool ok;

	if (fd < 0)
		return false;
	ok = !connect(fd, (struct sockaddr *)&a, sizeof(a)) &&
	     !getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	if (ok)
		*from = a.sin6_addr;
	return ok;
}

/* Same kind: IPv4 to IPv4, global to global, link-local to link-local. */
static bool alike(const struct verbs_gid *a, const struct verbs_gid *b)
{
	return a->type == b->type && merit(a) == merit(b);
}

static bool same_subnet(const struct verbs_gid *a, const struct verbs_gid *b)
{
	struct in6_addr ip = ip_of(&a->gid);
	size_t bytes = IN6_IS_ADDR_V4MAPPED(&ip) ? 15 : 8; /* /24, /64 */

	return !memcmp(a->gid.raw, b->gid.raw, bytes);
}

static bool routed(const struct verbs_gid *a, const struct verbs_gid *b)
{
	struct in6_addr to, from, own = ip_of(&a->gid);

	return a->type == IBV_GID_TYPE_ROCE_V2 && verbs_gid_ip(&b->gid, &to) &&
	       route_source(&to, &from) && !memcmp(&from, &own, sizeof(own));
}

bool verbs_gids_match(const struct verbs_gid *own, uint32_t n_own,
		      const struct verbs_gid *peer, uint32_t n_peer,
		      uint32_t *a, uint32_t *b)
{
	static bool (*const tests[])(const struct verbs_gid *,
				     const struct verbs_gid *) = {
		routed, same_subnet, alike
	};

	for (size_t t = 0; t < sizeof(tests) / sizeof(tests[0]); t++)
		for (uint32_t i = 0; i < n_own; i++)
			for (uint32_t j = 0; j < n_peer; j++)
				if (alike(&own[i], &peer[j]) &&
				    tests[t](&own[i], &peer[j])) {
					*a = i;
					*b = j;
					return true;
				}
	return false;
}

const char *verbs_gid_text(const union ibv_gid *gid, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr a = ip_of(gid);

	if (IN6_IS_ADDR_V4MAPPED(&a))
		inet_ntop(AF_INET, &gid->raw[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, gid->raw, out, INET6_ADDRSTRLEN);
	return out;
}
