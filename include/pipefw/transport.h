/*
 * pipefw/transport.h: the transport interface, for transports and filters.
 *
 * A transport moves messages over channels.  A channel joins two ranks in one
 * direction and carries one kind of message, in order.  All memory that a
 * message passes through belongs to the channel: `n_slots` slots of
 * `slot_bytes` each.  The sender's stage writes into a slot, the receiver's
 * stage reads it where it lies; how it gets from one to the other (the same
 * page, an RDMA write, a copy engine) is the transport's business.
 *
 * Life of a message, m-th of its channel, in slot s (the core's plan says which
 * slot; both ends know the plan):
 *
 *    sender                               receiver
 *    acquire(s)  -EAGAIN until s is free
 *    ... kernels write into the slot ...
 *    send(s, bytes, id) ---------------->  recv()  -EAGAIN until it is there
 *                                          ... kernels read the slot ...
 *                       <----------------  release(s), in any order of slots
 *
 * - The data plane never blocks: it answers 0, -EAGAIN, or an error that is
 *   final for the channel.  Blocking is wait()'s alone, and has a deadline.
 * - A dead peer is -EPIPE on its channels, never a wait for ever.
 * - Slots are written by the sender between acquire() and send() only, and read
 *   by the receiver between recv() and release() only.
 */
#ifndef PIPEFW_TRANSPORT_H
#define PIPEFW_TRANSPORT_H

#include <pipefw/mac.h>
#include <pipefw/plugin.h>

PFW_BEGIN_DECLS

struct pfw_device_ops; /* device.h */

/** Kinds of channel: an open small integer. */
#define PFW_CHANNEL_ACTIVATION 0u
#define PFW_CHANNEL_GRADIENT 1u
#define PFW_CHANNEL_TIE 2u        /**< gradients of tied parameters */
#define PFW_CHANNEL_SCALAR 3u     /**< loss, norm, decisions, sampled tokens */
#define PFW_CHANNEL_COLLECTIVE 4u

/** "activation", "gradient", ...; "?" for an unknown kind. */
PFW_API const char *pfw_channel_kind_name(uint32_t kind);

/** Who a message is; travels with it, and is checked by the core. */
struct pfw_message_id {
	uint64_t sequence; /**< m: counts from 0 for the life of the channel */
	uint64_t step;
	uint32_t stage;      /**< the stage that made it */
	uint32_t microbatch;
	uint32_t kind;       /**< PFW_CHANNEL_* */
	uint32_t program;    /**< train, eval, generate, warm-up: the core's */
};

/** Which messages wait for which: the widest in-order queue they share. */
#define PFW_ORDER_CHANNEL 1u   /**< each channel has a queue of its own */
#define PFW_ORDER_EDGE 2u      /**< all kinds from one rank to another */
#define PFW_ORDER_DIRECTION 3u /**< all of one rank's activations, ... */
#define PFW_ORDER_RANK 4u      /**< all of one rank's messages */

/** When a receive is posted. */
#define PFW_RECEIVE_EARLY 1u   /**< as soon as its slot is free */
#define PFW_RECEIVE_PLANNED 2u /**< in the receiver's program order */

/** What a transport says of itself; the planner reads it. */
struct pfw_transport_props {
	size_t size;
	uint32_t order;        /**< PFW_ORDER_* */
	uint32_t receive;      /**< PFW_RECEIVE_* */
	uint32_t memory;       /**< OR of PFW_MEM_*: what its slots may be */
	uint32_t shared_slots; /**< 1: both ends see the same bytes, so a slot
				    counts once in the memory of a run */
	uint32_t max_slots;    /**< per channel */
	uint32_t stream_ordered; /**< 1: send and recv take a device queue */
	uint64_t max_bytes;    /**< of one slot */
	uint64_t latency;      /**< estimate, ns */
	uint64_t bandwidth;    /**< estimate, bytes/s; 0: not known */
};

/** Opaque address of an opened transport; carried by the boot. */
struct pfw_address {
	uint32_t len;
	uint8_t bytes[508];
};

/** Which rank opens the transport, and what it may do. */
struct pfw_transport_info {
	size_t size;
	uint32_t rank;
	uint32_t ranks;
	uint64_t job;     /**< random number of the run, the same on all ranks */
	uint64_t spin_ns; /**< how long wait() may spin before it sleeps; 0 where
			       ranks outnumber cores */
	const char *host; /**< host id: equal strings share memory */
	const char *address; /**< numeric IPv4 or IPv6: where the other hosts of
				  the run reach this one */
	const uint8_t *key; /**< [PFW_MAC_BYTES] known to this run's ranks
				 alone, see mac.h */
};

