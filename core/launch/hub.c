#include "launch/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* A rank puts a handful of values; more is a fault of ours. */
#define ENTRIES_PER_RANK 32u
#define FIRST_CAPACITY 16u /* a power of two */

struct entry {
	char key[PFW_BOOT_KEY_MAX];
	uint32_t len;
	unsigned char value[PFW_BOOT_VALUE_MAX];
};

struct pfw_hub {
	uint32_t ranks;
	void (*answer)(void *context, uint32_t rank,
		       const struct pfw_control_packet *packet);
	void *context;
	struct entry *entries;
	uint32_t n, capacity;
	uint32_t *index; /* [2 * capacity] by hash of the key, then the next free
			    one: an entry's number + 1, 0: free */
	struct pfw_control_packet **waiting; /* [ranks]: GETs not yet answered */
	uint32_t at_fence;
	unsigned char *fenced; /* [ranks] */
};

int pfw_hub_open(uint32_t ranks,
		 void (*answer)(void *context, uint32_t rank,
				const struct pfw_control_packet *packet),
		 void *context, struct pfw_hub **out, struct pfw_error *err)
{
	struct pfw_hub *hub = calloc(1, sizeof(*hub));

	if (hub) {
		hub->ranks = ranks;
		hub->answer = answer;
		hub->context = context;
		hub->waiting = calloc(ranks, sizeof(*hub->waiting));
		hub->fenced = calloc(ranks, 1);
	}
	if (!hub || !hub->waiting || !hub->fenced) {
		pfw_hub_close(hub);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	*out = hub;
	return 0;
}

void pfw_hub_close(struct pfw_hub *hub)
{
	if (!hub)
		return;
	for (uint32_t r = 0; hub->waiting && r < hub->ranks; r++)
		free(hub->waiting[r]);
	free(hub->waiting);
	free(hub->fenced);
	free(hub->entries);
	free(hub->index);
	free(hub);
}

/* The place of a key in the index: has its entry, or is free for it. */
static uint32_t *place(const struct pfw_hub *hub, const char *key)
{
	uint64_t at = pfw_hash(PFW_HASH_START, key, strlen(key));

	for (;; at++) {
		uint32_t *p = &hub->index[at % (2 * hub->capacity)];

		if (!*p || !strcmp(hub->entries[*p - 1].key, key))
			return p;
	}
}

static struct entry *find(const struct pfw_hub *hub, const char *key)
{
	uint32_t i = hub->n ? *place(hub, key) : 0;

	return i ? &hub->entries[i - 1] : NULL;
}

static int grow(struct pfw_hub *hub)
{
	uint32_t capacity = hub->capacity ? 2 * hub->capacity : FIRST_CAPACITY;
	struct entry *grown = realloc(hub->entries, capacity * sizeof(*grown));
	uint32_t *index;

	if (!grown)
		return -ENOMEM;
	hub->entries = grown;
	index = calloc(2 * (size_t)capacity, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(hub->index);
	hub->index = index;
	hub->capacity = capacity;
	for (uint32_t i = 0; i < hub->n; i++)
		*place(hub, hub->entries[i].key) = i + 1;
	return 0;
}

static int answer_get(struct pfw_hub *hub, uint32_t rank, const char *key)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_VALUE };
	struct entry *entry = find(hub, key);

	if (!entry)
		return -EAGAIN;
	packet.len = entry->len;
	memcpy(packet.value, entry->value, entry->len);
	hub->answer(hub->context, rank, &packet);
	return 0;
}

static int new_entry(struct pfw_hub *hub, const char *key, struct entry **out)
{
	int rc = 0;

	if (hub->n == hub->capacity) {
		if (hub->n >= (uint64_t)ENTRIES_PER_RANK * hub->ranks)
			return -ENOSPC;
		rc = grow(hub);
	}
	if (rc)
		return rc;
	*out = &hub->entries[hub->n++];
	*place(hub, key) = hub->n;
	return 0;
}

static int take_put(struct pfw_hub *hub,
		    const struct pfw_control_packet *packet,
		    struct pfw_error *err)
{
	struct entry *entry = find(hub, packet->key);
	int rc = entry ? 0 : new_entry(hub, packet->key, &entry);

	if (rc)
		return pfw_error_set(err, -rc, "no room for boot value %s: %s",
				     packet->key, strerror(-rc));
	memcpy(entry->key, packet->key, sizeof(entry->key));
	entry->len = packet->len;
	memcpy(entry->value, packet->value, packet->len);
	for (uint32_t r = 0; r < hub->ranks; r++) {
		struct pfw_control_packet *get = hub->waiting[r];

		if (get && !strcmp(get->key, packet->key)) {
			answer_get(hub, r, get->key);
			free(get);
			hub->waiting[r] = NULL;
		}
	}
	return 0;
}

static int take_get(struct pfw_hub *hub, uint32_t rank,
		    const struct pfw_control_packet *packet,
		    struct pfw_error *err)
{
	if (!answer_get(hub, rank, packet->key))
		return 0;
	free(hub->waiting[rank]);
	hub->waiting[rank] = malloc(sizeof(*packet));
	if (!hub->waiting[rank])
		return pfw_error_set(err, ENOMEM, "out of memory");
	*hub->waiting[rank] = *packet;
	return 0;
}

static void take_fence(struct pfw_hub *hub, uint32_t rank)
{
	struct pfw_control_packet go = { .type = PFW_CONTROL_GO };

	hub->at_fence += !hub->fenced[rank];
	hub->fenced[rank] = 1;
	if (hub->at_fence < hub->ranks)
		return;
	hub->at_fence = 0;
	memset(hub->fenced, 0, hub->ranks);
	for (uint32_t r = 0; r < hub->ranks; r++)
		hub->answer(hub->context, r, &go);
}

int pfw_hub_take(struct pfw_hub *hub, uint32_t rank,
		 const struct pfw_control_packet *packet, struct pfw_error *err)
{
	if (packet->len > sizeof(packet->value) ||
	    !memchr(packet->key, 0, sizeof(packet->key)))
		return pfw_error_set(err, EPROTO,
				     "rank %u sent a packet out of form", rank);
	switch (packet->type) {
	case PFW_CONTROL_PUT:
		return take_put(hub, packet, err);
	case PFW_CONTROL_GET:
		return take_get(hub, rank, packet, err);
	case PFW_CONTROL_FENCE:
		take_fence(hub, rank);
		return 0;
	}
	return pfw_error_set(err, EPROTO, "rank %u sent a packet of type %u",
			     rank, packet->type);
}
