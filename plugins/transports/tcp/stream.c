#include "stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PULL_BYTES ((size_t)1 << 20) /* then others get their turn */
#define SILENCE_S 8 /* later than the launchers' own, who know more */

void tcp_queue_put(struct tcp_queue *q, uint32_t n_slots, uint32_t slot)
{
	q->list[(q->head + q->count++) % n_slots] = slot;
}

uint32_t tcp_queue_take(struct tcp_queue *q, uint32_t n_slots)
{
	uint32_t slot = q->list[q->head];

	q->head = (q->head + 1) % n_slots;
	q->count--;
	return slot;
}

/* Small packets at once; and a host that vanished is noticed.  Not by a limit on
 * what is unacknowledged: a rank that is stopped takes nothing for a while. */
static void tune(int fd)
{
	int yes = 1, idle = SILENCE_S - 3, one = 1, three = 3;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &three, sizeof(three));
}

int tcp_stream_open(struct tcp_stream *s, const struct pfw_channel_info *info,
		    int socket, uint64_t peer_pid, bool payload,
		    struct pfw_error *err)
{
	uint32_t n = info->n_slots;

	memset(s, 0, sizeof(*s));
	s->info = *info;
	s->socket = -1;
	s->peer_pid = peer_pid;
	s->peer = info->sending ? info->to : info->from;
	s->payload = payload;
	s->memory_bytes = payload ? n * info->slot_bytes : 0;
	if (payload)
		s->memory = mmap(NULL, s->memory_bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s->state = calloc(n, sizeof(*s->state));
	s->heads = calloc(n, sizeof(*s->heads));
	s->out.list = calloc(n, sizeof(*s->out.list));
	s->in.list = calloc(n, sizeof(*s->in.list));
	if (s->memory == MAP_FAILED || !s->state || !s->heads || !s->out.list ||
	    !s->in.list) {
		tcp_stream_close(s);
		return pfw_error_set(err, ENOMEM,
				     "no memory for %u slots of %llu bytes", n,
				     (unsigned long long)info->slot_bytes);
	}
	s->socket = socket;
	tune(socket);
	return 0;
}

void tcp_stream_close(struct tcp_stream *s)
{
	if (s->socket >= 0)
		close(s->socket);
	if (s->memory && s->memory != MAP_FAILED)
		munmap(s->memory, s->memory_bytes);
	free(s->state);
	free(s->heads);
	free(s->out.list);
	free(s->in.list);
}

int tcp_stream_error(const struct tcp_stream *s, struct pfw_error *err)
{
	if (s->failed == EPROTO)
		return pfw_error_set(err, EPROTO,
				     "rank %u (process %llu) sent what is no "
				     "message of the %s channel %u -> %u",
				     s->peer, (unsigned long long)s->peer_pid,
				     pfw_channel_kind_name(s->info.kind),
				     s->info.from, s->info.to);
	return pfw_error_set(err, EPIPE,
			     "rank %u (process %llu) is gone or has closed the "
			     "channel: %s",
			     s->peer, (unsigned long long)s->peer_pid,
			     s->failed == EPIPE ? "the connection has ended" :
						  strerror(s->failed));
}

static void fail(struct tcp_stream *s, int code)
{
	if (s->failed)
		return;
	s->failed = code;
	s->changes++;
}

bool tcp_stream_wants_out(const struct tcp_stream *s)
{
	return !s->failed && s->out.count;
}

/* What follows a head on the connection. */
static uint64_t tail_bytes(const struct tcp_stream *s, const struct tcp_head *h)
{
	return s->payload ? h->bytes : 0;
}

/* What is left of the first message: its head, then its payload. */
static ssize_t send_message(struct tcp_stream *s, uint64_t *whole)
{
	uint32_t slot = s->out.list[s->out.head];
	struct tcp_head *head = &s->heads[slot];
	uint64_t tail = tail_bytes(s, head);
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	uint64_t done = s->out_done;

	*whole = sizeof(*head) + tail;
	if (done < sizeof(*head))
		iov[msg.msg_iovlen++] = (struct iovec){
			.iov_base = (char *)head + done,
			.iov_len = sizeof(*head) - done,
		};
	done = done > sizeof(*head) ? done - sizeof(*head) : 0;
	if (done < tail)
		iov[msg.msg_iovlen++] = (struct iovec){
			.iov_base = s->memory + slot * s->info.slot_bytes + done,
			.iov_len = tail - done,
		};
	return sendmsg(s->socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t send_credit(struct tcp_stream *s, uint64_t *whole)
{
	*whole = sizeof(uint32_t);
	return send(s->socket,
		    (const char *)&s->out.list[s->out.head] + s->out_done,
		    sizeof(uint32_t) - s->out_done,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
}

void tcp_stream_push(struct tcp_stream *s)
{
	while (tcp_stream_wants_out(s)) {
		uint64_t whole;
		ssize_t n = s->info.sending ? send_message(s, &whole) :
					      send_credit(s, &whole);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			fail(s, errno);
			return;
		}
		s->out_done += (uint64_t)n;
		if (s->out_done < whole)
			continue;
		s->out_done = 0;
		tcp_queue_take(&s->out, s->info.n_slots);
	}
}

/* Into what is to be filled; the number of bytes, 0: none are there. */
static size_t take(struct tcp_stream *s, void *to, size_t len)
{
	ssize_t n = recv(s->socket, to, len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		fail(s, n ? errno : EPIPE);
		return 0;
	}
	s->in_done += (uint64_t)n;
	return (size_t)n;
}

static size_t pull_credit(struct tcp_stream *s)
{
	size_t n = take(s, (char *)&s->credit + s->in_done,
			sizeof(s->credit) - s->in_done);

	if (!n || s->in_done < sizeof(s->credit))
		return n;
	s->in_done = 0;
	if (s->credit >= s->info.n_slots ||
	    s->state[s->credit] != TCP_SLOT_FULL) {
		fail(s, EPROTO);
		return 0;
	}
	s->state[s->credit] = TCP_SLOT_FREE;
	s->changes++;
	return n;
}

/* The slot must be one that the sender may write into. */
static int begin_message(struct tcp_stream *s)
{
	const struct tcp_head *h = &s->head;

	if (h->magic != TCP_MAGIC || h->slot >= s->info.n_slots ||
	    h->bytes > s->info.slot_bytes ||
	    s->state[h->slot] != TCP_SLOT_FREE) {
		fail(s, EPROTO);
		return -EPROTO;
	}
	s->heads[h->slot] = *h;
	s->state[h->slot] = TCP_SLOT_TAKEN;
	return 0;
}

static size_t pull_message(struct tcp_stream *s)
{
	struct tcp_head *h = &s->head;
	size_t n;

	if (s->in_done < sizeof(*h)) {
		n = take(s, (char *)h + s->in_done, sizeof(*h) - s->in_done);
		if (s->in_done < sizeof(*h) || !n)
			return n;
		if (begin_message(s))
			return 0;
	} else {
		uint64_t done = s->in_done - sizeof(*h);

		n = take(s, s->memory + h->slot * s->info.slot_bytes + done,
			 h->bytes - done);
	}
	if (s->in_done < sizeof(*h) + tail_bytes(s, h))
		return n;
	s->in_done = 0;
	s->state[h->slot] = TCP_SLOT_FULL;
	tcp_queue_put(&s->in, s->info.n_slots, h->slot);
	s->changes++;
	return n;
}

void tcp_stream_pull(struct tcp_stream *s)
{
	size_t n = 1;

	for (size_t taken = 0; n && !s->failed && taken < PULL_BYTES; taken += n)
		n = s->info.sending ? pull_credit(s) : pull_message(s);
}
