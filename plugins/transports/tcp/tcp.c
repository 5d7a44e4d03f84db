/*
 * tcp: ranks of any hosts exchange messages over sockets, a connection for each
 * channel.
 *
 * For hosts without RDMA, and to try a run on several hosts on one.  The kernel
 * copies every payload at both ends; the counters say so.  A thread of each rank
 * moves what its sockets could not take at once, and takes what comes, so that
 * bytes travel while the rank computes; the rank's own calls do the same when
 * they look.  wire.h has the protocol, callers.c and call.c bring the two ends
 * together, stream.c moves the bytes.
 */
#include "call.h"
#include "stream.h"

#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_SLOTS 65536u
#define MAX_BYTES ((uint64_t)1 << 40)
#define EVENTS 16

struct transport {
	struct tcp_self self;
	struct tcp_listener listener;
	uint64_t spin_ns;
	pthread_mutex_t lock; /* of all streams */
	pthread_t thread;
	int epoll, stop; /* stop: an eventfd */
};

struct channel {
	struct transport *t;
	struct tcp_call call; /* half-open: the sender's */
	int open;
	int writing;      /* the thread waits for room in the socket */
	int mourned;      /* wait() has told that the other end is lost */
	pthread_cond_t changed;
	struct tcp_stream stream;
};

static void tcp_props(const struct pfw_values *opt,
		      struct pfw_transport_props *out)
{
	const struct pfw_transport_props props = {
		.order = PFW_ORDER_CHANNEL,
		.receive = PFW_RECEIVE_EARLY,
		.memory = PFW_MEM_HOST,
		.max_slots = MAX_SLOTS,
		.max_bytes = MAX_BYTES,
		.latency = 30000,
	};
	size_t size = out->size < sizeof(props) ? out->size : sizeof(props);

	(void)opt;
	memcpy((char *)out + sizeof(size_t),
	       (const char *)&props + sizeof(size_t), size - sizeof(size_t));
}

/* The thread waits for room only while something waits for it. */
static void watch(struct channel *c)
{
	int out = tcp_stream_wants_out(&c->stream);
	struct epoll_event e = { .events = EPOLLIN | (out ? EPOLLOUT : 0u),
				 .data.ptr = c };

	if (c->stream.failed)
		epoll_ctl(c->t->epoll, EPOLL_CTL_DEL, c->stream.socket, NULL);
	else if (out != c->writing)
		epoll_ctl(c->t->epoll, EPOLL_CTL_MOD, c->stream.socket, &e);
	c->writing = out;
}

static void turn(struct channel *c)
{
	uint64_t before = c->stream.changes;

	if (c->stream.failed)
		return;
	tcp_stream_push(&c->stream);
	tcp_stream_pull(&c->stream);
	watch(c);
	if (c->stream.changes != before)
		pthread_cond_signal(&c->changed);
}

/* Events are taken with the lock held: a channel that was closed has none. */
static void turn_all(struct transport *t)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(t->epoll, events, EVENTS, 0);

	for (int i = 0; i < n; i++)
		turn(events[i].data.ptr);
}

static void *thread_main(void *arg)
{
	struct transport *t = arg;
	struct pollfd p[] = { { .fd = t->epoll, .events = POLLIN },
			      { .fd = t->stop, .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) > 0 && p[1].revents)
			return NULL;
		pthread_mutex_lock(&t->lock);
		turn_all(t);
		pthread_mutex_unlock(&t->lock);
	}
}

static int tcp_open(const struct pfw_values *opt,
		    const struct pfw_transport_info *info,
		    const struct pfw_below *below, void **transport,
		    struct pfw_address *self, struct pfw_error *err)
{
	struct transport *t = calloc(1, sizeof(*t));
	int rc, code = 0;

	(void)below;
	if (!t)
		return pfw_error_set(err, ENOMEM, "out of memory");
	tcp_self_take(&t->self, pfw_value_string(opt, "address"), info);
	t->spin_ns = info->spin_ns;
	rc = tcp_listener_open(&t->listener, &t->self, self, err);
	if (rc)
		goto err_free;
	pthread_mutex_init(&t->lock, NULL);
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->stop = eventfd(0, EFD_CLOEXEC);
	if (t->epoll < 0 || t->stop < 0)
		code = errno;
	else
		code = pfw_thread_start(&t->thread, thread_main, t);
	if (code) {
		rc = pfw_error_set(err, code, "rank %u cannot start the thread "
				   "of the tcp transport: %s",
				   info->rank, strerror(code));
		goto err_fds;
	}
	*transport = t;
	return 0;

err_fds:
	if (t->epoll >= 0)
		close(t->epoll);
	if (t->stop >= 0)
		close(t->stop);
	pthread_mutex_destroy(&t->lock);
	tcp_listener_close(&t->listener);
err_free:
	free(t);
	return rc;
}

