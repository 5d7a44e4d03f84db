/* The stand-in's queue pairs, and the wire between them. */
#include "fake_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_QPS 256u

struct receive {
	uint64_t wr_id;
	struct ibv_sge sge;
};

struct fake_qp {
	struct ibv_qp qp;
	uint32_t peer, max_inline, sq_psn, rq_psn;
	unsigned access; /* of the peer, to memory registered for it */
	struct receive *ring;
	unsigned first, n, most;
};

/* One work request on its way. */
struct op {
	struct op *next;
	struct fake_qp *from;
	struct ibv_send_wr wr;
	uint32_t len;
	unsigned char *data;
};

/* A completion that waits. */
struct late {
	struct late *next;
	struct fake_cq *cq;
	struct ibv_wc wc;
};

static struct fake_qp *qps[MAX_QPS];
static struct op *wire;
static struct late *late;

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *a)
{
	struct fake_qp *qp = fake_make(sizeof(*qp));
	uint32_t n = 1;

	FAKE_LOCKED;
	while (qps[n])
		n++;
	qps[n] = qp;
	qp->qp.context = pd->context;
	qp->qp.pd = pd;
	qp->qp.qp_num = n;
	qp->qp.send_cq = a->send_cq;
	qp->qp.recv_cq = a->recv_cq;
	qp->most = a->cap.max_recv_wr;
	qp->max_inline = a->cap.max_inline_data = fake.no_inline ? 0 : 128;
	qp->ring = calloc(qp->most, sizeof(*qp->ring));
	return &qp->qp;
}

/* All that is asked of it is what the device can do. */
struct ibv_qp *fake_create_qp_ex(struct ibv_context *c,
				 struct ibv_qp_init_attr_ex *a)
{
	struct ibv_qp_init_attr plain = { .send_cq = a->send_cq,
					  .recv_cq = a->recv_cq, .cap = a->cap };

	errno = EOPNOTSUPP;
	if (fake.no_list || (fake.no_immediate & 1u << fake_number(c) &&
			     a->send_ops_flags & IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM))
		return NULL;
	return ibv_create_qp(a->pd, &plain);
}

int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *a, int mask)
{
	struct fake_qp *f = (struct fake_qp *)qp;

	FAKE_LOCKED;
	if (mask & IBV_QP_DEST_QPN)
		f->peer = a->dest_qp_num;
	if (mask & IBV_QP_ACCESS_FLAGS)
		fake_allow(f->access = a->qp_access_flags);
	if (mask & IBV_QP_AV)
		fake.path = a->ah_attr;
	if (mask & IBV_QP_PATH_MTU)
		fake.path_mtu = a->path_mtu;
	if (mask & IBV_QP_RQ_PSN)
		f->rq_psn = a->rq_psn;
	if (mask & IBV_QP_SQ_PSN) {
		fake.psn_again += a->sq_psn == fake.psn;
		f->sq_psn = fake.psn = a->sq_psn;
	}
	return 0;
}

int ibv_destroy_qp(struct ibv_qp *qp)
{
	struct fake_qp *f = (struct fake_qp *)qp;
	struct op **at = &wire, *o;
	struct late **l = &late, *k;

	FAKE_LOCKED;
	while ((o = *at))
		if (o->from == f) {
			*at = o->next;
			free(o->data);
			free(o);
		} else {
			at = &o->next;
		}
	while ((k = *l))
		if (k->cq == (struct fake_cq *)qp->send_cq) {
			*l = k->next;
			free(k);
		} else {
			l = &k->next;
		}
	qps[qp->qp_num] = NULL;
	free(f->ring);
	return fake_drop(f);
}

int fake_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
		     struct ibv_recv_wr **bad)
{
	struct fake_qp *f = (struct fake_qp *)qp;
	struct receive *r;

	FAKE_LOCKED;
	r = &f->ring[(f->first + f->n) % f->most];
	if (f->n == f->most) {
		*bad = wr;
		return ENOMEM;
	}
	*r = (struct receive){ .wr_id = wr->wr_id };
	if (wr->num_sge)
		r->sge = *wr->sg_list;
	f->n++;
	return 0;
}

static void sent(const struct op *o, enum ibv_wc_status status)
{
	struct ibv_wc wc = { .wr_id = o->wr.wr_id, .status = status,
			     .qp_num = o->from->qp.qp_num };
	struct fake_cq *cq = (struct fake_cq *)o->from->qp.send_cq;
	struct late *l, **at = &late;

	if (!status && !(o->wr.send_flags & IBV_SEND_SIGNALED))
		return;
	if (!fake.hold_sent) {
		fake_push(cq, &wc);
		return;
	}
	l = calloc(1, sizeof(*l));
	*l = (struct late){ .cq = cq, .wc = wc };
	while (*at)
		at = &(*at)->next;
	*at = l;
}

void fake_complete(void)
{
	struct late *l;

	while ((l = late)) {
		late = l->next;
		fake_push(l->cq, &l->wc);
		free(l);
	}
}

