#include "layout.h"
#include "words.h"

#include <errno.h>

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static int check(const struct pfw_channel_info *info, struct pfw_error *err)
{
	if (info->from == info->to)
		return pfw_error_set(err, EINVAL,
				     "a channel from rank %u to itself: shm joins "
				     "two different ranks", info->from);
	if (info->memory != PFW_MEM_HOST && !info->device_ops)
		return pfw_error_set(err, ENOTSUP, "memory of kind %u, and no "
				     "device that has it", info->memory);
	if (info->n_slots < 1 || info->n_slots > SHM_MAX_SLOTS)
		return pfw_error_set(err, EINVAL, "a channel of %u slots: shm "
				     "has 1 to %u", info->n_slots, SHM_MAX_SLOTS);
	if (info->slot_bytes % PFW_ALIGN || info->slot_bytes > SHM_MAX_BYTES ||
	    info->slot_bytes * info->n_slots > SHM_MAX_BYTES)
		return pfw_error_set(err, EINVAL, "%u slots of %llu bytes: shm "
				     "has slots of a multiple of %u bytes, at most "
				     "%llu bytes together", info->n_slots,
				     (unsigned long long)info->slot_bytes, PFW_ALIGN,
				     SHM_MAX_BYTES);
	return 0;
}

int shm_layout(const struct pfw_channel_info *info, uint64_t job, size_t page,
	       struct shm_header *out, struct pfw_error *err)
{
	struct shm_header h = {
		.magic = SHM_MAGIC,
		.version = SHM_VERSION,
		.header_bytes = sizeof(struct shm_header),
		.descriptor_bytes = sizeof(struct shm_descriptor),
		.n_slots = info->n_slots,
		.from = info->from,
		.to = info->to,
		.kind = info->kind,
		.memory = info->memory,
		.slot_bytes = info->slot_bytes,
		.job = job,
	};
	int rc = check(info, err);

	if (rc)
		return rc;
	h.n_descriptors = power_of_two(h.n_slots);
	h.stride = round_up(h.slot_bytes, SHM_PAIR);
	h.control = round_up(sizeof(h), SHM_PAIR);
	h.descriptors = h.control + sizeof(struct shm_control);
	h.released = h.descriptors +
		     (uint64_t)h.n_descriptors * sizeof(struct shm_descriptor);
	h.released = round_up(h.released, SHM_PAIR);
	h.words = round_up(h.released + (uint64_t)h.n_slots * sizeof(uint64_t), page);
	h.slots = h.words;
	if (h.memory != PFW_MEM_HOST)
		h.slots = round_up(h.words + shm_words_bytes(h.n_slots), page);
	h.total = h.slots;
	if (h.memory == PFW_MEM_HOST)
		h.total = round_up(h.slots + h.stride * h.n_slots, page);
	*out = h;
	return 0;
}
