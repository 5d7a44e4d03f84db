/* libibverbs without a device: see fake_verbs.h. */
#include "fake_verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#undef ibv_query_port
#undef ibv_reg_mr

#define DEVICES 2u
#define MAX_QPS 256u
#define MAX_MRS 256u

struct receive {
	uint64_t wr_id;
	struct ibv_sge sge;
};

struct fake_cq {
	struct ibv_cq cq;
	struct ibv_wc *ring;
	unsigned first, n;
	bool armed;
	unsigned events; /* taken and not acknowledged */
};

struct fake_channel {
	struct ibv_comp_channel channel;
	struct fake_cq *cq;
};

struct fake_qp {
	struct ibv_qp qp;
	uint32_t peer, max_inline, sq_psn, rq_psn;
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

struct fake_verbs fake;
static struct ibv_device devices[DEVICES] = { { .name = "fake0" },
					      { .name = "fake1" } };
static struct ibv_context *contexts[DEVICES]; /* the one opened last */
static int events[DEVICES]; /* 1 + enum ibv_event_type; 0: none */
static struct fake_qp *qps[MAX_QPS];
static struct ibv_mr *mrs[MAX_MRS];
static struct op *wire;
static struct late *late;
static unsigned alive;

static void *make(size_t size)
{
	void *p = calloc(1, size);

	alive += p != NULL;
	return p;
}

static int drop(void *p)
{
	alive--;
	free(p);
	return 0;
}

unsigned fake_alive(void)
{
	return alive;
}

void fake_reset(void)
{
	fake = (struct fake_verbs){ .registrations_left = ~0u, .sends_left = ~0u,
				    .cq_room = ~0u, .mtu = IBV_MTU_4096,
				    .max_msg = 1u << 20 };
	events[0] = events[1] = 0;
}

/* ---- devices ------------------------------------------------------------ */

struct ibv_device **ibv_get_device_list(int *n)
{
	struct ibv_device **list = calloc(DEVICES + 1, sizeof(*list));

	for (unsigned i = 0; list && i < DEVICES; i++)
		list[i] = &devices[i];
	*n = DEVICES;
	return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
	free(list);
}

const char *ibv_get_device_name(struct ibv_device *device)
{
	return device->name;
}

static int poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *out);
static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
		     struct ibv_send_wr **bad);
static int post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
		     struct ibv_recv_wr **bad);
static int notify(struct ibv_cq *cq, int solicited);

struct ibv_context *ibv_open_device(struct ibv_device *device)
{
	struct ibv_context *c = make(sizeof(*c));

	c->device = device;
	c->async_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	c->ops.poll_cq = poll_cq;
	c->ops.post_send = post_send;
	c->ops.post_recv = post_recv;
	c->ops.req_notify_cq = notify;
	contexts[device - devices] = c;
	return c;
}

int ibv_close_device(struct ibv_context *c)
{
	close(c->async_fd);
	return drop(c);
}

int ibv_query_device(struct ibv_context *c, struct ibv_device_attr *out)
{
	(void)c;
	*out = (struct ibv_device_attr){ .phys_port_cnt = 1, .max_qp_wr = 4096,
					 .max_cqe = 16384 };
	return 0;
}

int ibv_query_port(struct ibv_context *c, uint8_t port,
		   struct _compat_ibv_port_attr *out)
{
	struct ibv_port_attr attr = {
		.state = IBV_PORT_ACTIVE, .active_mtu = fake.mtu,
		.gid_tbl_len = 4, .max_msg_sz = fake.max_msg,
		.link_layer = IBV_LINK_LAYER_ETHERNET,
	};

	(void)c;
	memcpy(out, &attr, sizeof(attr));
	return port == 1 ? 0 : EINVAL;
}

