#include "launch/far.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "launch/far_run.h"

#define VALUE offsetof(struct pfw_control_packet, value)

size_t pfw_far_packet_bytes(const struct pfw_control_packet *packet)
{
	if (packet->type == PFW_CONTROL_TELL)
		return sizeof(*packet);
	return VALUE + (packet->len < PFW_BOOT_VALUE_MAX ? packet->len :
							   PFW_BOOT_VALUE_MAX);
}

int pfw_far_packet_read(const unsigned char *body, size_t len,
			struct pfw_control_packet *out)
{
	if (len < VALUE || len > sizeof(*out))
		return -EPROTO;
	memset(out, 0, sizeof(*out));
	memcpy(out, body, len);
	return len == pfw_far_packet_bytes(out) ? 0 : -EPROTO;
}

#define TAKE(field)                                                            \
	out->field = atomic_load_explicit(&from->field, memory_order_relaxed)
#define SHOW(field)                                                            \
	atomic_store_explicit(&to->field, from->field, memory_order_relaxed)

void pfw_far_status_take(const struct pfw_status *from,
			 struct pfw_far_status *out)
{
	uint64_t since = atomic_load(&from->since), now = pfw_now();

	TAKE(phase);
	TAKE(type);
	TAKE(stage);
	TAKE(microbatch);
	TAKE(step);
	TAKE(turns);
	TAKE(wait);
	TAKE(peer);
	TAKE(kind);
	TAKE(wait_type);
	TAKE(wait_stage);
	TAKE(wait_microbatch);
	out->waited = now > since ? now - since : 0;
}

void pfw_far_status_show(const struct pfw_far_status *from,
			 struct pfw_status *to)
{
	uint64_t now = pfw_now();

	SHOW(phase);
	SHOW(type);
	SHOW(stage);
	SHOW(microbatch);
	SHOW(step);
	SHOW(turns);
	SHOW(wait);
	SHOW(peer);
	SHOW(kind);
	SHOW(wait_type);
	SHOW(wait_stage);
	SHOW(wait_microbatch);
	atomic_store_explicit(&to->since,
			      now > from->waited ? now - from->waited : 0,
			      memory_order_relaxed);
}
