/*
 * segment.h: the memory of one channel, as a sealed memfd and its mapping.
 *
 * The receiver makes it (so that its pages lie on the receiver's NUMA node:
 * writes are posted, reads stall) and maps the slots for reading only; the
 * sender maps all of it for writing.  It has no name anywhere: it goes with
 * the last process that has it.
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include "layout.h"

struct shm_segment {
	int fd;              /* -1: none */
	unsigned char *base; /* NULL: none */
	size_t bytes;
	size_t filled; /* so many have pages, and are mapped here */
	int maker;     /* the receiver */
	const struct shm_header *header; /* our own copy's geometry */
};

#define SHM_NO_SEGMENT ((struct shm_segment){ .fd = -1 })

/** Can segments be made here?  Else -ENODEV and why. */
int shm_segment_probe(char *why, size_t len);
size_t shm_page_bytes(void);

/** Receiver.  @p header is kept and must outlive the segment. */
int shm_segment_make(const struct shm_header *header, struct shm_segment *out,
		     struct pfw_error *err);
/** Sender.  Takes over @p fd, also on failure; trusts nothing of it. */
int shm_segment_join(const struct shm_header *header, int fd,
		     struct shm_segment *out, struct pfw_error *err);
/**
 * Gives the next piece its pages; -EAGAIN until all have theirs, since what is
 * large takes long.  The maker's is to be joined only when it is done.
 */
int shm_segment_fill(struct shm_segment *segment, struct pfw_error *err);
/** The fd has served once the other end has it. */
void shm_segment_close_fd(struct shm_segment *segment);
void shm_segment_free(struct shm_segment *segment);

#endif
