/*
 * How the two ends of a channel find each other, and their communicator, whose id
 * the launcher's rendezvous has brought to both.  The connection is made all the
 * same, for heads: where there is no launcher it brings the id too.
 */
#include "nccl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The communicator for this channel, which may be new. */
static int comm_for(struct nccl_transport *t, const struct pfw_channel_info *info,
		    struct nccl_comm **out, struct pfw_error *err)
{
	uint32_t kind = t->by_edge ? PFW_NONE : info->kind;
	struct nccl_comm *c = t->comms;
	int rc;

	while (c && (c->from != info->from || c->to != info->to ||
		     c->kind != kind))
		c = c->next;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return pfw_error_set(err, ENOMEM, "out of memory");
		c->from = info->from;
		c->to = info->to;
		c->kind = kind;
		rc = nccl_comm_open(c, &t->lib, t->aborts, err);
		if (rc) {
			free(c);
			return rc;
		}
		c->next = t->comms;
		t->comms = c;
	}
	*out = c;
	return 0;
}

static int make_id(struct nccl_comm *c, struct pfw_error *err)
{
	int rc = c->has_id ? 0 : nccl_library_id(c->lib, &c->id, err);

	c->has_id = !rc;
	return rc;
}

int nccl_invite(void *transport, const struct pfw_channel_info *info,
		struct pfw_group_id *out, struct pfw_error *err)
{
	struct nccl_transport *t = transport;
	struct nccl_comm *c;
	int rc;

	pthread_mutex_lock(&t->lock);
	rc = comm_for(t, info, &c, err);
	if (!rc)
		rc = make_id(c, err);
	if (!rc)
		memcpy(out->bytes, &c->id, sizeof(c->id));
	pthread_mutex_unlock(&t->lock);
	return rc;
}

static int join(struct nccl_end *c, const struct pfw_channel_info *info,
		struct pfw_error *err)
{
	struct nccl_comm *comm;
	int rc = comm_for(c->t, info, &comm, err);

	if (rc)
		return rc;
	comm->users++;
	c->c.comm = comm;
	if (info->id && !comm->has_id) {
		memcpy(&comm->id, info->id->bytes, sizeof(comm->id));
		comm->has_id = true;
	}
	return 0;
}

/* The last one out takes it with him. */
static void leave(struct nccl_transport *t, struct nccl_comm *c)
{
	if (--c->users)
		return;
	nccl_comm_remove(&t->comms, c);
	free(c);
}

void nccl_end_close(void *channel)
{
	struct nccl_end *c = channel;
	struct nccl_comm *comm;

	if (!c)
		return;
	comm = c->c.comm;
	pthread_mutex_lock(&c->t->lock);
	if (c->stage != NCCL_CONNECTING)
		tcp_stream_push(&c->c.stream);
	if (comm) {
		nccl_channel_delist(&c->c);
		/* Its slots may be in flight; so no other kind goes on either. */
		nccl_comm_fail(comm, EPIPE, "a channel was closed");
		nccl_comm_close(comm);
		leave(c->t, comm);
	}
	pthread_mutex_unlock(&c->t->lock);
	if (c->stage != NCCL_CONNECTING)
		tcp_stream_close(&c->c.stream);
	else if (c->call.socket >= 0)
		close(c->call.socket);
	c->next = c->t->closed;
	c->t->closed = c;
}

static int new_channel(struct nccl_transport *t, const struct pfw_channel_info *info,
		       struct nccl_end **out, struct pfw_error *err)
{
	struct nccl_end *c = calloc(1, sizeof(*c));

	if (!c)
		return pfw_error_set(err, ENOMEM, "out of memory");
	c->t = t;
	tcp_call_begin(&c->call, &t->self, info);
	*out = c;
	return 0;
}

static int connect_ends(struct nccl_end *c, const struct pfw_channel_info *info,
			const struct pfw_address *peer, struct pfw_error *err)
{
	struct nccl_transport *t = c->t;
	uint64_t pid;
	int fd, rc = tcp_call_join(&c->call, info->sending ? NULL : &t->listener,
				   &t->self, peer, &fd, &pid, err);

	if (rc)
		return rc;
	rc = tcp_stream_open(&c->c.stream, info, fd, pid, false, err);
	if (rc)
		close(fd);
	else
		c->stage = info->id ? NCCL_MAKING : NCCL_AGREEING;
	return rc;
}

static int lost(const struct nccl_end *c, struct pfw_error *err)
{
	return pfw_error_set(err, EPIPE, "rank %u (process %llu) is gone, or has "
			     "closed the channel, before it was open",
			     c->c.stream.peer,
			     (unsigned long long)c->c.stream.peer_pid);
}

/* Without a launcher: the sender tells the id with each channel. */
static int agree(struct nccl_end *c, struct pfw_error *err)
{
	struct nccl_comm *comm = c->c.comm;
	int rc;

	if (c->c.stream.info.sending) {
		rc = make_id(comm, err);
		if (rc)
			return rc;
		rc = tcp_say(c->c.stream.socket, &comm->id, sizeof(comm->id));
	} else {
		rc = tcp_take(c->c.stream.socket, &c->id, sizeof(c->id),
			      &c->have);
		if (!rc && !comm->has_id)
			comm->id = c->id;
	}
	if (rc)
		return rc == -EAGAIN ? rc : lost(c, err);
	comm->has_id = true;
	c->stage = NCCL_MAKING;
	return 0;
}

static int make(struct nccl_end *c, struct pfw_error *err)
{
	struct pollfd p = { .fd = c->c.stream.socket, .events = POLLRDHUP };
	int rc = nccl_comm_make(c->c.comm, 2, c->t->self.rank == c->c.comm->to,
				c->t->ctas, err);

	if (rc == -EAGAIN && poll(&p, 1, 0) > 0)
		return lost(c, err);
	if (!rc)
		rc = nccl_channel_open(&c->c, c->c.comm, err);
	if (!rc)
		c->stage = NCCL_OPEN;
	return rc;
}

int nccl_end_open(void *transport, const struct pfw_channel_info *info,
		  const struct pfw_address *peer, void **channel,
		  struct pfw_error *err)
{
	struct nccl_transport *t = transport;
	struct nccl_end *c = *channel;
	struct tcp_address a;
	int rc = tcp_address_read(peer, info->sending ? info->to : info->from,
				  &a, err);

	if (!rc && !c)
		rc = new_channel(t, info, &c, err);
	if (rc)
		return rc;
	*channel = c;
	if (c->stage == NCCL_CONNECTING)
		rc = connect_ends(c, info, peer, err);
	pthread_mutex_lock(&t->lock);
	if (!rc && !c->c.comm)
		rc = join(c, info, err);
	if (!rc && c->stage == NCCL_AGREEING)
		rc = agree(c, err);
	if (!rc && c->stage == NCCL_MAKING)
		rc = make(c, err);
	pthread_mutex_unlock(&t->lock);
	return rc;
}
