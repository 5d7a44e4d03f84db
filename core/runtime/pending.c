/*
 * What waits for a device that computes behind the host's back: messages to be
 * handed over once they lie in their slots, slots to be given back once they
 * have been read.  The host goes on, and looks after them wherever it waits.
 *
 * One queue computes, one brings what came in, one takes out what goes; events
 * tie them: a copy goes on beside the kernels of another micro-batch.
 *
 * Where a transport is bound to the queue that computes, nothing is to be looked
 * after: but then the queue may wait for other ranks, and the host must not wait
 * for it without a deadline.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "runtime/rank.h"

#define NAP_NS 20000 /* between looks, where cores are shared */
#define LETTING_GO_NS (2 * PFW_S) /* what was queued is done by then, or never */

static uint32_t count_slots(const struct pfw_rank *rank)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < rank->job->n_edges; i++)
		if (rank->ends[i].behind)
			n += rank->ends[i].edge->n_slots;
	return n;
}

/* Those whose receives are posted. */
static uint32_t count_posts(const struct pfw_rank *rank)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < rank->job->n_edges; i++)
		if (rank->ends[i].ops && rank->ends[i].ops->post &&
		    rank->ends[i].edge->to == rank->rank)
			n += rank->ends[i].edge->n_slots;
	return n;
}

/* The most actions of a program. */
static uint32_t count_actions(const struct pfw_rank *rank)
{
	size_t most = 0;

	for (uint32_t i = 0; i < PFW_PROGRAMS; i++) {
		const struct pfw_program *p = rank->job->programs[i].program;

		if (p && p->rank[rank->rank].n > most)
			most = p->rank[rank->rank].n;
	}
	return (uint32_t)most;
}

/* A slot is handed over, or given back and posted; an action is marked, and the
 * end: there is room for all. */
int pfw_rank_open_pending(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	struct pfw_pending *p = &rank->pending;
	uint32_t n = count_slots(rank);
	int rc = 0;

	if (!(n + p->n_bound) || !ops->record)
		return 0;
	n += count_posts(rank) + (p->n_bound ? count_actions(rank) + 1 : 0);
	p->items = calloc(n, sizeof(*p->items));
	if (!p->items)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (; !rc && p->capacity < n; p->capacity += !rc)
		rc = ops->open_event(rank->device_object,
				     &p->items[p->capacity].event, err);
	if (!rc)
		rc = ops->open_event(rank->device_object, &p->came, err);
	if (!rc)
		rc = ops->open_event(rank->device_object, &p->made, err);
	if (!rc)
		rc = ops->open_queue(rank->device_object, &p->in, err);
	if (!rc)
		rc = ops->open_queue(rank->device_object, &p->out, err);
	return rc;
}

void pfw_rank_close_pending(struct pfw_rank *rank)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	struct pfw_pending *p = &rank->pending;

	if (!p->items)
		return;
	/* Copies end before the slots go. */
	if (p->in)
		ops->close_queue(p->in);
	if (p->out)
		ops->close_queue(p->out);
	ops->close_event(p->came);
	ops->close_event(p->made);
	for (uint32_t i = 0; i < p->capacity; i++)
		ops->close_event(p->items[i].event);
	free(p->items);
	*p = (struct pfw_pending){ 0 };
}

/* @after begins after what has been queued on @before so far. */
static int tie(struct pfw_rank *rank, void *before, void *event, void *after,
	       struct pfw_error *err)
{
	int rc = rank->device_ops->record(before, event, err);

	return rc ? rc : rank->device_ops->follow(after, event, err);
}

int pfw_rank_bring_in(struct pfw_rank *rank, void *to, const void *from,
		      uint64_t bytes, struct pfw_error *err)
{
	const struct pfw_pending *p = &rank->pending;
	void *in = p->in ? p->in : rank->queue;
	int rc = rank->device_ops->copy(in, to, from, bytes, PFW_COPY_IN, err);

	return rc || !p->in ? rc : tie(rank, in, p->came, rank->queue, err);
}

int pfw_rank_take_out(struct pfw_rank *rank, void *to, const void *from,
		      uint64_t bytes, struct pfw_error *err)
{
	const struct pfw_pending *p = &rank->pending;
	void *out = p->out ? p->out : rank->queue;
	int rc = p->out ? tie(rank, rank->queue, p->made, out, err) : 0;

	return rc ? rc : rank->device_ops->copy(out, to, from, bytes,
						PFW_COPY_OUT, err);
}

static int perform(const struct pfw_deferred *what, struct pfw_error *err)
{
	const struct pfw_end *end = what->end;

	switch (what->does) {
	case PFW_LATER_SEND:
		return end->ops->send(end->channel, what->slot, what->bytes,
				      &what->id, err);
	case PFW_LATER_NOTHING:
		return 0;
	case PFW_LATER_POST:
		return end->ops->post(end->channel, what->slot, what->bytes,
				      err);
	default:
		return end->ops->release(end->channel, what->slot, err);
	}
}

