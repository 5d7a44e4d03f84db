/*
 * pair.h: both ends of channels of the nccl transport, in one process.
 */
#ifndef PFW_TESTS_PAIR_H
#define PFW_TESTS_PAIR_H

#include <pipefw/device.h>
#include <pipefw/transport.h>

#include "settings/config.h"

/** Both ends of channels from rank 0 to rank 1. */
struct pair {
	const struct pfw_transport_ops *ops;
	struct pfw_values *opt;
	void *transport[2], *end[2]; /* 0: sender */
	struct pfw_address address[2];
	struct pfw_error err;
};

/** Transports with @p option, or NULL. */
int pair_open_transports(struct pair *p, const char *option);
/** A channel of 3 slots more; the two ends agree by themselves. */
int pair_open_ends(struct pair *p, uint32_t kind, uint32_t memory,
		   uint64_t slot_bytes, void *end[2]);
/** The same, invited by the sender as by a launcher. */
int pair_open_invited(struct pair *p, uint32_t kind, uint32_t memory,
		      uint64_t slot_bytes, void *end[2]);
/** Transports, and the ends of a first channel, of kind 0. */
int pair_open(struct pair *p, const char *option, uint32_t memory,
	      uint64_t slot_bytes);
/** The same of one slot, which is the device's. */
int pair_open_one(struct pair *p, uint64_t slot_bytes);
/** Also finds what the stand-ins have and nobody has freed. */
void pair_close(struct pair *p);

/** Fails the test where the error has not these words. */
void pair_expect(const struct pair *p, const char *words);
/** wait() for a long time. */
int pair_await(struct pair *p, int end, uint32_t slot);
/** check() of both ends, as the core does where it has waited long. */
int pair_check(struct pair *p);

/** Message @p m of @p bytes, whose contents follow from m. */
int pair_send(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes);
/** -EBADMSG: not that message. */
int pair_take(struct pair *p, uint32_t want, uint64_t m, uint64_t bytes);
/** Sent, posted, and taken. */
int pair_pass(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes);

#endif