static void tcp_close(void *transport)
{
	struct transport *t = transport;

	if (!t)
		return;
	eventfd_write(t->stop, 1);
	pthread_join(t->thread, NULL);
	close(t->epoll);
	close(t->stop);
	pthread_mutex_destroy(&t->lock);
	tcp_listener_close(&t->listener);
	free(t);
}

static void tcp_close_channel(void *channel)
{
	struct channel *c = channel;

	if (!c)
		return;
	if (c->open) {
		pthread_mutex_lock(&c->t->lock);
		tcp_stream_push(&c->stream);
		epoll_ctl(c->t->epoll, EPOLL_CTL_DEL, c->stream.socket, NULL);
		pthread_mutex_unlock(&c->t->lock);
		tcp_stream_close(&c->stream);
	} else if (c->call.socket >= 0) {
		close(c->call.socket);
	}
	pthread_cond_destroy(&c->changed);
	free(c);
}

static int new_channel(struct transport *t, const struct pfw_channel_info *info,
		       struct channel **out, struct pfw_error *err)
{
	struct channel *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return pfw_error_set(err, ENOMEM, "out of memory");
	c->t = t;
	tcp_call_begin(&c->call, &t->self, info);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	*out = c;
	return 0;
}

static int begin(struct channel *c, const struct pfw_channel_info *info,
		 int socket, uint64_t pid, struct pfw_error *err)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	int rc = tcp_stream_open(&c->stream, info, socket, pid, true, err);

	if (rc) {
		close(socket);
		return rc;
	}
	c->open = 1;
	if (epoll_ctl(c->t->epoll, EPOLL_CTL_ADD, socket, &e))
		return pfw_error_set(err, errno, "epoll: %s", strerror(errno));
	return 0;
}

static int tcp_open_channel(void *transport, const struct pfw_channel_info *info,
			    const struct pfw_address *peer, void **channel,
			    struct pfw_error *err)
{
	struct transport *t = transport;
	struct channel *c = *channel;
	struct tcp_address a;
	int fd, rc = tcp_address_read(peer, info->sending ? info->to :
							    info->from,
				      &a, err);
	uint64_t pid;

	if (!rc && !c)
		rc = new_channel(t, info, &c, err);
	if (rc)
		return rc;
	*channel = c;
	rc = tcp_call_join(&c->call, info->sending ? NULL : &t->listener,
			   &t->self, peer, &fd, &pid, err);
	return rc ? rc : begin(c, info, fd, pid, err);
}

static void *tcp_slot(void *channel, uint32_t slot)
{
	struct channel *c = channel;

	return c->stream.memory + slot * c->stream.info.slot_bytes;
}

static int tcp_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct channel *c = channel;
	struct tcp_stream *s = &c->stream;
	int rc = 0;

	if (slot >= s->info.n_slots)
		return pfw_error_set(err, EINVAL, "slot %u of %u", slot,
				     s->info.n_slots);
	pthread_mutex_lock(&c->t->lock);
	if (s->state[slot] == TCP_SLOT_FULL)
		turn(c);
	if (s->state[slot] == TCP_SLOT_FREE)
		s->state[slot] = TCP_SLOT_TAKEN;
	else if (s->state[slot] == TCP_SLOT_FULL)
		rc = s->failed ? tcp_stream_error(s, err) : -EAGAIN;
	pthread_mutex_unlock(&c->t->lock);
	return rc;
}

static int tcp_send(void *channel, uint32_t slot, uint64_t bytes,
		    const struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	struct tcp_stream *s = &c->stream;
	int rc = 0;

	if (bytes > s->info.slot_bytes)
		return pfw_error_set(err, EMSGSIZE,
				     "%llu bytes for a slot of %llu",
				     (unsigned long long)bytes,
				     (unsigned long long)s->info.slot_bytes);
	pthread_mutex_lock(&c->t->lock);
	if (slot >= s->info.n_slots || s->state[slot] != TCP_SLOT_TAKEN) {
		rc = pfw_error_set(err, EINVAL, "slot %u was not acquired",
				   slot);
	} else if (s->failed) {
		rc = tcp_stream_error(s, err);
	} else {
		s->heads[slot] = (struct tcp_head){ .magic = TCP_MAGIC,
						    .slot = slot,
						    .bytes = bytes,
						    .id = *id };
		s->state[slot] = TCP_SLOT_FULL;
		tcp_queue_put(&s->out, s->info.n_slots, slot);
		s->stats.messages++;
		s->stats.bytes += bytes;
		s->stats.copied_bytes += bytes;
		tcp_stream_push(s);
		watch(c);
	}
	pthread_mutex_unlock(&c->t->lock);
	return rc;
}

