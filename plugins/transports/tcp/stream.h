/*
 * stream.h: an open channel: messages one way, released slots the other.  The
 * messages' heads alone where payloads take another way.
 *
 * Every call here is made with the transport's lock held, and none waits.
 */
#ifndef PFW_TCP_STREAM_H
#define PFW_TCP_STREAM_H

#include "wire.h"

#include <pthread.h>
#include <stdbool.h>

#define TCP_SLOT_FREE 0u   /**< sender: to be acquired; receiver: empty */
#define TCP_SLOT_TAKEN 1u  /**< sender: acquired; receiver: being filled */
#define TCP_SLOT_FULL 2u   /**< sender: sent, not released; receiver: whole */
#define TCP_SLOT_USED 3u   /**< receiver: given to recv()'s caller */

/** A FIFO of slots; never more than there are. */
struct tcp_queue {
	uint32_t *list; /**< [n_slots] */
	uint32_t head, count;
};

struct tcp_stream {
	struct pfw_channel_info info;
	int socket;
	uint64_t peer_pid;
	uint32_t peer;
	bool payload;           /**< it follows each head; else memory is NULL */
	char *memory;           /**< [n_slots * slot_bytes] */
	uint64_t memory_bytes;
	unsigned char *state;   /**< [n_slots] TCP_SLOT_* */
	struct tcp_head *heads; /**< [n_slots] */
	struct tcp_queue out;   /**< sender: to be sent; receiver: released */
	struct tcp_queue in;    /**< receiver: arrived */
	uint64_t out_done;      /**< bytes of the first in `out` */
	uint64_t in_done;       /**< bytes of what comes in now */
	struct tcp_head head;   /**< receiver: of what comes in */
	uint32_t credit;        /**< sender: what comes in */
	uint64_t changes;       /**< grows when something came in */
	int failed;             /**< positive errno: the other end is lost */
	struct pfw_channel_stats stats;
};

/** The socket is the stream's on success. */
int tcp_stream_open(struct tcp_stream *s, const struct pfw_channel_info *info,
		    int socket, uint64_t peer_pid, bool payload,
		    struct pfw_error *err);
void tcp_stream_close(struct tcp_stream *s);

/** Sends what waits, as far as the socket takes it. */
void tcp_stream_push(struct tcp_stream *s);
/** Takes what is there, but no more than a share of it at once. */
void tcp_stream_pull(struct tcp_stream *s);
bool tcp_stream_wants_out(const struct tcp_stream *s);

/** -EPIPE, -EPROTO: with the sentence. */
int tcp_stream_error(const struct tcp_stream *s, struct pfw_error *err);

void tcp_queue_put(struct tcp_queue *q, uint32_t n_slots, uint32_t slot);
uint32_t tcp_queue_take(struct tcp_queue *q, uint32_t n_slots);

#endif
