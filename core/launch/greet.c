#include "launch/greet.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

static const char magic[17] = "pipefw-boot-0001";
/* In the place of a proof; a MAC is this by chance once in 2^256. */
static const uint8_t refusal[PFW_MAC_BYTES] = "pipefw-boot: another secret";

/* A hello or a proof is less than a socket's buffer: it goes whole or never. */
static int say(const struct pfw_greeting *g, const void *data, size_t len,
	       struct pfw_error *err)
{
	ssize_t n = send(g->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n != (ssize_t)len)
		return pfw_error_set(err, EPIPE, "it went away");
	return 0;
}

static int say_hello(struct pfw_greeting *g, struct pfw_error *err)
{
	uint8_t hello[PFW_GREET_HELLO];

	memcpy(hello, magic, 16);
	memcpy(hello + 16, g->nonce[g->lead], 32);
	return say(g, hello, sizeof(hello), err);
}

static void sign(const struct pfw_greeting *g, const char *what,
		 uint8_t out[PFW_MAC_BYTES])
{
	const struct pfw_mac_part parts[] = {
		{ magic, 16 },
		{ what, strlen(what) + 1 },
		{ g->nonce, sizeof(g->nonce) },
	};

	pfw_mac(g->secret->bytes, g->secret->len, parts, 3, out);
}

static int prove(const struct pfw_greeting *g, struct pfw_error *err)
{
	uint8_t proof[PFW_MAC_BYTES];

	sign(g, g->lead ? "lead" : "guest", proof);
	return say(g, proof, sizeof(proof), err);
}

int pfw_greet_begin(struct pfw_greeting *g, int fd, int lead,
		    const struct pfw_secret *secret, struct pfw_error *err)
{
	memset(g, 0, sizeof(*g));
	g->secret = secret;
	g->fd = fd;
	g->lead = lead;
	if (getrandom(g->nonce[lead], 32, 0) != 32)
		return pfw_error_set(err, EIO,
				     "the kernel gives no random bytes");
	return lead ? 0 : say_hello(g, err);
}

static int hear_hello(struct pfw_greeting *g, struct pfw_error *err)
{
	if (memcmp(g->in, magic, 12))
		return pfw_error_set(err, EPROTO, "it is no pipefw launcher");
	if (memcmp(g->in, magic, 16))
		return pfw_error_set(err, EPROTO,
				     "it is the launcher of another version of "
				     "pipefw");
	memcpy(g->nonce[!g->lead], g->in + 16, 32);
	g->proving = 1;
	return g->lead ? say_hello(g, err) : prove(g, err);
}

static int hear_proof(struct pfw_greeting *g, struct pfw_error *err)
{
	uint8_t want[PFW_MAC_BYTES];

	sign(g, g->lead ? "guest" : "lead", want);
	if (pfw_mac_equal(want, g->in))
		return g->lead ? prove(g, err) : 0;
	if (g->lead)
		say(g, refusal, sizeof(refusal), NULL);
	return pfw_error_set(err, EACCES,
			     !g->lead && !memcmp(g->in, refusal,
						 sizeof(refusal)) ?
				     "it has another secret than %s: copy one "
				     "file to all hosts" :
				     "it does not know the secret in %s",
			     g->secret->path);
}

int pfw_greet_go_on(struct pfw_greeting *g, struct pfw_error *err)
{
	size_t want = g->proving ? PFW_MAC_BYTES : PFW_GREET_HELLO;
	ssize_t n;
	int rc;

	for (;;) {
		n = recv(g->fd, g->in + g->have, want - g->have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return -EAGAIN;
		if (n <= 0)
			return pfw_error_set(err, EPIPE, "it hung up");
		g->have += (size_t)n;
		if (g->have < want)
			continue;
		g->have = 0;
		if (g->proving)
			return hear_proof(g, err);
		rc = hear_hello(g, err);
		if (rc)
			return rc;
		want = PFW_MAC_BYTES;
	}
}

int pfw_greet_link(const struct pfw_greeting *g, struct pfw_link **out,
		   struct pfw_error *err)
{
	uint8_t from_guest[PFW_MAC_BYTES], from_lead[PFW_MAC_BYTES];

	sign(g, "frames from the guest", from_guest);
	sign(g, "frames from the lead", from_lead);
	return pfw_link_open(g->fd, g->lead ? from_lead : from_guest,
			     g->lead ? from_guest : from_lead, out, err);
}
