#include "lane.h"

#include "complete.h"
#include "fault.h"
#include "gid.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Enough for a message of 64 bytes and its header, or for a credit. */
#define INLINE_BYTES 128u
/* Large writes are cut: a queue pair serves nobody else meanwhile. */
#define CUT_BYTES (8u << 20)
#define HOPS 255
#define RNR_TIMER 12 /* 0.64 ms */

uint32_t verbs_lane_count(const struct verbs_transport *t,
			  const struct verbs_address *peer)
{
	uint32_t rails = t->rails.n > peer->n_rails ? t->rails.n : peer->n_rails;

	return rails * t->opt.qps;
}

uint32_t verbs_lane_cut(const struct verbs_transport *t,
			const struct verbs_address *peer)
{
	uint32_t cut = CUT_BYTES;

	for (uint32_t r = 0; r < t->rails.n; r++)
		if (t->rails.rail[r].attr.max_msg_sz < cut)
			cut = t->rails.rail[r].attr.max_msg_sz;
	for (uint32_t r = 0; r < peer->n_rails; r++)
		if (peer->rail[r].max_msg < cut)
			cut = peer->rail[r].max_msg;
	return cut;
}

/* Whoever sends messages sends their work requests; the other end credits. */
static uint32_t send_depth(const struct verbs_channel *c)
{
	return c->n_slots * c->wr_most + VERBS_SPARE;
}

/* One for each slot, and a good-bye. */
static uint32_t receive_depth(const struct verbs_channel *c)
{
	return c->n_slots + 1;
}

static uint32_t lanes_of_rail(const struct verbs_channel *c, uint32_t rail)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_lanes; i++)
		n += c->lane[i].rail == rail;
	return n;
}

/* A failed queue flushes every entry: the worst case is all of them. */
static int make_cq(struct verbs_channel *c, uint32_t p, struct pfw_error *err)
{
	struct verbs_rail *rail = &c->transport->rails.rail[p];
	struct verbs_port *port = &c->port[p];
	uint64_t entries = (uint64_t)lanes_of_rail(c, p) *
			   (send_depth(c) + receive_depth(c));

	if (entries > (uint64_t)rail->device.max_cqe ||
	    send_depth(c) > (uint64_t)rail->device.max_qp_wr)
		return pfw_error_set(err, E2BIG, "a channel of %u slots of %llu bytes "
				     "needs %u send and %llu completion queue "
				     "entries, the device has %d and %d: fewer "
				     "micro-batches in flight, or fewer qps",
				     c->n_slots, (unsigned long long)c->slot_bytes,
				     send_depth(c), (unsigned long long)entries,
				     rail->device.max_qp_wr, rail->device.max_cqe);
	port->events = ibv_create_comp_channel(rail->context);
	if (!port->events || fcntl(port->events->fd, F_SETFL, O_NONBLOCK))
		return verbs_refused(rail, "a completion channel", errno, err);
	port->cq = ibv_create_cq(rail->context, (int)entries, NULL, port->events, 0);
	if (!port->cq)
		return verbs_refused(rail, "a completion queue", errno, err);
	return 0;
}

static int make_port(struct verbs_channel *c, uint32_t p, struct pfw_error *err)
{
	struct verbs_rail *rail = &c->transport->rails.rail[p];

	/* One for each channel: a key of one is of no use on another's pairs. */
	c->port[p].pd = ibv_alloc_pd(rail->context);
	if (!c->port[p].pd)
		return verbs_refused(rail, "a protection domain", errno, err);
	return make_cq(c, p, err);
}