ssize_t _ibv_query_gid_table(struct ibv_context *c, struct ibv_gid_entry *rows,
			     size_t most, uint32_t flags, size_t size)
{
	(void)flags;
	(void)size;
	if (most < 2)
		return -EINVAL;
	memset(rows, 0, 2 * sizeof(*rows));
	for (uint32_t i = 0; i < 2; i++) {
		rows[i].gid_index = i;
		rows[i].port_num = 1;
		rows[i].gid_type = IBV_GID_TYPE_ROCE_V2;
	}
	/* fe80::, then 127.0.0.1 or .2 */
	rows[0].gid.raw[0] = 0xfe;
	rows[0].gid.raw[1] = 0x80;
	memset(&rows[1].gid.raw[10], 0xff, 2);
	rows[1].gid.raw[12] = 127;
	rows[1].gid.raw[15] = (uint8_t)(1 + (c->device - devices));
	return 2;
}

void fake_event(unsigned device, enum ibv_event_type type)
{
	events[device] = 1 + (int)type;
}

int ibv_get_async_event(struct ibv_context *c, struct ibv_async_event *out)
{
	int *e = &events[c->device - devices];

	if (!*e) {
		errno = EAGAIN;
		return -1;
	}
	*out = (struct ibv_async_event){
		.event_type = (enum ibv_event_type)(*e - 1)
	};
	out->element.port_num = 1;
	*e = 0;
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
}

const char *ibv_event_type_str(enum ibv_event_type type)
{
	return type == IBV_EVENT_CQ_ERR ? "CQ error" : "an event";
}

const char *ibv_wc_status_str(enum ibv_wc_status status)
{
	(void)status;
	return "status";
}

/* ---- memory ------------------------------------------------------------- */

struct ibv_pd *ibv_alloc_pd(struct ibv_context *c)
{
	struct ibv_pd *pd = make(sizeof(*pd));

	pd->context = c;
	return pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
	return drop(pd);
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	struct ibv_mr *mr;
	uint32_t n = 1;

	(void)access;
	errno = ENOMEM;
	if (!fake.registrations_left)
		return NULL;
	fake.registrations_left--;
	mr = make(sizeof(*mr));
	mr->pd = pd;
	mr->addr = addr;
	mr->length = len;
	while (mrs[n])
		n++;
	mrs[n] = mr;
	mr->lkey = mr->rkey = n;
	return mr;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t len,
				uint64_t iova, unsigned int access)
{
	(void)iova;
	return ibv_reg_mr(pd, addr, len, (int)access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	mrs[mr->lkey] = NULL;
	return drop(mr);
}

/* ---- completions -------------------------------------------------------- */

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *c)
{
	struct fake_channel *f = make(sizeof(*f));

	f->channel.context = c;
	f->channel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return &f->channel;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	close(channel->fd);
	return drop(channel);
}

struct ibv_cq *ibv_create_cq(struct ibv_context *c, int cqe, void *context,
			     struct ibv_comp_channel *channel, int vector)
{
	struct fake_cq *cq = make(sizeof(*cq));

	(void)vector;
	cq->cq.context = c;
	cq->cq.channel = channel;
	cq->cq.cq_context = context;
	cq->cq.cqe = cqe;
	cq->ring = calloc((size_t)cqe, sizeof(*cq->ring));
	((struct fake_channel *)channel)->cq = cq;
	return &cq->cq;
}

int ibv_destroy_cq(struct ibv_cq *cq)
{
	struct fake_cq *f = (struct fake_cq *)cq;

	/* Events without an acknowledgement would block it for ever. */
	if (f->events)
		abort();
	free(f->ring);
	return drop(f);
}

int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq,
		     void **context)
{
	struct fake_cq *f = ((struct fake_channel *)channel)->cq;
	uint64_t n;

	if (read(channel->fd, &n, sizeof(n)) != sizeof(n))
		return -1;
	f->events++;
	*cq = &f->cq;
	*context = f->cq.cq_context;
	return 0;
}

void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int n)
{
	((struct fake_cq *)cq)->events -= n;
}

static int notify(struct ibv_cq *cq, int solicited)
{
	(void)solicited;
	((struct fake_cq *)cq)->armed = true;
	return 0;
}