/** By which ranks that are to be joined find each other: one makes it, and it is
 *  given to the others. */
struct pfw_group_id {
	uint8_t bytes[128];
};

/** One end of a channel as the plan describes it. */
struct pfw_channel_info {
	size_t size;
	uint32_t from, to; /**< ranks; from != to */
	uint32_t kind;     /**< PFW_CHANNEL_* */
	uint32_t n_slots;  /**< >= 1 */
	uint64_t slot_bytes; /**< a multiple of PFW_ALIGN */
	uint32_t memory;   /**< one PFW_MEM_* bit: this end's slots */
	uint32_t sending;  /**< 1 at `from`, 0 at `to` */
	/** Whose memory it is, where it is not the host's: the transport may have
	 *  slots of it, and frees them in close_channel(). */
	const struct pfw_device_ops *device_ops;
	void *device;
	/** What invite() gave at `from`, at both ends and until open_channel()
	 *  returns; NULL: nothing was carried. */
	const struct pfw_group_id *id;
};

/** Counters of one end of one channel. */
struct pfw_channel_stats {
	size_t size;
	uint64_t messages;
	uint64_t bytes;        /**< payload handed over */
	uint64_t copied_bytes; /**< payload that the transport copied */
	uint64_t sleeps;       /**< waits that went to sleep */
};

/** What lies below a filter: its ops, and the object they belong to. */
struct pfw_below;

struct pfw_transport_ops {
	size_t size;

	/**
	 * (optional: it can always run)  Can it run on this machine?  0, and
	 * what it found in @p why if it has something to tell; or -ENODEV with
	 * what is missing and what would help.
	 */
	int (*probe)(char *why, size_t len);

	/**
	 * Fills @p out, whose size is set; before open(), and cheap.  A filter
	 * finds there what lies below says, and changes what it changes.
	 */
	void (*props)(const struct pfw_values *opt,
		      struct pfw_transport_props *out);

	/**
	 * One object per rank, opened in the process that uses it.  @p below is
	 * NULL for a transport.  @p self is where peers reach this rank: the
	 * core gives it to them.  A filter finds there the address of what lies
	 * below, and may leave it.
	 */
	int (*open)(const struct pfw_values *opt,
		    const struct pfw_transport_info *info,
		    const struct pfw_below *below, void **transport,
		    struct pfw_address *self, struct pfw_error *err);
	/** After all its channels are closed, filters before what lies below
	 *  them.  Takes NULL. */
	void (*close)(void *transport);

	/**
	 * Opens one end of a channel.  @p peer is the other end's address.
	 * Never blocks: -EAGAIN until the other side has come; call again with
	 * the same arguments and the same @p channel (NULL in the first call;
	 * it may be set to a half-open object, which close_channel() takes).
	 * The core opens all channels of a rank in turn until none says -EAGAIN.
	 *
	 * -ENOTSUP, where slots were to be a device's memory: not on this machine, or
	 * not to this peer.  The core closes what is half open, asks again for memory
	 * of the host, and copies; the other end need not know.
	 */
	int (*open_channel)(void *transport, const struct pfw_channel_info *info,
			    const struct pfw_address *peer, void **channel,
			    struct pfw_error *err);
	/** Forgets messages in flight.  Takes NULL. */
	void (*close_channel)(void *channel);

	/** Address of a slot at this end, in the memory that was asked for; fixed
	 *  while the channel is open. */
	void *(*slot)(void *channel, uint32_t slot);

	/** Sender: 0 when the receiver is done with the slot's last message. */
	int (*acquire)(void *channel, uint32_t slot, struct pfw_error *err);
	/** Sender: hands over the first @p bytes of an acquired slot. */
	int (*send)(void *channel, uint32_t slot, uint64_t bytes,
		    const struct pfw_message_id *id, struct pfw_error *err);
	/** Receiver: the channel's next message, if it is there. */
	int (*recv)(void *channel, uint32_t *slot, uint64_t *bytes,
		    struct pfw_message_id *id, struct pfw_error *err);
	/** Receiver: done with the message in this slot. */
	int (*release)(void *channel, uint32_t slot, struct pfw_error *err);

	/**
	 * Sleeps until something may have changed on the channel (a message, a
	 * freed slot, a dead peer), or until @p deadline (CLOCK_MONOTONIC, ns):
	 * 0 or -ETIMEDOUT.  May wake for nothing, but a peer that stays dead is
	 * -ETIMEDOUT at the deadline: who waits in slices gets to check().  At
	 * a sender @p slot is the slot waited for, at a receiver PFW_NONE.
	 */
	int (*wait)(void *channel, uint32_t slot, uint64_t deadline);

