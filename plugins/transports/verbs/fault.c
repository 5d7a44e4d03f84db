#include "fault.h"

#include "complete.h"
#include "gid.h"
#include "lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "rank 1 on nodeb", or "rank 1". */
static const char *who(uint32_t rank, const char *host, char out[80])
{
	snprintf(out, 80, "rank %u%s%s", rank, *host ? " on " : "", host);
	return out;
}

/* "activation channel 0 -> 1, message 5, between rank 0 on nodea, rxe0 port 1 gid 1
 * (10.0.0.1) qp 17, and rank 1 on nodeb, ...". */
static void both_ends(const struct verbs_channel *c, uint32_t lane, char *out,
		      size_t len)
{
	const struct verbs_lane *l = &c->lane[lane];
	const struct verbs_rail *rail = &c->transport->rails.rail[l->rail];
	const struct verbs_lane_hello *peer = &c->peer.lane[lane];
	const struct verbs_listener *self = &c->transport->listener;
	char own[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN], name[80];
	char we[80], they[80];
	union ibv_gid gid;

	memcpy(gid.raw, peer->gid, sizeof(gid.raw));
	snprintf(out, len, "%s channel %u -> %u, message %llu, between %s, %s gid %u "
		 "(%s) qp %u, and %s, process %d, %s port %u (%s) qp %u",
		 pfw_channel_kind_name(c->kind), c->from, c->to,
		 (unsigned long long)c->next, who(self->rank, self->host, we),
		 verbs_rail_name(rail, name, sizeof(name)),
		 rail->gids[l->gid].index,
		 verbs_gid_text(&rail->gids[l->gid].gid, own),
		 l->qp ? l->qp->qp_num : 0,
		 who(verbs_peer_rank(c), c->peer.host, they), c->peer.pid,
		 peer->device, peer->port, verbs_gid_text(&gid, other), peer->qpn);
}

int verbs_refused(const struct verbs_rail *rail, const char *what, int code,
		  struct pfw_error *err)
{
	char name[80];

	code = code ? code : EIO;
	return pfw_error_set(err, code, "%s gives no %s (%s)%s",
			     verbs_rail_name(rail, name, sizeof(name)),
			     strncmp(what, "a ", 2) ? what : what + 2, strerror(code),
			     code == ENOMEM ? ": queues count as locked memory, see "
					      "ulimit -l; else fewer channels, or qps" :
					      "");
}

int verbs_no_registration(const struct verbs_channel *c,
			  const struct verbs_rail *rail, int code,
			  struct pfw_error *err)
{
	char name[80], most[64] = "sets no limit";
	uint64_t limit = verbs_lock_limit();

	if (limit != UINT64_MAX)
		snprintf(most, sizeof(most), "is %llu KiB",
			 (unsigned long long)limit >> 10);
	code = code ? code : EIO;
	return pfw_error_set(err, code, "%s does not register %llu KiB for slots of the "
		"%s channel %u -> %u (%s); %llu KiB are registered, ulimit -l %s%s",
		verbs_rail_name(rail, name, sizeof(name)),
		(unsigned long long)c->memory_bytes >> 10,
		pfw_channel_kind_name(c->kind), c->from, c->to, strerror(code),
		(unsigned long long)c->transport->registered >> 10, most,
		code == ENOMEM || code == EPERM ? ": " VERBS_RAISE_LOCK : "");
}

int verbs_unreachable(const struct verbs_channel *c, uint32_t lane, int code,
		      struct pfw_error *err)
{
	const char *hint = "";
	char ends[512];

	if (code == ETIMEDOUT || code == EHOSTUNREACH || code == ENETUNREACH)
		hint = ": the address of the other end does not answer: wrong rail, "
		       "subnet or cable? (ping -I INTERFACE ADDRESS, ip neigh)";
	else if (code == EINVAL || code == ENODATA)
		hint = ": is the GID of the right kind, the port up and the MTU the "
		       "network's? (ibv_devinfo -v; gid_index sets it)";
	both_ends(c, lane, ends, sizeof(ends));
	return pfw_error_set(err, code, "the queue pairs cannot be joined (%s): %s%s",
			     strerror(code), ends, hint);
}

