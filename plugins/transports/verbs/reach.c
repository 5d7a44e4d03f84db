#include "reach.h"

#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int refuse(const struct verbs_transport *t, struct pfw_error *err)
{
	return pfw_error_set(err, ENOTSUP, "the adapter does not reach the GPU's "
			     "memory: %s", t->unreached);
}

int verbs_reach_make(struct verbs_channel *c, struct pfw_error *err)
{
	void *at;
	int rc;

	if (c->transport->unreachable)
		return refuse(c->transport, err);
	rc = c->device_ops->alloc(c->device, c->memory_bytes, &at, err);
	if (!rc)
		c->memory = at;
	return rc;
}

void verbs_reach_free(struct verbs_channel *c)
{
	if (c->memory)
		c->device_ops->free(c->device, c->memory);
}

static struct ibv_mr *register_one(const struct verbs_channel *c,
				   const struct verbs_port *port, int dmabuf,
				   uint64_t offset)
{
	unsigned access = verbs_memory_access(c);

	if (dmabuf < 0)
		return ibv_reg_mr(port->pd, c->memory, c->memory_bytes, access);
	return ibv_reg_dmabuf_mr(port->pd, offset, c->memory_bytes,
				 (uintptr_t)c->memory, dmabuf, (int)access);
}

/* With every rail or with none; a positive errno. */
static int register_all(struct verbs_channel *c, int dmabuf, uint64_t offset)
{
	int code;

	for (uint32_t p = 0; p < c->n_ports; p++) {
		struct verbs_port *port = &c->port[p];

		port->slots = register_one(c, port, dmabuf, offset);
		if (port->slots)
			continue;
		code = errno ? errno : EIO;
		while (p--) {
			ibv_dereg_mr(c->port[p].slots);
			c->port[p].slots = NULL;
		}
		return code;
	}
	return 0;
}

/* A dmabuf that is there may be refused all the same: then by peer memory. */
static int try_ways(struct verbs_channel *c, int dmabuf, uint64_t offset)
{
	struct verbs_transport *t = c->transport;
	int by_dmabuf = dmabuf < 0 ? ENODATA : register_all(c, dmabuf, offset);
	int by_peer = by_dmabuf ? register_all(c, -1, 0) : 0;

	if (!by_dmabuf || !by_peer) {
		t->n_ways[by_dmabuf ? VERBS_PEER : VERBS_DMABUF]++;
		return 0;
	}
	snprintf(t->unreached, sizeof(t->unreached), "dmabuf: %s, peer memory: %s",
		 dmabuf < 0 ? "the GPU's driver gives none" : strerror(by_dmabuf),
		 strerror(by_peer));
	/* Where there was no room for this channel (the card's window on the bus,
	 * the adapter's tables) there may be for a smaller one.  Anything else is
	 * not tried again: it would take memory of the card each time. */
	t->unreachable |= by_dmabuf != ENOMEM && by_peer != ENOMEM;
	return -ENOTSUP;
}

int verbs_reach_register(struct verbs_channel *c, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = c->device_ops;
	struct verbs_transport *t = c->transport;
	struct pfw_error why = { .text = "the device shares no memory" };
	uint64_t offset = 0;
	int dmabuf = -1, rc = -ENOTSUP;

	if (ops->share)
		rc = ops->share(c->device, c->memory, c->memory_bytes, &dmabuf,
				&offset, &why);
	if (rc) {
		snprintf(t->unreached, sizeof(t->unreached), "%.250s", why.text);
		t->unreachable = true;
		return refuse(t, err);
	}
	rc = try_ways(c, dmabuf, offset);
	if (dmabuf >= 0)
		close(dmabuf);
	return rc ? refuse(t, err) : 0;
}

void verbs_reach_describe(const struct verbs_transport *t, char *out, size_t len)
{
	const char *dmabuf = t->n_ways[VERBS_DMABUF] ? ", dmabuf" : "";
	const char *peer = t->n_ways[VERBS_PEER] ? ", peer memory" : "";
	const char *staging = *t->unreached ? ", staging: " : "";
	char text[sizeof(t->unreached) + 64];

	snprintf(text, sizeof(text), "%s%s%s%s", dmabuf, peer, staging,
		 t->unreached);
	if (*text)
		snprintf(out, len, "GPU memory by %s", text + 2);
	else
		snprintf(out, len, "host memory");
}
