/*
 * Fuzz target: what a stranger sends to the port where launchers meet.  The first
 * byte says to whom: the lead or a guest in its greeting, a link whose keys are
 * not known to the sender, or (as if they were) the lead's books of packets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "launch/far_run.h"
#include "launch/greet.h"
#include "launch/hub.h"

static void broken(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/* A socket from which the input comes, and then the end. */
static int connection(const uint8_t *data, size_t size, int *far)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		broken("no socket");
	if (send(pair[1], data, size, MSG_DONTWAIT) < 0)
		size = 0;
	shutdown(pair[1], SHUT_WR);
	*far = pair[1];
	return pair[0];
}

static void greet(int lead, const uint8_t *data, size_t size)
{
	static const struct pfw_secret secret = {
		.len = 40,
		.bytes = "what no input of this program will contain",
	};
	struct pfw_greeting g;
	struct pfw_error err = { 0 };
	int far, fd = connection(data, size, &far), rc;

	rc = pfw_greet_begin(&g, fd, lead, &secret, &err);
	for (int i = 0; i < 100 && (!rc || rc == -EAGAIN); i++) {
		rc = pfw_greet_go_on(&g, &err);
		if (!rc)
			broken("a stranger is taken in");
	}
	if (rc == -EAGAIN || !*err.text)
		broken("no end, or no word");
	close(fd);
	close(far);
}

static void receive(const uint8_t *data, size_t size)
{
	static const uint8_t key[PFW_MAC_BYTES] = "not known";
	static struct pfw_frame frame;
	struct pfw_link *link;
	int far, fd = connection(data, size, &far), rc;

	if (pfw_link_open(fd, key, key, &link, NULL))
		broken("no link");
	rc = pfw_link_receive(link, &frame, NULL);
	if (rc != -EBADMSG && rc != -EPIPE)
		broken("a stranger's frame is taken");
	pfw_link_close(link);
	close(far);
}

static void no_answer(void *context, uint32_t rank,
		      const struct pfw_control_packet *packet)
{
	(void)context;
	if (rank > 1 || packet->len > PFW_BOOT_VALUE_MAX)
		broken("an answer that makes no sense");
}

static void packets(const uint8_t *data, size_t size)
{
	struct pfw_control_packet packet;
	struct pfw_hub *hub;

	if (pfw_hub_open(2, no_answer, NULL, &hub, NULL))
		broken("no hub");
	while (size) {
		size_t n = size < 80 ? size : 80;

		if (!pfw_far_packet_read(data, n, &packet))
			pfw_hub_take(hub, data[0] & 1, &packet, NULL);
		data += n;
		size -= n;
	}
	pfw_hub_close(hub);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0] & 3) {
	case 0:
	case 1:
		greet(data[0] & 1, data + 1, size - 1);
		break;
	case 2:
		receive(data + 1, size - 1);
		break;
	default:
		packets(data + 1, size - 1);
		break;
	}
	return 0;
}
