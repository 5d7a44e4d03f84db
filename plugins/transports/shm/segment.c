#include "segment.h"

#include "base/available.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux 5.14 and 6.3; a libc's headers may be older than the kernel. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* No resizing: a shrunk file would be SIGBUS in the other process. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Zeroed and mapped at a time: some 30 ms of work. */
#define PIECE_BYTES ((size_t)64 << 20)

size_t shm_page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int make_memfd(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("pipefw-channel", flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("pipefw-channel", flags);
	return fd;
}

int shm_segment_probe(char *why, size_t len)
{
	int fd = make_memfd();

	if (fd < 0) {
		snprintf(why, len, "memfd_create() is refused (%s): it needs "
			 "Linux 3.17, and a container's seccomp profile that "
			 "lets it through", strerror(errno));
		return -ENODEV;
	}
	close(fd);
	return 0;
}

/* Has the machine that much?  Without this the kernel would give until it kills
 * somebody. */
static int reserve(int fd, uint64_t bytes, struct pfw_error *err)
{
	uint64_t available = pfw_available_bytes();
	int rc = 0;

	if (bytes > available)
		rc = ENOMEM;
	else if (ftruncate(fd, (off_t)bytes))
		rc = errno;
	if (!rc)
		return 0;
	return pfw_error_set(err, rc, "no shared memory for a channel of %llu MiB "
			     "(%s; %llu MiB are available): fewer slots "
			     "(micro-batches in flight), a smaller "
			     "microbatch_size, or more memory",
			     (unsigned long long)(bytes >> 20), strerror(rc),
			     (unsigned long long)(available >> 20));
}

static void populate(unsigned char *at, size_t bytes, int advice)
{
	size_t page = shm_page_bytes();

	if (!madvise(at, bytes, advice))
		return;
	for (size_t i = 0; i < bytes; i += page)
		(void)*(volatile unsigned char *)(at + i);
}

static int map(struct shm_segment *s, struct pfw_error *err)
{
	size_t slots = s->header->slots;
	void *base = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			  s->fd, 0);

	if (base == MAP_FAILED)
		return pfw_error_set(err, errno, "cannot map a channel of %zu "
				     "MiB: %s; see ulimit -v", s->bytes >> 20,
				     strerror(errno));
	s->base = base;
	if (s->maker && slots < s->bytes &&
	    mprotect(s->base + slots, s->bytes - slots, PROT_READ))
		return pfw_error_set(err, errno, "cannot protect the slots of a "
				     "channel: %s", strerror(errno));
	return 0;
}

int shm_segment_make(const struct shm_header *header, struct shm_segment *out,
		     struct pfw_error *err)
{
	struct shm_segment s = { .bytes = header->total, .header = header,
				 .maker = 1 };
	int rc;

	s.fd = make_memfd();
	if (s.fd < 0)
		return pfw_error_set(err, errno, "cannot make shared memory: %s",
				     strerror(errno));
	rc = reserve(s.fd, header->total, err);
	if (rc)
		goto err_free;
	if (fcntl(s.fd, F_ADD_SEALS, SEALS)) {
		rc = pfw_error_set(err, errno, "cannot seal shared memory: %s",
				   strerror(errno));
		goto err_free;
	}
	rc = map(&s, err);
	if (rc)
		goto err_free;
	*out = s;
	return 0;

err_free:
	shm_segment_free(&s);
	return rc;
}

int shm_segment_join(const struct shm_header *header, int fd,
		     struct shm_segment *out, struct pfw_error *err)
{
	struct shm_segment s = {
		.fd = fd, .bytes = header->total, .header = header
	};
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	int rc;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) ||
	    (uint64_t)st.st_size != header->total) {
		rc = pfw_error_set(err, EPROTO, "rank %u sent something that is "
				   "not the sealed memory of %llu bytes agreed on",
				   header->to, (unsigned long long)header->total);
		goto err_free;
	}
	rc = map(&s, err);
	if (rc)
		goto err_free;
	if (memcmp(s.base, header, sizeof(*header))) {
		rc = pfw_error_set(err, EPROTO, "rank %u has laid out the channel "
				   "in another way: it runs another build of "
				   "pipefw", header->to);
		goto err_free;
	}
	*out = s;
	return 0;

err_free:
	shm_segment_free(&s);
	return rc;
}

/* [from, to) of the control part or of the slots, where there is such a part. */
static void populate_part(const struct shm_segment *s, size_t from, size_t to,
			  int advice)
{
	if (from < to)
		populate(s->base + from, to - from, advice);
}

int shm_segment_fill(struct shm_segment *s, struct pfw_error *err)
{
	size_t from = s->filled, slots = s->header->slots;
	size_t to = s->bytes - from > PIECE_BYTES ? from + PIECE_BYTES : s->bytes;

	if (from == s->bytes)
		return 0;
	/* Room here and now: a sentence, not SIGBUS in the middle of training. */
	if (s->maker && fallocate(s->fd, 0, (off_t)from, (off_t)(to - from))) {
		if (errno == EINTR)
			return -EAGAIN;
		return pfw_error_set(err, errno, "no shared memory for a channel "
				     "of %zu MiB (%s after %zu MiB): fewer slots "
				     "(micro-batches in flight), a smaller "
				     "microbatch_size, or more memory",
				     s->bytes >> 20, strerror(errno), from >> 20);
	}
	populate_part(s, from, to < slots ? to : slots, MADV_POPULATE_WRITE);
	populate_part(s, from > slots ? from : slots, to,
		      s->maker ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
	s->filled = to;
	if (to < s->bytes)
		return -EAGAIN;
	if (s->maker)
		memcpy(s->base, s->header, sizeof(*s->header));
	return 0;
}

void shm_segment_close_fd(struct shm_segment *segment)
{
	if (segment->fd >= 0)
		close(segment->fd);
	segment->fd = -1;
}

void shm_segment_free(struct shm_segment *segment)
{
	shm_segment_close_fd(segment);
	if (segment->base)
		munmap(segment->base, segment->bytes);
	segment->base = NULL;
}
