#include "memory.h"

#include "fault.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096u

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Large slots begin on a page; each header is right in front of its slot. */
int verbs_memory_make(struct verbs_channel *c, struct pfw_error *err)
{
	uint64_t unit = c->slot_bytes >= PAGE ? PAGE : PFW_ALIGN;
	void *at;

	c->stride = round_up(c->slot_bytes + sizeof(struct verbs_header), unit);
	c->first = unit;
	c->memory_bytes = round_up(c->first + c->stride * c->n_slots, PAGE);
	c->page_bytes = round_up(sizeof(*c->page) +
				 c->n_slots * sizeof(c->page->credit[0]), PAGE);
	at = mmap(NULL, c->memory_bytes + c->page_bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return pfw_error_set(err, ENOMEM, "no memory for a channel of %llu MiB: "
				     "fewer slots (micro-batches in flight), or a "
				     "smaller microbatch_size",
				     (unsigned long long)(c->memory_bytes >> 20));
	c->memory = at;
	c->page = (void *)(c->memory + c->memory_bytes);
	c->page->body[0][0] = VERBS_BYE;
	c->page->body[1][0] = VERBS_WAKE;
	madvise(at, c->memory_bytes, MADV_HUGEPAGE);
	if (!c->by_send)
		return 0;
	c->inbox = calloc((size_t)c->n_lanes * (c->n_slots + 1), sizeof(*c->inbox));
	return c->inbox ? 0 : pfw_error_set(err, ENOMEM, "out of memory");
}

void verbs_memory_free(struct verbs_channel *c)
{
	if (c->memory)
		munmap(c->memory, c->memory_bytes + c->page_bytes);
	free(c->inbox);
}

static int register_with(struct verbs_channel *c, uint32_t p, struct pfw_error *err)
{
	struct verbs_rail *rail = &c->transport->rails.rail[p];
	struct verbs_port *port = &c->port[p];
	unsigned access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_RELAXED_ORDERING;

	/* Relaxed: what tells of the bytes is a completion, never a byte. */
	if (!c->sending)
		access |= IBV_ACCESS_REMOTE_WRITE;
	port->slots = ibv_reg_mr(port->pd, c->memory, c->memory_bytes, access);
	if (!port->slots)
		return verbs_no_registration(c, rail, errno, err);
	c->transport->registered += c->memory_bytes;
	/* Not relaxed: its words tell by being there. */
	port->page = ibv_reg_mr(port->pd, c->page, c->page_bytes,
				IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!port->page)
		return verbs_no_registration(c, rail, errno, err);
	if (!c->by_send)
		return 0;
	port->inbox = ibv_reg_mr(port->pd, c->inbox, (size_t)c->n_lanes *
				 (c->n_slots + 1) * sizeof(*c->inbox),
				 IBV_ACCESS_LOCAL_WRITE);
	return port->inbox ? 0 : verbs_no_registration(c, rail, errno, err);
}

int verbs_memory_register(struct verbs_channel *c, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t p = 0; !rc && p < c->n_ports; p++)
		rc = register_with(c, p, err);
	return rc;
}

void verbs_memory_deregister(struct verbs_channel *c)
{
	for (uint32_t p = 0; p < c->n_ports; p++) {
		if (c->port[p].slots) {
			ibv_dereg_mr(c->port[p].slots);
			c->transport->registered -= c->memory_bytes;
		}
		if (c->port[p].page)
			ibv_dereg_mr(c->port[p].page);
		if (c->port[p].inbox)
			ibv_dereg_mr(c->port[p].inbox);
	}
}
