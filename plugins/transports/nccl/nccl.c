/*
 * nccl: messages between GPUs by ncclSend and ncclRecv.
 *
 * A communicator of two ranks and a stream for each channel (or, where the
 * program is proved under that, for each edge), so that no message waits for one
 * of another kind.  Receives are posted by the plan.  A slot is memory of the GPU;
 * where the core asks for memory of the host it is pinned, and copied on the
 * stream.  A thread of each rank looks after what NCCL is still launching, and
 * whether a communicator has failed by itself.
 */
#include "nccl.h"

#include <pipefw/device.h>

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_SLOTS 65536u
#define MAX_BYTES ((uint64_t)1 << 40)
#define LOOK_NS 20000     /* at what a GPU is doing */
#define WATCH_NS 100000000 /* over what should go well */

static void nccl_props(const struct pfw_values *opt,
		       struct pfw_transport_props *out)
{
	const struct pfw_transport_props props = {
		.order = strcmp(pfw_value_string(opt, "communicators"), "edge") ?
				 PFW_ORDER_CHANNEL : PFW_ORDER_EDGE,
		.receive = PFW_RECEIVE_PLANNED,
		.memory = PFW_MEM_HOST | PFW_MEM_CUDA,
		.max_slots = MAX_SLOTS,
		.stream_ordered = 1,
		.max_bytes = MAX_BYTES,
		.latency = 15000,
	};
	size_t size = out->size < sizeof(props) ? out->size : sizeof(props);

	memcpy((char *)out + sizeof(size_t),
	       (const char *)&props + sizeof(size_t), size - sizeof(size_t));
}

static int nccl_probe(char *why, size_t len)
{
	struct nccl_library lib;
	struct pfw_error err = { 0 };
	char version[32];
	int n = 0;
	cudaError_t e;

	if (nccl_library_open(&lib, NCCL_LIBRARY, &err)) {
		snprintf(why, len, "%s", err.text);
		return -ENODEV;
	}
	nccl_version_text(lib.version, version, sizeof(version));
	e = cudaGetDeviceCount(&n);
	if (e || !n) {
		snprintf(why, len, "NCCL %s, and no GPU that CUDA can use (%s): "
			 "install NVIDIA's driver, and see what nvidia-smi says",
			 version, cudaGetErrorString(e ? e : cudaErrorNoDevice));
		return -ENODEV;
	}
	snprintf(why, len, "NCCL %s, %d GPU%s", version, n, n > 1 ? "s" : "");
	return 0;
}

/* How long until somebody should look again; the lock is held. */
static long look_after(struct nccl_transport *t)
{
	long next = WATCH_NS;

	for (struct nccl_comm *c = t->comms; c; c = c->next) {
		nccl_comm_turn(c);
		if (nccl_comm_is_well(c) && c->first)
			next = LOOK_NS;
	}
	return next;
}

static void *thread_main(void *arg)
{
	struct nccl_transport *t = arg;
	struct pollfd p = { .fd = t->wake, .events = POLLIN };
	bool stop = false;
	eventfd_t n;

	cudaSetDevice(t->card);
	while (!stop) {
		struct timespec pause = { 0 };

		pthread_mutex_lock(&t->lock);
		stop = t->stop;
		pause.tv_nsec = look_after(t);
		pthread_mutex_unlock(&t->lock);
		if (!stop && ppoll(&p, 1, &pause, NULL) > 0)
			eventfd_read(t->wake, &n);
	}
	return NULL;
}

/* The card that the rank's device has made current. */
static int choose_card(struct nccl_transport *t, const struct pfw_values *opt,
		       struct pfw_error *err)
{
	cudaError_t e;

	t->card = (int)pfw_value_int(opt, "card");
	e = t->card < 0 ? cudaGetDevice(&t->card) : cudaSetDevice(t->card);
	if (!e)
		return 0;
	return pfw_error_set(err, ENODEV, "rank %u has no GPU for NCCL: %s",
			     t->self.rank, cudaGetErrorString(e));
}

static void take_info(struct nccl_transport *t, const struct pfw_values *opt,
		      const struct pfw_transport_info *info)
{
	tcp_self_take(&t->self, pfw_value_string(opt, "address"), info);
	t->spin_ns = info->spin_ns;
	t->ctas = (uint32_t)pfw_value_int(opt, "ctas");
	t->by_edge = !strcmp(pfw_value_string(opt, "communicators"), "edge");
}

static int nccl_open(const struct pfw_values *opt,
		     const struct pfw_transport_info *info,
		     const struct pfw_below *below, void **transport,
		     struct pfw_address *self, struct pfw_error *err)
{
	struct nccl_transport *t = calloc(1, sizeof(*t));
	int rc;

