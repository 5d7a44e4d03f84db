/* The stand-in's completion queues and their events. */
#include "fake_impl.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fake_channel {
	struct ibv_comp_channel channel;
	struct fake_cq *cq;
};

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *c)
{
	struct fake_channel *f = fake_make(sizeof(*f));

	f->channel.context = c;
	f->channel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return &f->channel;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	close(channel->fd);
	return fake_drop(channel);
}

struct ibv_cq *ibv_create_cq(struct ibv_context *c, int cqe, void *context,
			     struct ibv_comp_channel *channel, int vector)
{
	struct fake_cq *cq = fake_make(sizeof(*cq));

	(void)vector;
	cq->cq.context = c;
	cq->cq.channel = channel;
	cq->cq.cq_context = context;
	cq->cq.cqe = cqe;
	cq->ring = calloc((size_t)cqe, sizeof(*cq->ring));
	if (channel)
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
	return fake_drop(f);
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

int fake_notify(struct ibv_cq *cq, int solicited)
{
	(void)solicited;
	FAKE_LOCKED;
	((struct fake_cq *)cq)->armed = true;
	return 0;
}

void fake_push(struct fake_cq *cq, const struct ibv_wc *wc)
{
	uint64_t one = 1;

	if (cq->n >= (unsigned)cq->cq.cqe || cq->n >= fake.cq_room) {
		fake_event(fake_number(cq->cq.context), IBV_EVENT_CQ_ERR);
		return;
	}
	cq->ring[(cq->first + cq->n++) % (unsigned)cq->cq.cqe] = *wc;
	if (!cq->armed)
		return;
	cq->armed = false;
	if (write(cq->cq.channel->fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

int fake_poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *out)
{
	struct fake_cq *f = (struct fake_cq *)cq;
	int i = 0;

	FAKE_LOCKED;
	while (i < n && f->n) {
		out[i++] = f->ring[f->first];
		f->first = (f->first + 1) % (unsigned)cq->cqe;
		f->n--;
	}
	return i;
}
