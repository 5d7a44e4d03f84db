#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(sizeof(struct tcp_head) == 56, "no holes on the wire");
_Static_assert(sizeof(struct tcp_hello) == 80, "no holes on the wire");

void tcp_prove(const uint8_t key[PFW_MAC_BYTES], const char *role,
	       const struct tcp_hello *hello,
	       const uint8_t nonce[TCP_NONCE_BYTES], uint8_t out[PFW_MAC_BYTES])
{
	const struct pfw_mac_part parts[] = {
		{ role, strlen(role) + 1 },
		{ hello, sizeof(*hello) },
		{ nonce, TCP_NONCE_BYTES },
	};

	pfw_mac(key, PFW_MAC_BYTES, parts, 3, out);
}

int tcp_take(int fd, void *buf, size_t len, size_t *have)
{
	while (*have < len) {
		ssize_t n = recv(fd, (char *)buf + *have, len - *have,
				 MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		if (n <= 0)
			return -EPIPE;
		*have += (size_t)n;
	}
	*have = 0;
	return 0;
}

int tcp_say(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)len ? 0 : -EPIPE;
}
