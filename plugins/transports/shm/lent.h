/*
 * lent.h: slots that are a device's memory.
 *
 * The sender's device has them, and lends them to the receiver's.  On one card the
 * receiver's kernels read them where they lie.  From another card they are copied,
 * by the copy engines, into slots of the receiver's own, before it is told that
 * there is a message.
 */
#ifndef SHM_LENT_H
#define SHM_LENT_H

#include <pipefw/device.h>
#include <pipefw/transport.h>

#include <stdbool.h>

/** A rank's device, and how its channels use its memory. */
struct shm_device {
	const struct pfw_device_ops *ops; /* NULL: no channel has asked for it */
	void *device;
	void *copies;        /* a queue; NULL: nothing comes from another card */
	uint32_t n_in_place, n_copied; /* channels */
	uint64_t waited;     /* ns, for what was lent to come back */
	bool broken;         /* it has failed, and is not tried again */
	char staged[256];    /* why there are channels without; "": there are not */
};

struct shm_lent {
	struct shm_device *of; /* NULL: the host's memory */
	char *own;      /* slots of this end's device; NULL: none */
	char *borrowed; /* receiver: the sender's */
	void *copied;   /* event of the last copy; NULL: in place */
	uint64_t stride;
	uint64_t bytes; /* of all slots */
};

void shm_device_close(struct shm_device *d);
#define SHM_HOST_PEER "has the host's memory"
/** A channel is of the host's memory instead; SHM_HOST_PEER is in @p why where
 *  nothing has failed, which is the weaker of two reasons. */
void shm_device_note(struct shm_device *d, const char *why);
/** "GPU memory in place", "... copied between cards", "... by staging: why"; ""
 *  where no channel has slots of a device. */
void shm_device_describe(const struct shm_device *d, char *out, size_t len);

/** Both ends; -ENOTSUP: the device lends nothing, or this did not work before. */
int shm_lent_init(struct shm_lent *l, struct shm_device *of,
		  const struct pfw_channel_info *info, uint64_t stride,
		  struct pfw_error *err);
/** Sender: its slots, to be told to the receiver. */
int shm_lent_make(struct shm_lent *l, struct pfw_lent *out,
		  struct pfw_error *err);
/** Receiver: @p ours: the sender is a thread of this process. */
int shm_lent_borrow(struct shm_lent *l, const struct pfw_lent *from, bool ours,
		    struct pfw_error *err);
/** Receiver: gives back what is borrowed. */
void shm_lent_return(struct shm_lent *l);
/** Sender: until the receiver has hung up on @p socket, or patience ends. */
void shm_lent_await_return(struct shm_lent *l, int socket);
/** Takes one that was never made. */
void shm_lent_free(struct shm_lent *l);

/** Must what came be copied to this end? */
static inline bool shm_lent_is_far(const struct shm_lent *l)
{
	return l->copied;
}
static inline void *shm_lent_slot(const struct shm_lent *l, uint32_t slot)
{
	return (l->own ? l->own : l->borrowed) + slot * l->stride;
}
/** Receiver, of another card: begins to copy; 1 once it is done, 0 before. */
int shm_lent_copy(struct shm_lent *l, uint32_t slot, uint64_t bytes,
		  struct pfw_error *err);
/** The same, where @p queue keeps the order: what it is given comes after. */
int shm_lent_follow(struct shm_lent *l, void *queue, struct pfw_error *err);
int shm_lent_is_copied(const struct shm_lent *l, struct pfw_error *err);

#endif