static int tcp_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		    struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	struct tcp_stream *s = &c->stream;
	int rc = 0;

	pthread_mutex_lock(&c->t->lock);
	if (!s->in.count)
		turn(c);
	if (s->in.count) {
		*slot = tcp_queue_take(&s->in, s->info.n_slots);
		s->state[*slot] = TCP_SLOT_USED;
		*bytes = s->heads[*slot].bytes;
		*id = s->heads[*slot].id;
		s->stats.messages++;
		s->stats.bytes += *bytes;
		s->stats.copied_bytes += *bytes;
	} else {
		rc = s->failed ? tcp_stream_error(s, err) : -EAGAIN;
	}
	pthread_mutex_unlock(&c->t->lock);
	return rc;
}

static int tcp_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct channel *c = channel;
	struct tcp_stream *s = &c->stream;
	int rc = 0;

	pthread_mutex_lock(&c->t->lock);
	if (slot >= s->info.n_slots || s->state[slot] != TCP_SLOT_USED) {
		rc = pfw_error_set(err, EINVAL, "slot %u holds no message",
				   slot);
	} else {
		s->state[slot] = TCP_SLOT_FREE;
		tcp_queue_put(&s->out, s->info.n_slots, slot);
		tcp_stream_push(s);
		watch(c);
	}
	pthread_mutex_unlock(&c->t->lock);
	return rc;
}

/* What is waited for is there, or the other end is lost, which is told once. */
static bool is_due(struct channel *c, uint32_t slot)
{
	const struct tcp_stream *s = &c->stream;

	if (s->info.sending ? slot < s->info.n_slots &&
			      s->state[slot] != TCP_SLOT_FULL :
			      s->in.count != 0)
		return true;
	if (!s->failed || c->mourned)
		return false;
	c->mourned = 1;
	return true;
}

/* All channels: what this one waits for may be the answer to what another one's
 * socket had no room for, and the thread has no core while we spin on it. */
static bool spin(struct channel *c, uint32_t slot, uint64_t until)
{
	bool due;

	do {
		pthread_mutex_lock(&c->t->lock);
		turn_all(c->t);
		due = is_due(c, slot);
		pthread_mutex_unlock(&c->t->lock);
	} while (!due && pfw_now() < until);
	return due;
}

static int tcp_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	struct channel *c = channel;
	uint64_t now = pfw_now(), spin_end = now + c->t->spin_ns;
	const struct timespec at = {
		.tv_sec = (time_t)(deadline / PFW_S),
		.tv_nsec = (long)(deadline % PFW_S),
	};
	int code = 0;

	if (spin(c, slot, spin_end < deadline ? spin_end : deadline))
		return 0;
	pthread_mutex_lock(&c->t->lock);
	c->stream.stats.sleeps++;
	while (!is_due(c, slot) && !code)
		code = pthread_cond_timedwait(&c->changed, &c->t->lock, &at);
	pthread_mutex_unlock(&c->t->lock);
	return code ? -ETIMEDOUT : 0;
}

/* What it sent before it went is still to be received. */
static int tcp_check(void *channel, struct pfw_error *err)
{
	struct channel *c = channel;
	struct pollfd p = { .fd = c->stream.socket, .events = POLLRDHUP };
	int rc = 0;

	pthread_mutex_lock(&c->t->lock);
	if (c->stream.failed)
		rc = tcp_stream_error(&c->stream, err);
	pthread_mutex_unlock(&c->t->lock);
	if (!rc && poll(&p, 1, 0) > 0)
		rc = pfw_error_set(err, EPIPE,
				   "rank %u (process %llu) is gone or has "
				   "closed the channel",
				   c->stream.peer,
				   (unsigned long long)c->stream.peer_pid);
	return rc;
}

static void tcp_stats(void *channel, struct pfw_channel_stats *out)
{
	struct channel *c = channel;
	size_t size = out->size;

	pthread_mutex_lock(&c->t->lock);
	memcpy((char *)out + sizeof(size_t),
	       (const char *)&c->stream.stats + sizeof(size_t),
	       (size < sizeof(*out) ? size : sizeof(*out)) - sizeof(size_t));
	pthread_mutex_unlock(&c->t->lock);
}

static const struct pfw_option options[] = {
	{ "address", PFW_OPT_STRING, 0, NULL, "numeric IPv4 or IPv6 address at "
	  "which other hosts reach this one; not given: the one at which the "
	  "launchers met", NULL, 0, 0 },
};

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.props = tcp_props,
	.open = tcp_open,
	.close = tcp_close,
	.open_channel = tcp_open_channel,
	.close_channel = tcp_close_channel,
	.slot = tcp_slot,
	.acquire = tcp_acquire,
	.send = tcp_send,
	.recv = tcp_recv,
	.release = tcp_release,
	.wait = tcp_wait,
	.check = tcp_check,
	.stats = tcp_stats,
};

PFW_PLUGIN(.kind = PFW_KIND_TRANSPORT, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "tcp", .summary = "sockets between ranks of any hosts",
	   PFW_OPTIONS(options), .ops = &ops);
