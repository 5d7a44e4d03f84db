/*
 * One of two processes that hand messages over between two devices.  A message is
 * made by a command of the queue and read by one, so a trip has the launches in it
 * that a stage has too.
 */
#include "bench/devices_node.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define WORD 8u       /* bytes that are written and read of each message */
#define LAST_TRIP 1u  /* id.step: no more of this size */

const struct pfw_device_size pfw_device_sizes[PFW_DEVICE_SIZES] = {
	{ 8, "8 B", 2000 },	  { 4096, "4 KiB", 2000 },
	{ 65536, "64 KiB", 1000 }, { 1 << 20, "1 MiB", 500 },
	{ 16 << 20, "16 MiB", 100 }, { 256 << 20, "256 MiB", 10 },
};

#define QUICK_TRIPS 10u
#define MOST_TRIPS 2000u

struct node {
	const struct pfw_bench *bench;
	const struct pfw_subject *subject;
	const struct pfw_device_ops *ops;
	uint32_t rank;
	int peer;    /* socket to the other process */
	struct pfw_end end;
	struct pfw_address address; /* the other one's */
	void *device, *queue, *compute;
	void *matrix[3], *from, *to; /* the device's */
	void *tx, *rx;
	int bound;
	uint32_t held;
	uint64_t next;   /* message, of both channels */
	struct pfw_device_figures *out;
};

static uint32_t width(const struct node *n)
{
	return n->bench->quick ? 64 : 4096;
}

static int swap_addresses(struct node *n)
{
	size_t len = sizeof(n->address);

	if (write(n->peer, &n->end.self, len) != (ssize_t)len ||
	    recv(n->peer, &n->address, len, MSG_WAITALL) != (ssize_t)len)
		return pfw_error_set(&n->end.err, EPIPE, "the other process is "
				     "gone");
	return 0;
}

static int open_memory(struct node *n)
{
	size_t bytes = (size_t)width(n) * width(n) * sizeof(float);
	struct pfw_error *err = &n->end.err;
	int rc = n->ops->alloc(n->device, PFW_ALIGN, &n->from, err);

	if (!rc)
		rc = n->ops->alloc(n->device, PFW_ALIGN, &n->to, err);
	for (int i = 0; !rc && !n->rank && i < 3; i++)
		rc = n->ops->alloc(n->device, bytes, &n->matrix[i], err);
	return rc;
}

/* The device first: a transport may take the card that it has made current. */
static int open_device(struct node *n)
{
	struct pfw_device_info info = { .size = sizeof(info), .rank = n->rank,
					.dtype = PFW_BF16, .threads = 1,
					.index = n->rank };
	struct pfw_device_props props = { .size = sizeof(props) };
	struct pfw_error *err = &n->end.err;
	char why[200] = "it cannot run here";
	int rc;

	if (n->ops->probe && n->ops->probe(why, sizeof(why)))
		return pfw_error_set(err, ENODEV, "%s", why);
	rc = n->ops->open(NULL, &info, &n->device, &props, err);
	if (!rc)
		rc = n->ops->open_queue(n->device, &n->queue, err);
	if (!rc)
		rc = n->ops->open_queue(n->device, &n->compute, err);
	return rc ? rc : open_memory(n);
}

static int open_transport(struct node *n)
{
	const struct pfw_transport_ops *ops = n->subject->ops;
	char why[200] = "it cannot run here";
	int rc;

	if (ops->probe && ops->probe(why, sizeof(why)))
		return pfw_error_set(&n->end.err, ENODEV, "%s", why);
	rc = pfw_end_open(&n->end, n->subject, n->rank, 7,
			  pfw_core_number(1) >= 0 ? PFW_MS : 0);
	return rc ? rc : swap_addresses(n);
}

/* Both in one order at both ends; bound as the core does it. */
static int open_channels(struct node *n, uint32_t size)
{
	const struct pfw_transport_ops *ops = n->subject->ops;
	int rc = 0, bound = !ops->post && ops->bind_queue;

	for (uint32_t from = 0; !rc && from < 2; from++) {
		struct pfw_channel_info info = pfw_end_channel_info(
			from, PFW_CHANNEL_ACTIVATION, 2,
			pfw_align_up(pfw_device_sizes[size].bytes));
		void **channel = from == n->rank ? &n->tx : &n->rx;

		info.memory = n->ops->memory;
		info.device_ops = n->ops;
		info.device = n->device;
		rc = pfw_end_channel(&n->end, &info, &n->address, channel);
		if (!rc && bound)
			bound = !ops->bind_queue(*channel, n->queue, NULL);
	}
	n->bound = bound;
	n->next = 0;
	return rc;
}