/* What takes a receive of the peer's. */
static enum ibv_wc_status receive(const struct op *o, struct fake_qp *peer)
{
	struct ibv_wc wc = { .qp_num = peer->qp.qp_num, .byte_len = o->len };
	struct receive *r = &peer->ring[peer->first];

	if (fake.not_ready || !peer->n)
		return IBV_WC_RNR_RETRY_EXC_ERR;
	peer->first = (peer->first + 1) % peer->most;
	peer->n--;
	wc.wr_id = r->wr_id;
	if (o->wr.opcode != IBV_WR_SEND) {
		wc.wc_flags = IBV_WC_WITH_IMM;
		wc.imm_data = o->wr.imm_data ^ htonl(fake.xor_imm);
	}
	if (o->wr.opcode == IBV_WR_SEND && o->len)
		memcpy((void *)(uintptr_t)r->sge.addr, o->data, o->len);
	fake_push((struct fake_cq *)peer->qp.recv_cq, &wc);
	return IBV_WC_SUCCESS;
}

/* What is sent: inline data is read by the process itself. */
static const void *source(const struct ibv_send_wr *wr)
{
	const struct ibv_sge *sge = wr->sg_list;

	if (wr->send_flags & IBV_SEND_INLINE)
		return (const void *)(uintptr_t)sge->addr;
	return fake_at(sge->lkey, sge->addr, sge->length, 0);
}

static bool is_write(const struct op *o)
{
	return o->wr.opcode == IBV_WR_RDMA_WRITE ||
	       o->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

/* The words that the other end looks at arrive whole, and behind what went before
 * them. */
static void land(void *to, const struct op *o)
{
	uint64_t word;

	if (o->len == sizeof(word) && (uintptr_t)to % sizeof(word) == 0) {
		memcpy(&word, o->data, sizeof(word));
		__atomic_store_n((uint64_t *)to, word, __ATOMIC_RELEASE);
	} else {
		memcpy(to, o->data, o->len);
	}
}

static void arrive(struct op *o)
{
	struct fake_qp *peer = qps[o->from->peer];
	enum ibv_wc_status status = fake.status;
	void *to = is_write(o) ? fake_at(o->wr.wr.rdma.rkey,
					 o->wr.wr.rdma.remote_addr, o->len,
					 IBV_ACCESS_REMOTE_WRITE) : NULL;

	fake.status = 0;
	if (!status && (!peer || o->from->sq_psn != peer->rq_psn))
		status = IBV_WC_RETRY_EXC_ERR;
	if (o->len > fake.longest)
		fake.longest = o->len;
	fake.immediates += o->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	fake.told += o->wr.opcode == IBV_WR_SEND ||
		     o->wr.opcode == IBV_WR_SEND_WITH_IMM;
	if (o->wr.opcode == IBV_WR_RDMA_WRITE && o->len == sizeof(fake.xor_word))
		for (uint32_t i = 0; i < o->len; i++)
			o->data[i] ^= (unsigned char)(fake.xor_word >> 8 * i);
	if (!status && is_write(o) &&
	    (!to || !(peer->access & IBV_ACCESS_REMOTE_WRITE)))
		status = IBV_WC_REM_ACCESS_ERR;
	if (!status && is_write(o))
		land(to, o);
	if (!status && o->wr.opcode != IBV_WR_RDMA_WRITE)
		status = receive(o, peer);
	sent(o, status);
	free(o->data);
	free(o);
}

int fake_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
		     struct ibv_send_wr **bad)
{
	struct fake_qp *f = (struct fake_qp *)qp;
	struct op **at = &wire;

	FAKE_LOCKED;
	for (; wr; wr = wr->next) {
		const void *from;
		struct op *o;

		*bad = wr;
		if (!fake.sends_left)
			return ENOMEM;
		if (wr->send_flags & IBV_SEND_INLINE &&
		    (!wr->num_sge || wr->sg_list->length > f->max_inline))
			return EINVAL;
		from = wr->num_sge ? source(wr) : NULL;
		if (wr->num_sge && !from)
			return EINVAL;
		fake.sends_left--;
		o = calloc(1, sizeof(*o));
		o->from = f;
		o->wr = *wr;
		if (wr->num_sge) {
			o->len = wr->sg_list->length;
			o->data = malloc(o->len + 1);
			memcpy(o->data, from, o->len);
		}
		if (!fake.hold_wire) {
			arrive(o);
			continue;
		}
		while (*at)
			at = &(*at)->next;
		*at = o;
	}
	return 0;
}

void fake_deliver(void)
{
	while (wire) {
		struct op **at = &wire, *o;
		struct fake_qp *last = NULL;

		for (o = wire; o; o = o->next)
			last = o->from;
		while ((o = *at))
			if (o->from == last) {
				*at = o->next;
				arrive(o);
			} else {
				at = &o->next;
			}
	}
}
