/*
 * wire.h: what goes over a connection of the tcp transport.
 *
 * One connection carries one channel.  The sending rank calls:
 *
 *    sender  -- hello: which channel, nonce -------------->  receiver
 *            <-- answer: nonce, proof that it has the key --
 *            -- proof that it has the key ---------------->
 *            <-- verdict: 0, or why not --------------------
 *    then    -- head, payload; head, payload ... --------->
 *            <-- slot; slot ... (released) -----------------
 *
 * Both ends are little-endian, or say so and part: TCP_MAGIC is no palindrome.
 */
#ifndef PFW_TCP_WIRE_H
#define PFW_TCP_WIRE_H

#include <pipefw/transport.h>

#define TCP_MAGIC 0x3170637477667001ull /* 1 "pfwtcp1" */
#define TCP_HOST_BYTES 48u
#define TCP_NONCE_BYTES 32u

/** What a struct pfw_address holds. */
struct tcp_address {
	uint64_t magic;
	uint32_t port;
	uint32_t reserved;
	char host[TCP_HOST_BYTES]; /**< numeric */
};

struct tcp_hello {
	uint64_t magic;
	uint64_t job;
	uint32_t from, to, kind;
	uint32_t n_slots;
	uint64_t slot_bytes;
	uint64_t pid;
	uint8_t nonce[TCP_NONCE_BYTES];
};

struct tcp_answer {
	uint64_t magic;
	uint64_t pid;
	uint8_t nonce[TCP_NONCE_BYTES];
	uint8_t proof[PFW_MAC_BYTES];
};

struct tcp_verdict {
	uint32_t code;  /**< positive errno; 0: the channel is open */
	uint32_t reserved;
	char text[248];
};

/** Before each payload. */
struct tcp_head {
	uint64_t magic;
	uint32_t slot;
	uint32_t reserved;
	uint64_t bytes;
	struct pfw_message_id id;
};

/** MAC of the role ("calls", "answers") over the two first messages. */
void tcp_prove(const uint8_t key[PFW_MAC_BYTES], const char *role,
	       const struct tcp_hello *hello,
	       const uint8_t nonce[TCP_NONCE_BYTES],
	       uint8_t out[PFW_MAC_BYTES]);

/** A message of the greeting as it comes in; 0: whole, -EAGAIN, -EPIPE. */
int tcp_take(int fd, void *buf, size_t len, size_t *have);
/** All or nothing: greetings are shorter than a socket's buffer. */
int tcp_say(int fd, const void *data, size_t len);

#endif