	(void)below;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	take_info(t, opt, info);
	rc = nccl_library_open(&t->lib, pfw_value_string(opt, "library"), err);
	if (!rc)
		rc = choose_card(t, opt, err);
	if (!rc)
		rc = tcp_listener_open(&t->listener, &t->self, self, err);
	if (rc)
		goto err_free;
	pthread_mutex_init(&t->lock, NULL);
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->aborts = nccl_aborts_open();
	if (!t->aborts)
		rc = ENOMEM;
	else
		rc = t->wake < 0 ? errno :
			pfw_thread_start(&t->thread, thread_main, t);
	if (rc) {
		rc = pfw_error_set(err, rc, "rank %u cannot start the thread of "
				   "the nccl transport: %s", info->rank,
				   strerror(rc));
		goto err_listener;
	}
	*transport = t;
	return 0;

err_listener:
	if (t->aborts)
		nccl_aborts_close(t->aborts, NULL, NULL);
	if (t->wake >= 0)
		close(t->wake);
	pthread_mutex_destroy(&t->lock);
	tcp_listener_close(&t->listener);
err_free:
	free(t);
	return rc;
}

/* What transfers used until the last of them was aborted. */
static void free_rest(void *transport)
{
	struct nccl_transport *t = transport;

	while (t->closed) {
		struct nccl_end *c = t->closed;

		t->closed = c->next;
		nccl_channel_close(&c->c);
		free(c);
	}
	free(t);
}

static void nccl_close(void *transport)
{
	struct nccl_transport *t = transport;
	struct nccl_comm *m;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_mutex_unlock(&t->lock);
	eventfd_write(t->wake, 1);
	pthread_join(t->thread, NULL);
	while (t->comms) { /* for a channel that was never opened */
		m = t->comms;
		t->comms = m->next;
		nccl_comm_close(m);
		free(m);
	}
	close(t->wake);
	pthread_mutex_destroy(&t->lock);
	tcp_listener_close(&t->listener);
	nccl_aborts_close(t->aborts, free_rest, t);
}

static void *nccl_slot(void *channel, uint32_t slot)
{
	struct nccl_end *c = channel;

	return nccl_channel_slot(&c->c, slot);
}

/* Something is with NCCL still: the thread sees to it while the rank computes. */
static void unlock(struct nccl_end *c)
{
	bool pending = c->c.comm->first || tcp_stream_wants_out(&c->c.stream);

	pthread_mutex_unlock(&c->t->lock);
	if (pending)
		eventfd_write(c->t->wake, 1);
}

static int nccl_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct nccl_end *c = channel;
	int rc;

	pthread_mutex_lock(&c->t->lock);
	rc = nccl_channel_acquire(&c->c, slot, err);
	unlock(c);
	return rc;
}

static int nccl_send(void *channel, uint32_t slot, uint64_t bytes,
		     const struct pfw_message_id *id, struct pfw_error *err)
{
	struct nccl_end *c = channel;
	int rc;

	pthread_mutex_lock(&c->t->lock);
	rc = nccl_channel_send(&c->c, slot, bytes, id, err);
	unlock(c);
	return rc;
}

static int nccl_post(void *channel, uint32_t slot, uint64_t bytes,
		     struct pfw_error *err)
{
	struct nccl_end *c = channel;
	int rc;

	pthread_mutex_lock(&c->t->lock);
	rc = nccl_channel_post(&c->c, slot, bytes, err);
	unlock(c);
	return rc;
}

static int nccl_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		     struct pfw_message_id *id, struct pfw_error *err)
{
	struct nccl_end *c = channel;
	int rc;

	pthread_mutex_lock(&c->t->lock);
	rc = nccl_channel_recv(&c->c, slot, bytes, id, err);
	unlock(c);
	return rc;
}

static int nccl_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct nccl_end *c = channel;
	int rc;

	pthread_mutex_lock(&c->t->lock);
	rc = nccl_channel_release(&c->c, slot, err);
	unlock(c);
	return rc;
}

static int nccl_bind_queue(void *channel, void *queue, struct pfw_error *err)
{
	struct nccl_end *c = channel;
	const struct pfw_device_ops *ops = c->c.stream.info.device_ops;

	if (c->c.host || !ops || !ops->native)
		return pfw_error_set(err, ENOTSUP, "slots in the host's memory "
				     "are not in a device queue's order");
	pthread_mutex_lock(&c->t->lock);
	if (queue) {
		c->c.queue = ops->native(queue);
		c->c.bound = true;
	} else {
		nccl_comm_fail(c->c.comm, ECANCELED, "the channel was given up");
	}
	pthread_mutex_unlock(&c->t->lock);
	return 0;
}