static const char *hint(const struct verbs_channel *c, enum ibv_wc_status status,
			char *out, size_t len)
{
	const struct verbs_options *o = &c->transport->opt;

	switch (status) {
	case IBV_WC_RETRY_EXC_ERR:
		snprintf(out, len, "no answer for %.1f s, or packets lost %u times in a "
			 "row (timeout %u, retry_cnt %u): is the link up, does the "
			 "fabric lose packets (PFC, ECN), is it the right GID and MTU? "
			 "ping -I, ib_write_bw -x between the two; a larger timeout",
			 verbs_give_up_s(o), o->retry_cnt + 1u, o->timeout,
			 o->retry_cnt);
		break;
	case IBV_WC_RNR_RETRY_EXC_ERR:
		snprintf(out, len, "the other end had no receive posted: a fault of "
			 "pipefw");
		break;
	case IBV_WC_REM_ACCESS_ERR:
		snprintf(out, len, "the other end's slots are not where they were: it "
			 "has closed the channel, or runs another build");
		break;
	case IBV_WC_LOC_PROT_ERR:
		snprintf(out, len, "the device may not read the slots: PCIe ACS or an "
			 "IOMMU that is not in passthrough mode?");
		break;
	case IBV_WC_LOC_QP_OP_ERR:
		snprintf(out, len, "the device cannot send: is the link up, has its "
			 "address changed? (rdma link, ip address)");
		break;
	case IBV_WC_REM_OP_ERR:
		snprintf(out, len, "the other end's device could not do it: its dmesg "
			 "may say why");
		break;
	case IBV_WC_WR_FLUSH_ERR:
		snprintf(out, len, "the queue pair was stopped from outside");
		break;
	default:
		snprintf(out, len, "dmesg on both hosts may say why");
	}
	return out;
}

int verbs_gone(const struct verbs_channel *c, struct pfw_error *err)
{
	char ends[512], they[80];

	both_ends(c, 0, ends, sizeof(ends));
	return pfw_error_set(err, EPIPE, "%s %s: %s: what it said last, or dmesg there, "
			     "may say why",
			     who(verbs_peer_rank(c), c->peer.host, they),
			     c->bye ? "has closed the channel" : "is gone", ends);
}

int verbs_watch(const struct verbs_channel *c, uint32_t rail, struct pfw_error *err)
{
	struct pfw_error why = { 0 };
	char ends[512];

	if (!verbs_rail_watch(&c->transport->rails.rail[rail], &why))
		return 0;
	/* The first lane of a rail has its number. */
	both_ends(c, rail, ends, sizeof(ends));
	return pfw_error_set(err, why.code, "%s: %s", why.text, ends);
}

void verbs_broke(struct verbs_channel *c, const struct ibv_wc *wc)
{
	uint32_t lane = verbs_id_lane(wc->wr_id);
	char ends[512], text[320];

	/* An end that has said good-bye answers no more. */
	if (c->broken.code || c->bye)
		return;
	if (!verbs_alive(c->call.socket)) {
		verbs_gone(c, &c->broken);
		return;
	}
	both_ends(c, lane < c->n_lanes ? lane : 0, ends, sizeof(ends));
	pfw_error_set(&c->broken, ECOMM, "%s: %s (status %d, vendor %#x): %s", ends,
		      ibv_wc_status_str(wc->status), (int)wc->status, wc->vendor_err,
		      hint(c, wc->status, text, sizeof(text)));
}

void verbs_cannot_post(struct verbs_channel *c, const char *what, int code)
{
	char ends[512];

	if (c->broken.code)
		return;
	both_ends(c, 0, ends, sizeof(ends));
	pfw_error_set(&c->broken, ECOMM, "%s: %s cannot be posted (%s)%s", ends, what,
		      strerror(code), code == ENOMEM ?
		      ": the send queue is full, which the plan's depth excludes" : "");
}

void verbs_nonsense(struct verbs_channel *c, const char *what, uint32_t tag)
{
	char ends[512];

	if (c->broken.code)
		return;
	both_ends(c, 0, ends, sizeof(ends));
	pfw_error_set(&c->broken, EPROTO, "%s: %s (tag %#x) that cannot be: the two run "
		      "different builds, or somebody else writes here", ends, what,
		      tag);
}
