/*
 * fake_dmabuf.h: what the stand-ins take for a dmabuf: a file that says where the
 * memory is.
 */
#ifndef PFW_TESTS_FAKE_DMABUF_H
#define PFW_TESTS_FAKE_DMABUF_H

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake_dmabuf {
	char *at;
	size_t bytes;
};

/** A descriptor, or -1. */
static inline int fake_dmabuf_make(void *at, size_t bytes)
{
	const struct fake_dmabuf d = { at, bytes };
	int fd = memfd_create("dmabuf", MFD_CLOEXEC);

	if (fd >= 0 && pwrite(fd, &d, sizeof(d), 0) != (ssize_t)sizeof(d)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/** Where @p offset is, if @p bytes of it are there; else NULL. */
static inline char *fake_dmabuf_at(int fd, size_t offset, size_t bytes)
{
	struct fake_dmabuf d;

	if (pread(fd, &d, sizeof(d), 0) != (ssize_t)sizeof(d) ||
	    offset > d.bytes || bytes > d.bytes - offset)
		return NULL;
	return d.at + offset;
}

#endif