static int to_init(struct verbs_channel *c, struct verbs_lane *l)
{
	struct ibv_qp_attr a = {
		.qp_state = IBV_QPS_INIT,
		.port_num = c->transport->rails.rail[l->rail].port,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
	};

	return ibv_modify_qp(l->qp, &a, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
				     IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

/* Without inline data where a device has none. */
static struct ibv_qp *create_qp(const struct verbs_channel *c,
				const struct verbs_lane *l, uint32_t *max_inline)
{
	const struct verbs_port *port = &c->port[l->rail];
	struct ibv_qp_init_attr a = {
		.send_cq = port->cq,
		.recv_cq = port->cq,
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = l->depth,
			.max_recv_wr = receive_depth(c),
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = INLINE_BYTES,
		},
	};
	struct ibv_qp *qp = ibv_create_qp(port->pd, &a);

	if (!qp && errno == EINVAL) {
		a.cap.max_inline_data = 0;
		qp = ibv_create_qp(port->pd, &a);
	}
	*max_inline = a.cap.max_inline_data;
	return qp;
}

static int post_receive(struct verbs_channel *c, uint32_t lane,
			uint32_t index)
{
	const struct verbs_lane *l = &c->lane[lane];
	struct ibv_recv_wr *bad, wr = { .wr_id = verbs_receive_id(lane, index) };
	struct ibv_sge sge;

	if (c->by_send) {
		sge = (struct ibv_sge){
			.addr = (uintptr_t)&c->inbox[lane * receive_depth(c) + index],
			.length = sizeof(*c->inbox),
			.lkey = c->port[l->rail].inbox->lkey,
		};
		wr.sg_list = &sge;
		wr.num_sge = 1;
	}
	return ibv_post_recv(l->qp, &wr, &bad);
}

static int make_lane(struct verbs_channel *c, uint32_t i, struct pfw_error *err)
{
	struct verbs_lane *l = &c->lane[i];
	struct verbs_rail *rail = &c->transport->rails.rail[l->rail];

	l->depth = send_depth(c);
	l->qp = create_qp(c, l, &l->max_inline);
	if (!l->qp)
		return verbs_refused(rail, "a queue pair", errno, err);
	if (getrandom(&l->psn, sizeof(l->psn), 0) != sizeof(l->psn))
		return pfw_error_set(err, EIO, "the kernel gives no random bytes");
	l->psn &= 0xffffffu;
	if (to_init(c, l))
		return verbs_refused(rail, "the state INIT", errno, err);
	for (uint32_t r = 0; r < receive_depth(c); r++)
		if (post_receive(c, i, r))
			return verbs_refused(rail, "a receive", errno, err);
	return 0;
}

int verbs_lanes_make(struct verbs_channel *c, struct pfw_error *err)
{
	int rc = 0;

	c->n_ports = c->transport->rails.n;
	for (uint32_t i = 0; i < c->n_lanes; i++)
		c->lane[i].rail = i % c->n_ports;
	for (uint32_t p = 0; !rc && p < c->n_ports; p++)
		rc = make_port(c, p, err);
	if (!rc)
		rc = verbs_memory_register(c, err);
	for (uint32_t i = 0; !rc && i < c->n_lanes; i++)
		rc = make_lane(c, i, err);
	return rc;
}

static void free_port(struct verbs_port *p)
{
	if (p->cq) {
		/* Else destroying it would wait for them for ever. */
		if (p->unacked)
			ibv_ack_cq_events(p->cq, p->unacked);
		ibv_destroy_cq(p->cq);
	}
	if (p->events)
		ibv_destroy_comp_channel(p->events);
	if (p->pd)
		ibv_dealloc_pd(p->pd);
}

void verbs_lanes_free(struct verbs_channel *c)
{
	for (uint32_t i = 0; i < c->n_lanes; i++)
		if (c->lane[i].qp)
			ibv_destroy_qp(c->lane[i].qp);
	verbs_memory_deregister(c);
	for (uint32_t p = 0; p < c->n_ports; p++)
		free_port(&c->port[p]);
}

void verbs_lanes_describe(const struct verbs_channel *c, struct verbs_hello *out)
{
	out->n_lanes = c->n_lanes;
	for (uint32_t i = 0; i < c->n_lanes; i++) {
		const struct verbs_lane *l = &c->lane[i];
		const struct verbs_rail *rail = &c->transport->rails.rail[l->rail];
		struct verbs_lane_hello *h = &out->lane[i];

		h->qpn = l->qp->qp_num;
		h->psn = l->psn;
		h->rkey = c->sending ? 0 : c->port[l->rail].slots->rkey;
		h->header_rkey = c->sending ? 0 :
			verbs_header_mr(c, &c->port[l->rail])->rkey;
		h->page_rkey = c->port[l->rail].page->rkey;
		h->mtu = rail->attr.active_mtu;
		h->lid = rail->attr.lid;
		h->link_layer = rail->attr.link_layer;
		h->port = rail->port;
		memcpy(h->gid, rail->gids[l->gid].gid.raw, sizeof(h->gid));
		snprintf(h->device, sizeof(h->device), "%.31s",
			 ibv_get_device_name(rail->context->device));
	}
}

/* The peer's usable addresses on one of its rails. */
static uint32_t peer_gids(const struct verbs_address *peer, uint32_t r,
			  struct verbs_gid *out)
{
	for (uint32_t g = 0; g < peer->rail[r].n_gids; g++) {
		out[g].type = peer->rail[r].type[g];
		memcpy(out[g].gid.raw, peer->rail[r].gid[g], 16);
	}
	return peer->rail[r].n_gids;
}

int verbs_lanes_route(struct verbs_channel *c, const struct verbs_address *peer,
		      struct verbs_hello *hello, struct pfw_error *err)
{
	for (uint32_t i = 0; i < c->n_lanes; i++) {
		struct verbs_lane *l = &c->lane[i];
		const struct verbs_rail *rail = &c->transport->rails.rail[l->rail];
		struct verbs_gid theirs[VERBS_GIDS];
		uint32_t r = i % peer->n_rails, n = peer_gids(peer, r, theirs), b;
		char name[80];

		if (peer->rail[r].link_layer != rail->attr.link_layer ||
		    !verbs_gids_match(rail->gids, rail->n_gids, theirs, n, &l->gid,
				      &b))
			return pfw_error_set(err, EHOSTUNREACH, "%s of rank %u and "
				"rail %u of rank %u have no addresses of one kind "
				"(InfiniBand, RoCE v2 over IPv4 or IPv6): see "
				"ibv_devinfo -v on both hosts, and set rails or "
				"gid_index", verbs_rail_name(rail, name, sizeof(name)),
				c->from, r, c->to);
		memcpy(hello->lane[i].gid, rail->gids[l->gid].gid.raw, 16);
		memcpy(hello->lane[i].peer_gid, theirs[b].gid.raw, 16);
	}
	return 0;
}

int verbs_lanes_accept(struct verbs_channel *c, const struct verbs_hello *peer,
		       struct pfw_error *err)
{
	for (uint32_t i = 0; i < c->n_lanes; i++) {
		struct verbs_lane *l = &c->lane[i];
		const struct verbs_rail *rail = &c->transport->rails.rail[l->rail];

		for (l->gid = 0; l->gid < rail->n_gids; l->gid++)
			if (!memcmp(rail->gids[l->gid].gid.raw,
				    peer->lane[i].peer_gid, 16))
				break;
		if (l->gid == rail->n_gids)
			return pfw_error_set(err, EHOSTUNREACH, "rank %u calls rank "
					     "%u by an address that it has not",
					     peer->from, peer->to);
	}
	return 0;
}

static struct ibv_ah_attr path(const struct verbs_channel *c,
			       const struct verbs_lane *l,
			       const struct verbs_lane_hello *peer)
{
	const struct verbs_options *o = &c->transport->opt;
	const struct verbs_rail *rail = &c->transport->rails.rail[l->rail];
	struct ibv_ah_attr ah = {
		.port_num = rail->port,
		.sl = o->sl,
		.dlid = peer->lid,
	};

	/* InfiniBand within a subnet goes by LID. */
	if (rail->attr.link_layer == IBV_LINK_LAYER_INFINIBAND &&
	    !memcmp(peer->gid, rail->gids[l->gid].gid.raw, 8) &&
	    !(rail->attr.flags & IBV_QPF_GRH_REQUIRED) && o->gid_index < 0)
		return ah;
	ah.is_global = 1;
	memcpy(ah.grh.dgid.raw, peer->gid, sizeof(peer->gid));
	ah.grh.sgid_index = (uint8_t)rail->gids[l->gid].index;
	ah.grh.hop_limit = HOPS;
	ah.grh.traffic_class = o->traffic_class;
	return ah;
}

static int to_rtr(const struct verbs_channel *c, struct verbs_lane *l,
		  const struct verbs_lane_hello *peer)
{
	const struct verbs_rail *rail = &c->transport->rails.rail[l->rail];
	struct ibv_qp_attr a = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = rail->attr.active_mtu < (enum ibv_mtu)peer->mtu ?
				    rail->attr.active_mtu : (enum ibv_mtu)peer->mtu,
		.dest_qp_num = peer->qpn,
		.rq_psn = peer->psn & 0xffffffu,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = RNR_TIMER,
		.ah_attr = path(c, l, peer),
	};

	return ibv_modify_qp(l->qp, &a, IBV_QP_STATE | IBV_QP_AV |
			     IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			     IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

static int to_rts(const struct verbs_channel *c, struct verbs_lane *l)
{
	const struct verbs_options *o = &c->transport->opt;
	struct ibv_qp_attr a = {
		.qp_state = IBV_QPS_RTS,
		.timeout = o->timeout,
		.retry_cnt = o->retry_cnt,
		.rnr_retry = o->rnr_retry,
		.sq_psn = l->psn,
		.max_rd_atomic = 1,
	};

	return ibv_modify_qp(l->qp, &a, IBV_QP_STATE | IBV_QP_TIMEOUT |
			     IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			     IBV_QP_MAX_QP_RD_ATOMIC);
}

int verbs_lanes_connect(struct verbs_channel *c, struct pfw_error *err)
{
	for (uint32_t i = 0; i < c->n_lanes; i++) {
		struct verbs_lane *l = &c->lane[i];
		const struct verbs_lane_hello *peer = &c->peer.lane[i];
		int code = to_rtr(c, l, peer);

		if (!code)
			code = to_rts(c, l);
		if (code)
			return verbs_unreachable(c, i, code, err);
	}
	return 0;
}

void verbs_lane_again(struct verbs_channel *c, uint32_t lane, uint32_t index)
{
	int code = post_receive(c, lane, index);

	if (code)
		verbs_cannot_post(c, "a receive", code);
}