	/**
	 * Is the other end alive?  0, or -EPIPE with what is known ("process
	 * 123 is gone").  May take a system call: the core asks only when it
	 * has waited long.
	 */
	int (*check)(void *channel, struct pfw_error *err);

	/** (optional: nothing counted)  @p out's size is set. */
	void (*stats)(void *channel, struct pfw_channel_stats *out);

	/**
	 * (required where receives must be posted, NULL where messages arrive
	 * by themselves)  The channel's next message may land in this slot.
	 * Called in message order, as early as the slot is free.
	 */
	int (*post)(void *channel, uint32_t slot, uint64_t bytes,
		    struct pfw_error *err);

	/**
	 * (required with stream_ordered)  Ties the calls that follow to a queue
	 * of the channel's device: send() and release() are what comes after all
	 * that was queued, and what is queued after acquire() and recv() comes
	 * after these.  NULL: what still waits for this channel waits no more; no
	 * message passes any longer.
	 *
	 * The core does so where receives are not posted: a queue may then wait for
	 * work alone that its peer has queued before, and queues that share an
	 * engine of the device cannot hold each other up for ever.  -ENOTSUP: not
	 * on this machine; the hosts keep the order.
	 */
	int (*bind_queue)(void *channel, void *queue, struct pfw_error *err);

	/**
	 * (optional: nothing to tell)  What it has found and uses, for the run's
	 * header, in a few words and without a newline; none: nothing to tell.
	 * When the channels of the rank are open.  Ranks that say the same share a
	 * line: no addresses, no processes.
	 */
	void (*describe)(void *transport, char *out, size_t len);

	/** (optional: it has none of its own)  As long as the plugin. */
	const struct pfw_collective_ops *collectives;

	/**
	 * (optional: addresses are enough)  At the sender, before a channel is
	 * opened: by what its two ends find each other.  The launcher's rendezvous
	 * carries it to the receiver, and both find it in info->id.  Ends that are
	 * opened without a launcher (pipefw conform, pipefw bench) find NULL there,
	 * and agree by themselves.
	 */
	int (*invite)(void *transport, const struct pfw_channel_info *info,
		      struct pfw_group_id *out, struct pfw_error *err);

	/**
	 * (optional: it is)  Is this machine ready for it?  Asked by the launcher
	 * before ranks are started: can one process open the transport with these
	 * options, and these @p n channels of its ranks?  n is 0 where none is to be
	 * opened here, and the options alone are looked at.  Nothing stays open.
	 *
	 * -ENODEV: not on this machine; -ENOMEM: not so much memory; else the fault
	 * is in an option, and the sentence has it as "NAME =", so that the core can
	 * say where it stands.
	 */
	int (*ready)(const struct pfw_values *opt,
		     const struct pfw_channel_info *channels, uint32_t n,
		     struct pfw_error *err);
};

struct pfw_group_info {
	size_t size;
	uint32_t n, index; /**< members, and which of them this is */
	struct pfw_group_id id;
	const struct pfw_device_ops *device_ops;
	void *device;
};

/**
 * What a transport does with the devices of several ranks at once: memory of the
 * device, queues of the device; all members make the same calls in one order.
 *
 * The order of a sum of more than two is the transport's own: it changes with the
 * number of members and with how they are joined.  So nothing whose bits must not
 * depend on that, the gradients of tied parameters and the global norm, is summed
 * so: the core adds these itself, in the order of stages.
 */
struct pfw_collective_ops {
	size_t size;

	int (*make_id)(void *transport, struct pfw_group_id *out,
		       struct pfw_error *err);
	/** As open_channel(): never blocks, -EAGAIN until all members have come;
	 *  close_group() takes what is half open. */
	int (*open_group)(void *transport, const struct pfw_group_info *info,
			  void **group, struct pfw_error *err);
	/** Ends what is in flight.  Takes NULL. */
	void (*close_group)(void *group);

	/** data[i] = the sum over all members. */
	int (*all_reduce)(void *group, void *queue, float *data, uint64_t n,
			  struct pfw_error *err);
	/** out[i] = the sum over all members of in[index * n + i], i < n. */
	int (*reduce_scatter)(void *group, void *queue, const float *in,
			      float *out, uint64_t n, struct pfw_error *err);
	/** out[j * bytes ...] = what member j has in @p in. */
	int (*all_gather)(void *group, void *queue, const void *in, void *out,
			  uint64_t bytes, struct pfw_error *err);
	/** After each of the three, before the next: -EAGAIN until the queue has
	 *  it; later, whether the group is well. */
	int (*test)(void *group, struct pfw_error *err);
};

/** What a filter calls. */
struct pfw_below {
	const struct pfw_transport_ops *ops;
	void *transport; /**< opened with the same info */
};

PFW_END_DECLS

#endif
