#include "bench/pingpong.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/*
 * What one side holds of each size: a channel each way, room for a copy.  Two
 * slots in turn, given back after the answer, as a pipeline does it.
 */
struct lane {
	void *tx, *rx;
	unsigned char *room;
	uint32_t held; /* slot of the message in hand */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* In place: the first and the last word are written and read. */
static int hand_over(const struct pfw_subject *s, struct lane *l, uint64_t bytes,
		     uint64_t m)
{
	struct pfw_message_id id = { .sequence = m };
	uint64_t *slot;
	uint32_t i = m % 2;
	int rc = pfw_must_acquire(s, l->tx, i);

	if (rc)
		return rc;
	slot = s->ops->slot(l->tx, i);
	slot[0] = slot[bytes / 8 - 1] = m;
	return s->ops->send(l->tx, i, bytes, &id, NULL);
}

static int take(const struct pfw_subject *s, struct lane *l, bool copy, uint64_t m)
{
	struct pfw_message_id id;
	const uint64_t *slot;
	uint64_t bytes;
	uint32_t i;
	int rc = pfw_must_recv(s, l->rx, &i, &bytes, &id);

	if (rc)
		return rc;
	slot = s->ops->slot(l->rx, i);
	if (copy)
		memcpy(l->room, slot, bytes);
	if (id.sequence != m || slot[0] != m || slot[bytes / 8 - 1] != m)
		return -EBADMSG;
	l->held = i;
	return 0;
}

static int give_back(const struct pfw_subject *s, struct lane *l)
{
	return s->ops->release(l->rx, l->held, NULL);
}

static int lanes_open(struct pfw_end *e, const struct pfw_address *peer,
		      const struct pfw_pingpong *p, struct lane *lanes)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < p->n_sizes; i++) {
		uint64_t bytes = pfw_align_up(p->bytes[i]);
		struct pfw_channel_info there = pfw_end_channel_info(0, i, 2, bytes);
		struct pfw_channel_info back = pfw_end_channel_info(1, i, 2, bytes);
		uint32_t me = e->info.rank;

		lanes[i] = (struct lane){ .room = malloc(bytes) };
		if (!lanes[i].room)
			return -ENOMEM;
		memset(lanes[i].room, 1, bytes);
		rc = pfw_end_channel(e, &there, peer, me ? &lanes[i].rx : &lanes[i].tx);
		if (!rc)
			rc = pfw_end_channel(e, &back, peer,
					 me ? &lanes[i].tx : &lanes[i].rx);
	}
	return rc;
}

static void lanes_close(const struct pfw_subject *s, const struct pfw_pingpong *p,
			struct lane *lanes)
{
	for (uint32_t i = 0; i < p->n_sizes; i++) {
		s->ops->close_channel(lanes[i].tx);
		s->ops->close_channel(lanes[i].rx);
		free(lanes[i].room);
	}
}

static int answer(struct pfw_end *e, const struct pfw_address *peer)
{
	const struct pfw_pingpong *p = e->user;
	struct lane lanes[PFW_PINGPONG_SIZES] = { 0 };
	int rc;

	if (p->pin)
		pfw_use_core(1);
	rc = lanes_open(e, peer, p, lanes);
	for (uint32_t r = 0; !rc && r < p->rounds; r++)
		for (uint32_t i = 0; !rc && i < p->n_sizes; i++)
			for (uint32_t n = 0; !rc && n < p->times[i]; n++) {
				rc = take(e->subject, &lanes[i], p->copy, n);
				if (!rc)
					rc = hand_over(e->subject, &lanes[i],
						       p->bytes[i], n);
				if (!rc)
					rc = give_back(e->subject, &lanes[i]);
			}
	/* The last messages are in their slots until they were taken. */
	for (uint32_t i = 0; !rc && i < 2 * p->n_sizes; i++)
		rc = pfw_must_acquire(e->subject, lanes[i / 2].tx, i % 2);
	lanes_close(e->subject, p, lanes);
	return rc;
}

static int ask(struct pfw_end *e, const struct pfw_pingpong *p, struct lane *lanes,
	       uint32_t i, double *half)
{
	double *each = malloc(p->times[i] * sizeof(*each));
	uint64_t before, now = pfw_now();
	int rc = each ? 0 : -ENOMEM;

	for (uint32_t n = 0; !rc && n < p->times[i]; n++) {
		before = now;
		rc = hand_over(e->subject, &lanes[i], p->bytes[i], n);
		if (!rc)
			rc = take(e->subject, &lanes[i], p->copy, n);
		if (!rc)
			rc = give_back(e->subject, &lanes[i]);
		now = pfw_now();
		each[n] = (double)(now - before) / 2;
	}
	if (!rc)
		*half = median(each, p->times[i]);
	free(each);
	return rc;
}

static int ask_all(struct pfw_end *e, struct pfw_pingpong *p, struct lane *lanes)
{
	double *half = calloc((size_t)p->n_sizes * p->rounds, sizeof(*half));
	int rc = half ? 0 : -ENOMEM;

	for (uint32_t r = 0; !rc && r < p->rounds; r++)
		for (uint32_t i = 0; !rc && i < p->n_sizes; i++)
			rc = ask(e, p, lanes, i, &half[i * p->rounds + r]);
	for (uint32_t i = 0; !rc && i < p->n_sizes; i++)
		p->half[i] = median(half + i * p->rounds, p->rounds);
	free(half);
	return rc;
}

int pfw_pingpong_run(const struct pfw_subject *s, struct pfw_pingpong *p,
		     struct pfw_error *err)
{
	struct lane lanes[PFW_PINGPONG_SIZES] = { 0 };
	struct pfw_child child;
	cpu_set_t all;
	struct pfw_end e;
	int rc = pfw_child_start(&child, &e, s, p->spin_ns, p, answer);

	if (rc)
		return pfw_error_set(err, -rc, "%s", e.err.text);
	sched_getaffinity(0, sizeof(all), &all);
	if (p->pin)
		pfw_use_core(0);
	rc = lanes_open(&e, &child.address, p, lanes);
	if (!rc)
		rc = ask_all(&e, p, lanes);
	lanes_close(s, p, lanes);
	if (!rc)
		rc = pfw_child_join(&child, NULL);
	else
		pfw_child_kill(&child);
	pfw_end_close(&e);
	sched_setaffinity(0, sizeof(all), &all);
	return rc ? pfw_error_set(err, -rc, "%s: %s", s->name, strerror(-rc)) : 0;
}
