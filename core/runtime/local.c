#include "runtime/local.h"

#include <errno.h>
#include <stdlib.h>

/* A message on its way: order is all there is to keep. */
struct item {
	uint32_t slot;
	uint64_t bytes;
	struct pfw_message_id id;
};

struct local {
	struct pfw_channel_info info;
	char *memory;
	unsigned char *busy;  /* [n_slots]: from send to release */
	struct item *queue;   /* [n_slots]: a ring */
	uint32_t head, count;
	struct pfw_channel_stats stats;
};

int pfw_local_open(const struct pfw_channel_info *info, void *memory,
		   void **channel, struct pfw_error *err)
{
	struct local *l = calloc(1, sizeof(*l));

	if (l) {
		l->info = *info;
		l->memory = memory;
		l->busy = calloc(info->n_slots, 1);
		l->queue = calloc(info->n_slots, sizeof(*l->queue));
	}
	if (!l || !l->busy || !l->queue) {
		pfw_local_ops.close_channel(l);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	*channel = l;
	return 0;
}

static void local_close_channel(void *channel)
{
	struct local *l = channel;

	if (!l)
		return;
	free(l->busy);
	free(l->queue);
	free(l);
}

static void *local_slot(void *channel, uint32_t slot)
{
	struct local *l = channel;

	return l->memory + slot * l->info.slot_bytes;
}

static int local_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct local *l = channel;

	(void)err;
	return l->busy[slot] ? -EAGAIN : 0;
}

static int local_send(void *channel, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	struct local *l = channel;
	struct item *item = &l->queue[(l->head + l->count) % l->info.n_slots];

	if (l->busy[slot] || bytes > l->info.slot_bytes)
		return pfw_error_set(err, EINVAL,
				     "rank %u: slot %u of its own edge is not "
				     "free for %llu bytes",
				     l->info.from, slot,
				     (unsigned long long)bytes);
	l->busy[slot] = 1;
	l->count++;
	*item = (struct item){ slot, bytes, *id };
	l->stats.messages++;
	l->stats.bytes += bytes;
	return 0;
}

static int local_recv(void *channel, uint32_t *slot, uint64_t *bytes,
		      struct pfw_message_id *id, struct pfw_error *err)
{
	struct local *l = channel;
	struct item *item = &l->queue[l->head];

	(void)err;
	if (!l->count)
		return -EAGAIN;
	l->count--;
	l->head = (l->head + 1) % l->info.n_slots;
	*slot = item->slot;
	*bytes = item->bytes;
	*id = item->id;
	return 0;
}

static int local_release(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct local *l = channel;

	(void)err;
	l->busy[slot] = 0;
	return 0;
}

/* Nobody else will change anything: a wait here would be for ever. */
static int local_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	(void)channel;
	(void)slot;
	(void)deadline;
	return -EDEADLK;
}

static int local_check(void *channel, struct pfw_error *err)
{
	(void)channel;
	(void)err;
	return 0;
}

static void local_stats(void *channel, struct pfw_channel_stats *out)
{
	struct local *l = channel;
	size_t size = out->size;

	*out = l->stats;
	out->size = size;
}

const struct pfw_transport_ops pfw_local_ops = {
	.size = sizeof(struct pfw_transport_ops),
	.close_channel = local_close_channel,
	.slot = local_slot,
	.acquire = local_acquire,
	.send = local_send,
	.recv = local_recv,
	.release = local_release,
	.wait = local_wait,
	.check = local_check,
	.stats = local_stats,
};