/* @queue is where the device has to come to, NULL: nowhere. */
static int defer(struct pfw_rank *rank, void *queue,
		 const struct pfw_deferred *what, struct pfw_error *err)
{
	struct pfw_pending *p = &rank->pending;
	struct pfw_deferred *item;
	void *event;
	int rc = 0;

	/* Of a device without events all calls are done when they return. */
	if (!p->capacity)
		return perform(what, err);
	item = &p->items[(p->head + p->n) % p->capacity];
	event = item->event;
	if (queue)
		rc = rank->device_ops->record(queue, event, err);
	if (rc)
		return rc;
	*item = *what;
	item->event = event;
	p->n++;
	return 0;
}

int pfw_rank_send_later(struct pfw_rank *rank, const struct pfw_deferred *what,
			struct pfw_error *err)
{
	return defer(rank, what->end->mirror ? rank->pending.out : rank->queue,
		     what, err);
}

int pfw_rank_release_later(struct pfw_rank *rank,
			   const struct pfw_deferred *what,
			   struct pfw_error *err)
{
	return defer(rank, rank->queue, what, err);
}

int pfw_rank_post(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		  uint64_t bytes, struct pfw_error *err)
{
	const struct pfw_deferred what = { .end = end, .slot = slot,
					   .bytes = bytes,
					   .does = PFW_LATER_POST };

	return rank->pending.n ? defer(rank, NULL, &what, err) :
				 perform(&what, err);
}

int pfw_rank_is_deferred(const struct pfw_rank *rank, const struct pfw_end *end,
			 uint32_t slot)
{
	const struct pfw_pending *p = &rank->pending;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct pfw_deferred *d =
			&p->items[(p->head + i) % p->capacity];

		if (d->end == end && d->slot == slot)
			return 1;
	}
	return 0;
}

int pfw_rank_settle(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_pending *p = &rank->pending;

	while (p->n) {
		const struct pfw_deferred *item = &p->items[p->head];
		int rc = item->does == PFW_LATER_POST ? 1 :
				 rank->device_ops->query(item->event, err);

		if (rc > 0)
			rc = perform(item, err);
		else if (!rc)
			return 0;
		if (rc)
			return rc;
		p->head = (p->head + 1) % p->capacity;
		p->n--;
	}
	return 0;
}

static void rest(const struct pfw_rank *rank)
{
	const struct timespec nap = { 0, NAP_NS };

	if (rank->has_core)
		sched_yield();
	else
		nanosleep(&nap, NULL);
}

int pfw_rank_mark(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_deferred nothing = { .does = PFW_LATER_NOTHING };

	if (!rank->pending.n_bound)
		return 0;
	return defer(rank, rank->queue, &nothing, err);
}

int pfw_rank_drain(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_status *s = rank->boot->status;
	uint32_t left = PFW_NONE, done = 0, reached;
	uint64_t since = 0;
	int rc = pfw_rank_mark(rank, err);

	if (!rc)
		rc = pfw_rank_settle(rank, err);

	if (rc || !rank->pending.n)
		return rc;
	atomic_store(&s->wait, PFW_WAIT_DEVICE);
	while (!rc && rank->pending.n) {
		reached = pfw_rank_work_done(rank);
		if (rank->pending.n < left || reached > done) {
			left = rank->pending.n;
			done = reached;
			since = pfw_now();
			atomic_store(&s->since, since);
		}
		if (rank->boot->ops->aborted(rank->boot))
			return pfw_error_set(err, ECANCELED,
					     "another rank failed");
		if ((double)(pfw_now() - since) >
		    rank->job->cfg->run.timeout * 1e9)
			return pfw_error_set(err, ETIMEDOUT,
					     "rank %u: its device has done "
					     "nothing for %.1f s (run.timeout)",
					     rank->rank,
					     rank->job->cfg->run.timeout);
		rest(rank);
		rc = pfw_rank_settle(rank, err);
	}
	if (!rc)
		atomic_store(&s->wait, PFW_WAIT_NOTHING);
	return rc;
}

int pfw_rank_sync(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc = rank->pending.n_bound ? pfw_rank_drain(rank, err) : 0;

	return rc ? rc : rank->device_ops->sync(rank->queue, err);
}

/* A peer that lives may write once more what it had queued, so more than once.
 * Where a kernel has failed, record() says so again, and marks the end as well. */
void pfw_rank_let_go(struct pfw_rank *rank)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	struct pfw_pending *p = &rank->pending;
	uint64_t end = pfw_now() + LETTING_GO_NS;

	if (!p->n_bound || !p->items)
		return;
	ops->record(rank->queue, p->items[0].event, NULL);
	do {
		for (uint32_t i = 0; i < rank->job->n_edges; i++)
			if (rank->ends[i].bound)
				rank->ends[i].ops->bind_queue(
					rank->ends[i].channel, NULL, NULL);
		rest(rank);
	} while (!ops->query(p->items[0].event, NULL) && pfw_now() < end);
}
