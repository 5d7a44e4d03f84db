/*
 * pair.h: both ends of a channel of the verbs transport, in one process, over the
 * stand-in for libibverbs.
 */
#ifndef PFW_TESTS_RDMA_PAIR_H
#define PFW_TESTS_RDMA_PAIR_H

#include "fake_verbs.h"

#include <pipefw/device.h>
#include <pipefw/transport.h>

#include "base/clock.h"

#define PATIENCE (20 * PFW_S)

extern const struct pfw_plugin pfw_plugin;
/** The plugin's. */
extern const struct pfw_transport_ops *ops;

/** Both ends of a channel from rank 0 to rank 1. */
struct pair {
	struct pfw_values *opt;
	void *transport[2], *tx, *rx;
	struct pfw_address address[2];
	/** Whose memory the slots of each end are; NULL: the host's. */
	const struct pfw_device_ops *device_ops[2];
	void *device[2];
	struct pfw_error err;
};

/** Of two rails and @p option, or NULL; nothing is open. */
int pair_make(struct pair *p, const char *option);
int pair_open_rank(struct pair *p, uint32_t rank, const uint8_t *key);
/** The two above. */
int pair_open_ranks(struct pair *p, const char *option,
		    const uint8_t *const key[2]);
/** As the core does: where a device's memory is refused, the host's will do. */
int pair_open_ends(struct pair *p, uint32_t n_slots, uint64_t slot_bytes);
void pair_close_ends(struct pair *p);
/** All of the above. */
int pair_open(struct pair *p, const char *option, uint32_t n_slots,
	      uint64_t slot_bytes);
/** Everything works again; also finds what nobody has freed. */
void pair_close(struct pair *p);

/** Message @p m of @p bytes, whose contents follow from m. */
int pair_send(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes);
/** The next message is the m-th, of so many bytes, all of them right. */
int pair_take(struct pair *p, uint32_t *slot, uint64_t m, uint64_t bytes);
/** Sent, taken and released. */
int pair_pass(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes);

/** Fails the test where the error has not these words. */
void pair_expect(const struct pair *p, const char *words);

#endif
