#include "launch/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 12u /* length, type, rank: from the lowest byte on */
#define WHOLE (HEAD + PFW_FRAME_MAX + PFW_MAC_BYTES)
#define QUEUE_MAX ((size_t)4 << 20)

struct pfw_link {
	int fd;
	uint8_t out_key[PFW_MAC_BYTES], in_key[PFW_MAC_BYTES];
	uint64_t out_number, in_number;
	uint64_t queued;
	unsigned char *out; /* [out_done, out_len) is still to be sent */
	size_t out_len, out_done, out_capacity;
	size_t have;
	unsigned char in[WHOLE];
};

static void put32(unsigned char *to, uint32_t x)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(x >> 8 * i);
}

static uint32_t get32(const unsigned char *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 |
	       (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* Over the frame's number, head and body. */
static void sign(const uint8_t key[PFW_MAC_BYTES], uint64_t number,
		 const unsigned char *frame, size_t len,
		 uint8_t out[PFW_MAC_BYTES])
{
	unsigned char counted[8];
	const struct pfw_mac_part parts[] = { { counted, sizeof(counted) },
					      { frame, len } };

	put32(counted, (uint32_t)number);
	put32(counted + 4, (uint32_t)(number >> 32));
	pfw_mac(key, PFW_MAC_BYTES, parts, 2, out);
}

int pfw_link_open(int fd, const uint8_t out_key[PFW_MAC_BYTES],
		  const uint8_t in_key[PFW_MAC_BYTES], struct pfw_link **out,
		  struct pfw_error *err)
{
	struct pfw_link *link = calloc(1, sizeof(*link));

	if (!link)
		return pfw_error_set(err, ENOMEM, "out of memory");
	link->fd = fd;
	memcpy(link->out_key, out_key, PFW_MAC_BYTES);
	memcpy(link->in_key, in_key, PFW_MAC_BYTES);
	*out = link;
	return 0;
}

void pfw_link_close(struct pfw_link *link)
{
	if (!link)
		return;
	close(link->fd);
	free(link->out);
	free(link);
}

int pfw_link_fd(const struct pfw_link *link)
{
	return link->fd;
}

short pfw_link_events(const struct pfw_link *link)
{
	return link->out_done < link->out_len ? POLLIN | POLLOUT : POLLIN;
}

uint64_t pfw_link_queued(const struct pfw_link *link)
{
	return link->queued;
}

static int make_room(struct pfw_link *link, size_t n, struct pfw_error *err)
{
	size_t left = link->out_len - link->out_done, capacity;
	unsigned char *grown;

	if (link->out_done) {
		memmove(link->out, link->out + link->out_done, left);
		link->out_len = left;
		link->out_done = 0;
	}
	if (left + n <= link->out_capacity)
		return 0;
	capacity = 2 * (left + n);
	if (capacity > QUEUE_MAX)
		return pfw_error_set(err, EPIPE, "it takes nothing any more");
	grown = realloc(link->out, capacity);
	if (!grown)
		return pfw_error_set(err, ENOMEM, "out of memory");
	link->out = grown;
	link->out_capacity = capacity;
	return 0;
}

int pfw_link_send(struct pfw_link *link, uint32_t type, uint32_t rank,
		  const void *body, size_t len, struct pfw_error *err)
{
	unsigned char *at;
	int rc;

	if (len > PFW_FRAME_MAX)
		return pfw_error_set(err, EMSGSIZE, "a frame of %zu bytes", len);
	rc = make_room(link, HEAD + len + PFW_MAC_BYTES, err);
	if (rc)
		return rc;
	at = link->out + link->out_len;
	put32(at, (uint32_t)len);
	put32(at + 4, type);
	put32(at + 8, rank);
	if (len)
		memcpy(at + HEAD, body, len);
	sign(link->out_key, link->out_number++, at, HEAD + len,
	     at + HEAD + len);
	link->out_len += HEAD + len + PFW_MAC_BYTES;
	link->queued += HEAD + len + PFW_MAC_BYTES;
	rc = pfw_link_flush(link, err);
	return rc == -EAGAIN ? 0 : rc;
}

int pfw_link_flush(struct pfw_link *link, struct pfw_error *err)
{
	while (link->out_done < link->out_len) {
		ssize_t n = send(link->fd, link->out + link->out_done,
				 link->out_len - link->out_done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		if (n < 0)
			return pfw_error_set(err, EPIPE, "%s", strerror(errno));
		link->out_done += (size_t)n;
	}
	link->out_len = link->out_done = 0;
	return 0;
}

/* Until @p want bytes of the frame are there. */
static int fill(struct pfw_link *link, size_t want, struct pfw_error *err)
{
	while (link->have < want) {
		ssize_t n = recv(link->fd, link->in + link->have,
				 want - link->have, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		if (n < 0)
			return pfw_error_set(err, EPIPE, "%s", strerror(errno));
		if (!n)
			return pfw_error_set(err, EPIPE,
					     "it closed the connection");
		link->have += (size_t)n;
	}
	return 0;
}

int pfw_link_receive(struct pfw_link *link, struct pfw_frame *out,
		     struct pfw_error *err)
{
	uint8_t mac[PFW_MAC_BYTES];
	uint32_t len;
	int rc = fill(link, HEAD, err);

	if (rc)
		return rc;
	len = get32(link->in);
	if (len > PFW_FRAME_MAX)
		return pfw_error_set(err, EBADMSG,
				     "it sent what is no frame of ours");
	rc = fill(link, HEAD + len + PFW_MAC_BYTES, err);
	if (rc)
		return rc;
	sign(link->in_key, link->in_number++, link->in, HEAD + len, mac);
	if (!pfw_mac_equal(mac, link->in + HEAD + len))
		return pfw_error_set(err, EBADMSG,
				     "what came is not what was sent: somebody "
				     "meddles with the connection");
	link->have = 0;
	out->len = len;
	out->type = get32(link->in + 4);
	out->rank = get32(link->in + 8);
	memcpy(out->body, link->in + HEAD, len);
	return 0;
}