static void push(struct fake_cq *cq, const struct ibv_wc *wc)
{
	uint64_t one = 1;

	if (cq->n >= (unsigned)cq->cq.cqe || cq->n >= fake.cq_room) {
		fake_event((unsigned)(cq->cq.context->device - devices),
			   IBV_EVENT_CQ_ERR);
		return;
	}
	cq->ring[(cq->first + cq->n++) % (unsigned)cq->cq.cqe] = *wc;
	if (!cq->armed)
		return;
	cq->armed = false;
	if (write(cq->cq.channel->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static int poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *out)
{
	struct fake_cq *f = (struct fake_cq *)cq;
	int i = 0;

	while (i < n && f->n) {
		out[i++] = f->ring[f->first];
		f->first = (f->first + 1) % (unsigned)cq->cqe;
		f->n--;
	}
	return i;
}

/* ---- queue pairs -------------------------------------------------------- */

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *a)
{
	struct fake_qp *qp = make(sizeof(*qp));
	uint32_t n = 1;

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

int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *a, int mask)
{
	struct fake_qp *f = (struct fake_qp *)qp;

	if (mask & IBV_QP_DEST_QPN)
		f->peer = a->dest_qp_num;
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
	return drop(f);
}

static int post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
		     struct ibv_recv_wr **bad)
{
	struct fake_qp *f = (struct fake_qp *)qp;
	struct receive *r = &f->ring[(f->first + f->n) % f->most];

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
		push(cq, &wc);
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
		push(l->cq, &l->wc);
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
	push((struct fake_cq *)peer->qp.recv_cq, &wc);
	return IBV_WC_SUCCESS;
}

/* Within the region of that key? */
static bool inside(uint32_t key, uint64_t at, uint64_t len)
{
	const struct ibv_mr *mr = key < MAX_MRS ? mrs[key] : NULL;

	return mr && at >= (uintptr_t)mr->addr &&
	       at + len <= (uintptr_t)mr->addr + mr->length;
}

static bool registered(const struct ibv_sge *sge)
{
	return inside(sge->lkey, sge->addr, sge->length);
}

static bool is_write(const struct op *o)
{
	return o->wr.opcode == IBV_WR_RDMA_WRITE ||
	       o->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static void arrive(struct op *o)
{
	struct fake_qp *peer = qps[o->from->peer];
	enum ibv_wc_status status = fake.status;

	fake.status = 0;
	if (!status && (!peer || o->from->sq_psn != peer->rq_psn))
		status = IBV_WC_RETRY_EXC_ERR;
	if (o->len > fake.longest)
		fake.longest = o->len;
	fake.told += o->wr.opcode == IBV_WR_SEND ||
		     o->wr.opcode == IBV_WR_SEND_WITH_IMM;
	if (o->wr.opcode == IBV_WR_RDMA_WRITE && o->len == sizeof(fake.xor_word))
		for (uint32_t i = 0; i < o->len; i++)
			o->data[i] ^= (unsigned char)(fake.xor_word >> 8 * i);
	if (!status && is_write(o) && !inside(o->wr.wr.rdma.rkey,
					      o->wr.wr.rdma.remote_addr, o->len))
		status = IBV_WC_REM_ACCESS_ERR;
	if (!status && is_write(o))
		memcpy((void *)(uintptr_t)o->wr.wr.rdma.remote_addr, o->data, o->len);
	if (!status && o->wr.opcode != IBV_WR_RDMA_WRITE)
		status = receive(o, peer);
	sent(o, status);
	free(o->data);
	free(o);
}

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
		     struct ibv_send_wr **bad)
{
	struct fake_qp *f = (struct fake_qp *)qp;
	struct op **at = &wire;

	for (; wr; wr = wr->next) {
		struct op *o;

		*bad = wr;
		if (!fake.sends_left)
			return ENOMEM;
		if (wr->send_flags & IBV_SEND_INLINE &&
		    (!wr->num_sge || wr->sg_list->length > f->max_inline))
			return EINVAL;
		if (wr->num_sge && !(wr->send_flags & IBV_SEND_INLINE) &&
		    !registered(wr->sg_list))
			return EINVAL;
		fake.sends_left--;
		o = calloc(1, sizeof(*o));
		o->from = f;
		o->wr = *wr;
		if (wr->num_sge) {
			o->len = wr->sg_list->length;
			o->data = malloc(o->len + 1);
			memcpy(o->data, (void *)(uintptr_t)wr->sg_list->addr, o->len);
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
