/*
 * wire.h: what two ranks tell each other, over TCP before they share memory and
 * over the queue pairs with each message.
 *
 * The address of a rank goes through the boot, with a number that is used once.
 * Hellos are signed with the run's key: the caller's together with that number,
 * the answer together with the caller's signature.  No number of a queue pair, no
 * address and no key of memory is believed before.
 */
#ifndef VERBS_WIRE_H
#define VERBS_WIRE_H

#include "device.h"

#define VERBS_MAGIC 0x736272652d776970u /* also tells the endianness */
#define VERBS_VERSION 5u
#define VERBS_LANES 16u
#define VERBS_HOST_BYTES 48u
#define VERBS_IP_BYTES 48u
#define VERBS_NONCE_BYTES PFW_MAC_BYTES

/* What a struct pfw_address holds. */
struct verbs_address {
	uint64_t magic;
	uint32_t version;
	uint32_t n_rails;
	unsigned char nonce[VERBS_NONCE_BYTES];
	char ip[VERBS_IP_BYTES]; /* numeric */
	uint32_t tcp_port;
	uint32_t by_send; /* its messages end in a SEND, in both directions */
	struct {
		uint32_t max_msg; /* bytes of one work request */
		uint32_t n_gids;
		uint8_t type[VERBS_GIDS]; /* enum ibv_gid_type */
		uint8_t link_layer;
		unsigned char gid[VERBS_GIDS][16];
	} rail[VERBS_RAILS];
};

_Static_assert(sizeof(struct verbs_address) <=
	       sizeof(((struct pfw_address *)0)->bytes), "it must fit");

/* One end of one queue pair. */
struct verbs_lane_hello {
	uint32_t qpn, psn;
	uint32_t rkey;     /* of the receiver's slots */
	uint32_t header_rkey;
	uint32_t page_rkey;
	uint32_t mtu;      /* enum ibv_mtu */
	uint16_t lid;
	uint8_t link_layer;
	uint8_t port;
	unsigned char gid[16];      /* this end's */
	unsigned char peer_gid[16]; /* the other end's, as the caller chose it */
	char device[32];
};

/* The caller's first words, and the answer. */
struct verbs_hello {
	uint64_t magic;
	uint32_t version;
	int32_t code; /* positive errno: refused, and `text` says why */
	uint64_t job;
	uint64_t slot_bytes;
	uint64_t slots; /* address of slot 0 at the receiver */
	uint64_t stride; /* from one to the next */
	uint64_t headers; /* address of slot 0's */
	uint64_t header_stride;
	uint64_t page;  /* address of this end's struct verbs_page */
	uint32_t from, to, kind, n_slots;
	uint32_t n_lanes;
	int32_t pid;
	char host[VERBS_HOST_BYTES];
	char text[252];
	struct verbs_lane_hello lane[VERBS_LANES];
	unsigned char proof[PFW_MAC_BYTES]; /* of all before it */
};

/*
 * Goes with each message: lies in front of its slot, or behind the page where the
 * slot is a device's memory, or comes as a SEND.  The first member is what an
 * immediate carries.
 */
struct verbs_header {
	uint32_t tag;
	uint32_t lanes;    /* over how many the message is spread */
	uint64_t message;  /* counts from 0 for the life of the channel */
	uint64_t bytes;
	struct pfw_message_id id;
	uint64_t reserved;
};

_Static_assert(sizeof(struct verbs_header) == PFW_ALIGN, "slots stay aligned");

/*
 * A tag: slot and generation, the number of messages that the slot has had
 * before.  It says all that there is to say, so that the order in which
 * completions come does not matter.
 */
#define VERBS_MAX_SLOTS 4096u
/* Tags that are no slot's: nothing more will come; look at your page. */
#define VERBS_BYE 0x80000000u
#define VERBS_WAKE 0x80000001u

static inline uint32_t verbs_tag(uint32_t slot, uint64_t generation)
{
	return slot << 16 | ((uint32_t)generation & 0xffffu);
}

static inline uint32_t verbs_tag_slot(uint32_t tag)
{
	return tag >> 16;
}

/*
 * What the other end writes here, eight bytes at a time and without a completion.
 * A sender finds in `credit` how many messages of a slot were released; before it
 * sleeps for one, it writes which into `asked` of the receiver, who then sends
 * VERBS_WAKE behind that credit.
 */
struct verbs_page {
	uint64_t asked;
	uint32_t body[2][2]; /* VERBS_BYE and VERBS_WAKE, to be sent from here */
	uint64_t credit[];
};

/* `generation` messages of @p slot. */
static inline uint64_t verbs_question(uint32_t slot, uint64_t generation)
{
	return generation << 12 | slot;
}

static inline uint32_t verbs_question_slot(uint64_t question)
{
	return question & (VERBS_MAX_SLOTS - 1);
}

static inline uint64_t verbs_question_generation(uint64_t question)
{
	return question >> 12;
}

#endif