/* A head wakes it; what a GPU does has to be looked at.  A dead peer's socket
 * would wake it for ever. */
static void sleep_a_little(struct nccl_end *c, uint64_t until, bool busy,
			   bool dead)
{
	struct pollfd p = { .fd = dead ? -1 : c->c.stream.socket,
			    .events = POLLIN };
	uint64_t now = pfw_now(), most = busy ? LOOK_NS : WATCH_NS;
	struct timespec pause = { 0 };

	if (until > now)
		pause.tv_nsec = (long)(until - now < most ? until - now : most);
	ppoll(&p, 1, &pause, NULL);
}

static int nccl_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	struct nccl_end *c = channel;
	uint64_t spin_end = pfw_now() + c->t->spin_ns;
	bool slept = false;

	for (;;) {
		bool due, busy, dead;

		pthread_mutex_lock(&c->t->lock);
		nccl_channel_turn(&c->c);
		due = nccl_channel_is_due(&c->c, slot);
		dead = nccl_channel_error(&c->c, NULL) != 0;
		busy = !dead && (c->c.comm->first || c->c.posted.count ||
				 c->c.stream.info.sending);
		if (!due && !slept && pfw_now() >= spin_end)
			slept = ++c->c.stream.stats.sleeps != 0;
		unlock(c);
		if (due)
			return 0;
		if (pfw_now() >= deadline)
			return -ETIMEDOUT;
		if (slept)
			sleep_a_little(c, deadline, busy, dead);
	}
}

/* What it sent before it went is still to be received.  A communicator of another
 * channel that has failed is told too: who waits may wait for what it carried. */
static int nccl_check(void *channel, struct pfw_error *err)
{
	struct nccl_end *c = channel;
	struct pollfd p = { .fd = c->c.stream.socket, .events = POLLRDHUP };
	int rc;

	pthread_mutex_lock(&c->t->lock);
	rc = nccl_channel_error(&c->c, err);
	for (struct nccl_comm *m = c->t->comms; !rc && m; m = m->next)
		rc = nccl_comm_error(m, err);
	pthread_mutex_unlock(&c->t->lock);
	if (!rc && poll(&p, 1, 0) > 0)
		rc = pfw_error_set(err, EPIPE, "rank %u (process %llu) is gone "
				   "or has closed the channel",
				   c->c.stream.peer,
				   (unsigned long long)c->c.stream.peer_pid);
	return rc;
}

static void nccl_stats(void *channel, struct pfw_channel_stats *out)
{
	struct nccl_end *c = channel;
	size_t size = out->size;

	pthread_mutex_lock(&c->t->lock);
	memcpy((char *)out + sizeof(size_t),
	       (const char *)&c->c.stream.stats + sizeof(size_t),
	       (size < sizeof(*out) ? size : sizeof(*out)) - sizeof(size_t));
	pthread_mutex_unlock(&c->t->lock);
}

static const struct pfw_option options[] = {
	{ .name = "address", .type = PFW_OPT_STRING,
	  .help = "numeric IPv4 or IPv6 address at which other hosts reach this "
		  "one; not given: the one at which the launchers met" },
	{ .name = "card", .type = PFW_OPT_INT, .def = "-1", .min = -1,
	  .max = 1023, .help = "number of the GPU; -1: the one of the rank's "
		  "device" },
	{ .name = "communicators", .type = PFW_OPT_CHOICE, .def = "channel",
	  .choices = "channel|edge",
	  .help = "one for each channel, or one for all kinds of an edge: fewer "
		  "buffers, and only programs that live with one order for all" },
	{ .name = "ctas", .type = PFW_OPT_INT, .def = "2", .min = 1, .max = 32,
	  .help = "most multiprocessors that a transfer may occupy" },
	{ .name = "library", .type = PFW_OPT_STRING, .def = NCCL_LIBRARY,
	  .help = "NCCL's library, by name or path" },
};

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.probe = nccl_probe,
	.props = nccl_props,
	.open = nccl_open,
	.close = nccl_close,
	.open_channel = nccl_end_open,
	.close_channel = nccl_end_close,
	.slot = nccl_slot,
	.acquire = nccl_acquire,
	.send = nccl_send,
	.recv = nccl_recv,
	.release = nccl_release,
	.wait = nccl_wait,
	.check = nccl_check,
	.stats = nccl_stats,
	.post = nccl_post,
	.bind_queue = nccl_bind_queue,
	.collectives = &nccl_collectives,
	.invite = nccl_invite,
};

PFW_PLUGIN(.kind = PFW_KIND_TRANSPORT, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "nccl", .summary = "NCCL between GPUs of any hosts",
	   PFW_OPTIONS(options), .ops = &ops);
