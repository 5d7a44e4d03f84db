/*
 * link.h: frames between two launchers that have greeted each other.
 *
 * A frame has a type, a rank, up to PFW_FRAME_MAX bytes, and a MAC over these
 * and its number in its direction: what is changed, left out, doubled or put in
 * from outside ends the link.  Nothing here waits.
 */
#ifndef PFW_CORE_LINK_H
#define PFW_CORE_LINK_H

#include <pipefw/mac.h>

#define PFW_FRAME_MAX 9216u

struct pfw_frame {
	uint32_t type, rank;
	uint32_t len;
	unsigned char body[PFW_FRAME_MAX];
};

struct pfw_link;

/** The socket is the link's on success. */
int pfw_link_open(int fd, const uint8_t out_key[PFW_MAC_BYTES],
		  const uint8_t in_key[PFW_MAC_BYTES], struct pfw_link **out,
		  struct pfw_error *err);
/** Takes NULL. */
void pfw_link_close(struct pfw_link *link);

int pfw_link_fd(const struct pfw_link *link);
/** What to poll() for. */
short pfw_link_events(const struct pfw_link *link);

/** Queues a frame, and sends what the socket takes. */
int pfw_link_send(struct pfw_link *link, uint32_t type, uint32_t rank,
		  const void *body, size_t len, struct pfw_error *err);
/** 0: nothing is queued any more; -EAGAIN: something is. */
int pfw_link_flush(struct pfw_link *link, struct pfw_error *err);
/** The next frame; -EAGAIN, -EPIPE: the other side is gone, -EBADMSG. */
int pfw_link_receive(struct pfw_link *link, struct pfw_frame *out,
		     struct pfw_error *err);
/** Bytes ever queued: for who counts what was not answered. */
uint64_t pfw_link_queued(const struct pfw_link *link);

#endif
