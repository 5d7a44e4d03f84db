#include "memory.h"

#include "fault.h"
#include "reach.h"

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
static void lay_out(struct verbs_channel *c)
{
	uint64_t unit = c->slot_bytes >= PAGE ? PAGE : PFW_ALIGN;

	c->stride = round_up(c->slot_bytes + sizeof(struct verbs_header), unit);
	c->first = unit;
	c->memory_bytes = round_up(c->first + c->stride * c->n_slots, PAGE);
	c->header_stride = c->stride;
	c->page_bytes = round_up(sizeof(*c->page) +
				 c->n_slots * sizeof(c->page->credit[0]), PAGE);
	c->pages_bytes = c->memory_bytes + c->page_bytes;
}

/* The host cannot write into a GPU's memory: headers go behind the page. */
static uint64_t lay_out_apart(struct verbs_channel *c)
{
	uint64_t headers = round_up(sizeof(*c->page) + c->n_slots *
				    sizeof(c->page->credit[0]), PFW_ALIGN);

	c->stride = c->slot_bytes;
	c->memory_bytes = c->stride * c->n_slots;
	c->header_stride = sizeof(struct verbs_header);
	c->page_bytes = round_up(headers + c->n_slots * c->header_stride, PAGE);
	c->pages_bytes = c->page_bytes;
	return headers;
}

uint64_t verbs_memory_locked(const struct pfw_channel_info *info)
{
	struct verbs_channel c = { .n_slots = info->n_slots,
				   .slot_bytes = info->slot_bytes };

	if (info->memory == PFW_MEM_HOST)
		lay_out(&c);
	else
		lay_out_apart(&c);
	return c.pages_bytes;
}

static int take_pages(struct verbs_channel *c, struct pfw_error *err)
{
	void *at = mmap(NULL, c->pages_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return pfw_error_set(err, ENOMEM, "no memory for a channel of %llu MiB: "
				     "fewer slots (micro-batches in flight), or a "
				     "smaller microbatch_size",
				     (unsigned long long)(c->pages_bytes >> 20));
	c->pages = at;
	c->page = (void *)((char *)at + c->pages_bytes - c->page_bytes);
	c->page->body[0][0] = VERBS_BYE;
	c->page->body[1][0] = VERBS_WAKE;
	return 0;
}

int verbs_memory_make(struct verbs_channel *c, struct pfw_error *err)
{
	uint64_t headers = 0;
	int rc;

	if (c->device_ops)
		headers = lay_out_apart(c);
	else
		lay_out(c);
	rc = take_pages(c, err);
	if (rc)
		return rc;
	if (c->device_ops) {
		c->headers = (unsigned char *)c->page + headers;
		rc = verbs_reach_make(c, err);
	} else {
		c->memory = c->pages;
		c->headers = verbs_slot_at(c, 0) - sizeof(struct verbs_header);
		madvise(c->memory, c->memory_bytes, MADV_HUGEPAGE);
	}
	if (rc || !c->by_send)
		return rc;
	c->inbox = calloc((size_t)c->n_lanes * (c->n_slots + 1), sizeof(*c->inbox));
	return c->inbox ? 0 : pfw_error_set(err, ENOMEM, "out of memory");
}

void verbs_memory_free(struct verbs_channel *c)
{
	if (c->device_ops)
		verbs_reach_free(c);
	if (c->pages)
		munmap(c->pages, c->pages_bytes);
	free(c->inbox);
}

unsigned verbs_memory_access(const struct verbs_channel *c)
{
	/* Relaxed: what tells of the bytes is a completion, never a byte. */
	return IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_RELAXED_ORDERING |
	       (c->sending ? 0u : (unsigned)IBV_ACCESS_REMOTE_WRITE);
}

static int register_slots(struct verbs_channel *c, uint32_t p,
			  struct pfw_error *err)
{
	struct verbs_port *port = &c->port[p];

	port->slots = ibv_reg_mr(port->pd, c->memory, c->memory_bytes,
				 verbs_memory_access(c));
	if (!port->slots)
		return verbs_no_registration(c, &c->transport->rails.rail[p],
					     errno, err);
	c->transport->registered += c->memory_bytes;
	return 0;
}

static int register_with(struct verbs_channel *c, uint32_t p, struct pfw_error *err)
{
	struct verbs_rail *rail = &c->transport->rails.rail[p];
	struct verbs_port *port = &c->port[p];
	int rc = c->device_ops ? 0 : register_slots(c, p, err);

	if (rc)
		return rc;
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
	int rc = c->device_ops ? verbs_reach_register(c, err) : 0;

	for (uint32_t p = 0; !rc && p < c->n_ports; p++)
		rc = register_with(c, p, err);
	return rc;
}

void verbs_memory_deregister(struct verbs_channel *c)
{
	for (uint32_t p = 0; p < c->n_ports; p++) {
		if (c->port[p].slots) {
			ibv_dereg_mr(c->port[p].slots);
			if (!c->device_ops)
				c->transport->registered -= c->memory_bytes;
		}
		if (c->port[p].page)
			ibv_dereg_mr(c->port[p].page);
		if (c->port[p].inbox)
			ibv_dereg_mr(c->port[p].inbox);
	}
}