static void close_channels(struct node *n)
{
	const struct pfw_transport_ops *ops = n->subject->ops;
	struct pfw_channel_stats st = { .size = sizeof(st) };

	if (n->rx && ops->stats) {
		ops->stats(n->rx, &st);
		n->out->copied |= st.copied_bytes != 0;
	}
	ops->close_channel(n->rank ? n->rx : n->tx);
	ops->close_channel(n->rank ? n->tx : n->rx);
	n->tx = n->rx = NULL;
}

/* Where the queue does not keep the order, the host waits for it. */
static int settle(struct node *n)
{
	return n->bound ? 0 : n->ops->sync(n->queue, &n->end.err);
}

static int hand_over(struct node *n, uint64_t bytes, int last)
{
	struct pfw_message_id id = { .sequence = n->next, .step = last };
	uint32_t slot = n->next % 2;
	int rc = pfw_must_acquire(n->subject, n->tx, slot);

	if (!rc)
		rc = n->ops->copy(n->queue, n->subject->ops->slot(n->tx, slot),
				  n->from, WORD, PFW_COPY_ON, &n->end.err);
	if (!rc)
		rc = settle(n);
	return rc ? rc : n->subject->ops->send(n->tx, slot, bytes, &id,
					       &n->end.err);
}

static int take(struct node *n, uint64_t bytes, int *last)
{
	struct pfw_message_id id;
	uint64_t came;
	int rc = pfw_must_post(n->subject, n->rx, n->next % 2, bytes);

	if (!rc)
		rc = pfw_must_recv(n->subject, n->rx, &n->held, &came, &id);
	if (rc)
		return rc;
	*last = id.step == LAST_TRIP;
	rc = n->ops->copy(n->queue, n->to,
			  n->subject->ops->slot(n->rx, n->held), WORD,
			  PFW_COPY_ON, &n->end.err);
	return rc ? rc : settle(n);
}

static int give_back(struct node *n)
{
	n->next++;
	return n->subject->ops->release(n->rx, n->held, &n->end.err);
}

