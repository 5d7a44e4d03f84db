/*
 * When actions began and ended.  Where calls are done when they return, by the
 * host's clock.  Where a device works behind the host's back, by its events:
 * those of a step are read where the host waits for it anyway, against a
 * mark whose time both clocks know.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "runtime/rank.h"

static void close_item(const struct pfw_device_ops *ops, struct pfw_timed *t)
{
	ops->close_event(t->start);
	ops->close_event(t->end);
}

void pfw_rank_close_timing(struct pfw_rank *rank)
{
	struct pfw_timing *t = &rank->timing;

	if (!t->items)
		return;
	rank->device_ops->close_event(t->mark);
	for (uint32_t i = 0; i < t->capacity; i++)
		close_item(rank->device_ops, &t->items[i]);
	free(t->items);
	*t = (struct pfw_timing){ 0 };
}

/* A step's actions, and what the step before has after its NORM. */
int pfw_rank_open_timing(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	const struct pfw_program *train =
		rank->job->programs[PFW_PROGRAM_TRAIN].program;
	struct pfw_timing *t = &rank->timing;
	uint32_t n;
	int rc;

	if (!train || !ops->elapsed)
		return 0;
	n = (uint32_t)train->rank[rank->rank].n + 2;
	t->items = calloc(n, sizeof(*t->items));
	if (!t->items)
		return pfw_error_set(err, ENOMEM, "out of memory");
	rc = ops->open_event(rank->device_object, &t->mark, err);
	for (; !rc && t->capacity < n; t->capacity++) {
		struct pfw_timed *item = &t->items[t->capacity];

		rc = ops->open_event(rank->device_object, &item->start, err);
		if (!rc)
			rc = ops->open_event(rank->device_object, &item->end,
					     err);
	}
	return rc;
}

/* NULL: the host's clock will do. */
static struct pfw_timed *item_of(struct pfw_rank *rank)
{
	struct pfw_timing *t = &rank->timing;

	return t->on && t->n < t->capacity ? &t->items[t->n] : NULL;
}

static void record(struct pfw_rank *rank, void *event)
{
	struct pfw_timing *t = &rank->timing;
	int rc = rank->device_ops->record(rank->queue, event,
					  t->failed ? NULL : &t->error);

	if (rc && !t->failed)
		t->failed = rc;
}

void pfw_rank_work_begins(struct pfw_rank *rank)
{
	const struct pfw_timed *item = item_of(rank);

	rank->start_ns = pfw_now();
	if (!rank->first_ns)
		rank->first_ns = rank->start_ns;
	if (item)
		record(rank, item->start);
}

void pfw_rank_work_ends(struct pfw_rank *rank, int computes)
{
	struct pfw_timed *item = item_of(rank);

	rank->end_ns = pfw_now();
	rank->busy_ns += rank->end_ns - rank->start_ns;
	if (!item)
		return;
	record(rank, item->end);
	item->computes = computes;
	item->graph = computes ? rank->graph : NULL;
	item->sample = rank->sample;
	item->by_device = 1;
	item->traced = 0;
	rank->timing.n++;
}

static void add(struct pfw_rank *rank, struct pfw_trace_record r)
{
	r.begin = pfw_rank_common_time(rank, r.begin);
	r.start = pfw_rank_common_time(rank, r.start);
	r.end = pfw_rank_common_time(rank, r.end);
	r.left = pfw_rank_common_time(rank, r.left);
	pfw_trace_add(rank->trace, &r);
}

void pfw_rank_note(struct pfw_rank *rank, const struct pfw_trace_record *r)
{
	struct pfw_timing *t = &rank->timing;
	struct pfw_timed *item = item_of(rank);

	if (t->on && rank->start_ns && t->n) { /* work_ends() has been here */
		item = &t->items[t->n - 1];
	} else if (item) {
		item->computes = item->by_device = 0;
		item->graph = NULL;
		t->n++;
	} else {
		add(rank, *r);
		return;
	}
	item->record = *r;
	item->traced = 1;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The host came to it long before the device was free for it. */
static void settle_record(struct pfw_timing *t, struct pfw_trace_record *r)
{
	r->begin = later(r->begin, t->left);
	r->start = later(r->start, r->begin);
	r->end = later(r->end, r->start);
	r->left = later(r->left, r->end);
	t->left = r->left;
}

static int read_item(struct pfw_rank *rank, struct pfw_timed *item,
		     uint64_t mark_ns, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	struct pfw_trace_record *r = &item->record;
	uint64_t start, end;
	int rc;

	if (item->by_device) {
		rc = ops->elapsed(item->start, rank->timing.mark, &start, err);
		if (!rc)
			rc = ops->elapsed(item->end, rank->timing.mark, &end,
					  err);
		if (rc)
			return rc;
		r->start = mark_ns - start;
		r->end = r->left = mark_ns - end;
	}
	if (item->computes) {
		if (!rank->first_ns)
			rank->first_ns = r->start;
		rank->busy_ns += r->end - r->start;
		rank->end_ns = r->end;
	}
	if (item->graph)
		pfw_rank_graph_took(rank, item->graph, item->sample,
				    r->end - r->start);
	settle_record(&rank->timing, r);
	if (item->traced && rank->trace)
		add(rank, *r);
	return 0;
}

uint32_t pfw_rank_work_done(struct pfw_rank *rank)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	struct pfw_timing *t = &rank->timing;

	while (t->done < t->n && (!t->items[t->done].by_device ||
				  ops->query(t->items[t->done].end, NULL) > 0))
		t->done++;
	return t->done;
}

int pfw_rank_read_times(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_timing *t = &rank->timing;
	uint64_t now;
	int rc = t->failed;

	if (!t->n)
		return 0;
	if (rc) {
		*err = t->error;
		return rc;
	}
	rc = rank->device_ops->record(rank->queue, t->mark, err);
	if (!rc)
		rc = pfw_rank_sync(rank, err);
	now = pfw_now();
	rank->busy_ns = rank->first_ns = 0;
	for (uint32_t i = 0; !rc && i < t->n; i++)
		rc = read_item(rank, &t->items[i], now, err);
	t->n = t->done = 0;
	return rc ? rc : pfw_rank_tell_graphs(rank, err);
}