/* Rank 0: there and back, and both queues have seen it. */
static int trip(struct node *n, uint64_t bytes, int last)
{
	int ignored, rc = hand_over(n, bytes, last);

	if (!rc)
		rc = take(n, bytes, &ignored);
	if (!rc)
		rc = n->ops->sync(n->queue, &n->end.err);
	return rc ? rc : give_back(n);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int ask(struct node *n, uint32_t size, uint32_t round)
{
	uint32_t trips = n->bench->quick ? QUICK_TRIPS : pfw_device_sizes[size].trips;
	double each[MOST_TRIPS];
	uint64_t before, now = pfw_now();
	int rc = 0;

	for (uint32_t i = 0; !rc && i < trips; i++) {
		before = now;
		rc = trip(n, pfw_device_sizes[size].bytes, 0);
		now = pfw_now();
		each[i] = (double)(now - before) / 2;
	}
	qsort(each, trips, sizeof(*each), by_value);
	n->out->half[size][round] = each[trips / 2];
	return rc;
}

/* Some tens of milliseconds of products, ended by @p done. */
static int compute(struct node *n, void *done)
{
	struct pfw_gemm g = {
		.size = sizeof(g), .kind = PFW_GEMM_NT, .c_dtype = PFW_F32,
		.m = width(n), .n = width(n), .k = width(n),
		.a = n->matrix[0], .b = n->matrix[1], .c = n->matrix[2],
	};

	for (uint32_t i = 0; i < (n->bench->quick ? 4u : 100u); i++)
		n->ops->kernels(n->device)->gemm(n->compute, &g);
	return n->ops->record(n->compute, done, &n->end.err);
}

/* Products with messages of this size all along, and without any. */
static int overlap(struct node *n, uint32_t size, uint32_t round, void *done)
{
	uint64_t start = pfw_now();
	int rc = compute(n, done), there = 0;

	if (!rc)
		rc = n->ops->sync(n->compute, &n->end.err);
	n->out->alone[round] = (double)(pfw_now() - start) / 1e6;
	start = pfw_now();
	if (!rc)
		rc = compute(n, done);
	while (!rc && !there) {
		rc = trip(n, pfw_device_sizes[size].bytes, 0);
		if (!rc)
			there = n->ops->query(done, &n->end.err);
		rc = there < 0 ? there : rc;
	}
	n->out->beside[round] = (double)(pfw_now() - start) / 1e6;
	return rc;
}

static int ask_all(struct node *n, uint32_t size)
{
	void *done;
	int rc = n->ops->open_event(n->device, &done, &n->end.err);

	if (rc)
		return rc;
	/* The first products find libraries to load. */
	if (size == pfw_device_beside(n->bench))
		rc = compute(n, done);
	if (!rc)
		rc = n->ops->sync(n->compute, &n->end.err);
	for (uint32_t r = 0; !rc && r < n->bench->rounds; r++) {
		rc = ask(n, size, r);
		if (!rc && size == pfw_device_beside(n->bench))
			rc = overlap(n, size, r, done);
	}
	n->ops->close_event(done);
	return rc ? rc : trip(n, pfw_device_sizes[size].bytes, LAST_TRIP);
}

static int answer_all(struct node *n, uint32_t size)
{
	int last = 0, rc = 0;

	while (!rc && !last) {
		rc = take(n, pfw_device_sizes[size].bytes, &last);
		if (!rc)
			rc = hand_over(n, pfw_device_sizes[size].bytes, 0);
		if (!rc)
			rc = give_back(n);
	}
	/* The last messages are in their slots until they were taken. */
	for (uint32_t i = 0; !rc && i < 2; i++)
		rc = pfw_must_acquire(n->subject, n->tx, i);
	return rc ? rc : n->ops->sync(n->queue, &n->end.err);
}

/* Neither closes while the other still waits for what has been said to it. */
static int part(struct node *n)
{
	char word = 1;

	if (write(n->peer, &word, 1) != 1 || recv(n->peer, &word, 1, 0) != 1)
		return pfw_error_set(&n->end.err, EPIPE, "the other process is "
				     "gone");
	return 0;
}

/* What a channel has to say of a call that failed. */
static void explain(struct node *n)
{
	const struct pfw_transport_ops *ops = n->subject->ops;

	if (!n->end.err.code && !ops->check(n->rx, &n->end.err))
		ops->check(n->tx, &n->end.err);
}

static int measure(struct node *n)
{
	int rc = open_device(n);

	if (!rc)
		rc = open_transport(n);
	for (uint32_t i = 0; !rc && i < pfw_device_n_sizes(n->bench); i++) {
		rc = open_channels(n, i);
		if (!rc)
			rc = n->rank ? answer_all(n, i) : ask_all(n, i);
		/* A slot is given back when its queue has come so far. */
		if (!rc)
			rc = n->ops->sync(n->queue, &n->end.err);
		if (!rc)
			rc = part(n);
		else if (n->rx && n->tx)
			explain(n);
		close_channels(n);
	}
	return rc;
}

static void close_all(struct node *n)
{
	pfw_end_close(&n->end);
	if (n->compute)
		n->ops->close_queue(n->compute);
	if (n->queue)
		n->ops->close_queue(n->queue);
	if (n->device)
		n->ops->close(n->device);
}

void pfw_device_node_main(const struct pfw_bench *bench,
			  const struct pfw_subject *subject,
			  const struct pfw_device_ops *ops, uint32_t rank,
			  int peer, int fd)
{
	struct pfw_device_figures *out = calloc(1, sizeof(*out));
	struct node n = { .bench = bench, .subject = subject, .ops = ops,
			  .rank = rank, .peer = peer, .out = out };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!out)
		_exit(1);
	out->rc = measure(&n);
	snprintf(out->why, sizeof(out->why), "%.250s",
		 n.end.err.code ? n.end.err.text : strerror(-out->rc));
	if (write(fd, out, sizeof(*out)) != sizeof(*out))
		_exit(1);
	/* What has failed may wait for ever. */
	if (!out->rc)
		close_all(&n);
	_exit(0);
}
