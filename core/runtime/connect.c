/* Opening every channel, before the first step. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/size.h"
#include "runtime/local.h"
#include "runtime/rank.h"

#define WARM_UP_BYTES 4096u

uint64_t pfw_rank_deadline(const struct pfw_rank *rank)
{
	return pfw_now() + (uint64_t)(rank->job->cfg->run.timeout * 1e9);
}

/* Where ranks wait for each other before the first message, a slow disk or a busy
 * machine is no reason to give up; one that was stopped the launcher sees. */
#define STARTING_S 30.0

uint64_t pfw_rank_start_deadline(const struct pfw_rank *rank)
{
	double timeout = rank->job->cfg->run.timeout;

	return pfw_now() + (uint64_t)((timeout < STARTING_S ? STARTING_S :
							      timeout) * 1e9);
}

static struct pfw_channel_info info_of(const struct pfw_rank *rank,
				       const struct pfw_end *end)
{
	const struct pfw_edge *edge = end->edge;

	return (struct pfw_channel_info){
		.size = sizeof(struct pfw_channel_info),
		.from = edge->from,
		.to = edge->to,
		.kind = edge->kind,
		.n_slots = edge->n_slots,
		.slot_bytes = edge->slot_bytes,
		.memory = end->memory,
		.sending = edge->from == rank->rank,
		.device_ops = rank->device_ops,
		.device = rank->device_object,
		.id = end->invited ? &end->id : NULL,
	};
}

static int open_local(struct pfw_rank *rank, struct pfw_end *end,
		      struct pfw_error *err)
{
	struct pfw_channel_info info = info_of(rank, end);
	void *memory;
	int rc = pfw_rank_alloc(rank,
				pfw_size_mul(info.n_slots, info.slot_bytes),
				&memory, err);

	if (rc)
		return rc;
	end->ops = &pfw_local_ops;
	return pfw_local_open(&info, memory, &end->channel, err);
}

static int is_ours(const struct pfw_rank *rank, const struct pfw_edge *edge)
{
	return edge->from == rank->rank || edge->to == rank->rank;
}

/* Once for each call of a transport, whose own work may take long. */
static int may_go_on(struct pfw_rank *rank, uint64_t deadline,
		     struct pfw_error *err)
{
	char text[400];

	if (rank->boot->ops->aborted(rank->boot))
		return pfw_error_set(err, ECANCELED, "another rank failed");
	if (pfw_now() <= deadline)
		return 0;
	pfw_status_text(rank->boot->status, rank->rank, "", text, sizeof(text));
	return pfw_error_set(err, ETIMEDOUT,
			     "not all channels were open within run.timeout: %s",
			     text);
}

static const struct pfw_stack *stack_of(const struct pfw_rank *rank,
					const struct pfw_edge *edge)
{
	uint32_t peer = edge->from == rank->rank ? edge->to : edge->from;

	return &rank->stacks[rank->peers[peer].stack];
}

/* Makes a channel's id, or waits for it; @p below: what is below all filters. */
static int bring_id(struct pfw_rank *rank, struct pfw_end *end,
		    const struct pfw_below *below, uint32_t index,
		    struct pfw_error *err)
{
	struct pfw_channel_info info = info_of(rank, end);
	char key[PFW_BOOT_KEY_MAX];
	int rc;

	snprintf(key, sizeof(key), "channel/%u", index);
	if (!info.sending) {
		rc = pfw_rank_get(rank, key, &end->id, sizeof(end->id), err);
	} else {
		rc = below->ops->invite(below->transport, &info, &end->id, err);
		if (!rc)
			rc = rank->boot->ops->put(rank->boot, key, &end->id,
						  sizeof(end->id), err);
	}
	end->invited = !rc;
	return rc;
}

/* All that this rank makes, before it waits for those of others. */
static int bring_ids(struct pfw_rank *rank, struct pfw_error *err)
{
	for (uint32_t sending = 2; sending--;)
		for (uint32_t i = 0; i < rank->job->n_edges; i++) {
			const struct pfw_edge *edge = &rank->job->edges[i];
			const struct pfw_below *below;
			int rc;

			if (edge->from == edge->to ||
			    (sending ? edge->from : edge->to) != rank->rank)
				continue;
			below = &stack_of(rank, edge)->layers[0];
			rc = below->ops->invite ?
				     bring_id(rank, &rank->ends[i], below, i, err) :
				     0;
			if (rc)
				return rc;
		}
	return 0;
}

/* -EAGAIN: once more. */
static int try_channel(struct pfw_rank *rank, struct pfw_end *end, uint32_t peer,
		       struct pfw_error *err)
{
	const struct pfw_stack *stack = &rank->stacks[rank->peers[peer].stack];
	const struct pfw_below *top = &stack->layers[stack->n_layers - 1];
	struct pfw_channel_info info;
	int rc;

	if (!end->ops)
		end->memory = pfw_slots_memory(end->edge->kind, stack->memory,
					       rank->device.props.memory);
	end->ops = top->ops;
	info = info_of(rank, end);
	rc = top->ops->open_channel(top->transport, &info,
				    &rank->peers[peer].address, &end->channel,
				    err);
	if (rc != -ENOTSUP || end->memory == PFW_MEM_HOST)
		return rc;
	/* It does not reach it on this machine: the host's, and copies. */
	top->ops->close_channel(end->channel);
	end->channel = NULL;
	end->memory = PFW_MEM_HOST;
	return -EAGAIN;
}

/* All that are not open yet, once around; *left of them still are not. */
static int try_channels(struct pfw_rank *rank, unsigned char *open,
			uint32_t *left, uint64_t deadline, struct pfw_error *err)
{
	struct pfw_status *status = rank->boot->status;

	*left = 0;
	for (uint32_t i = 0; i < rank->job->n_edges; i++) {
		const struct pfw_edge *edge = &rank->job->edges[i];
		uint32_t peer = edge->from == rank->rank ? edge->to : edge->from;
		int rc;

		if (!is_ours(rank, edge) || edge->from == edge->to || open[i])
			continue;
		atomic_store(&status->peer, peer);
		atomic_store(&status->kind, edge->kind);
		rc = may_go_on(rank, deadline, err);
		if (rc)
			return rc;
		rc = try_channel(rank, &rank->ends[i], peer, err);
		if (rc && rc != -EAGAIN)
			return rc;
		open[i] = !rc;
		*left += rc != 0;
	}
	return 0;
}

static int open_channels(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	unsigned char *open = calloc(rank->job->n_edges + 1, 1);
	struct pfw_status *status = rank->boot->status;
	uint64_t deadline = pfw_rank_deadline(rank);
	uint32_t left = 0;
	int rc;

	if (!open)
		return pfw_error_set(err, ENOMEM, "out of memory");
	atomic_store(&status->since, pfw_now());
	atomic_store(&status->wait, PFW_WAIT_PEER);
	for (;;) {
		rc = try_channels(rank, open, &left, deadline, err);
		if (rc || !left)
			break;
		nanosleep(&pause, NULL);
	}
	if (!rc)
		atomic_store(&status->wait, PFW_WAIT_NOTHING);
	free(open);
	return rc;
}

static unsigned char pattern(uint32_t edge, uint64_t i)
{
	return (unsigned char)(edge * 31u + i * 7u + (i >> 8));
}

static int warm_up_send(struct pfw_rank *rank, struct pfw_end *end,
			uint32_t index, uint64_t bytes, struct pfw_error *err)
{
	const struct pfw_awaited what = { 0, PFW_NONE, PFW_NONE };
	unsigned char data[WARM_UP_BYTES];

	for (uint64_t i = 0; i < bytes; i++)
		data[i] = pattern(index, i);
	return pfw_end_send_next(rank, end, PFW_PROGRAM_WARM_UP, &what, data,
				 bytes, err);
}

static int warm_up_receive(struct pfw_rank *rank, struct pfw_end *end,
			   uint32_t index, uint64_t bytes,
			   struct pfw_error *err)
{
	const struct pfw_awaited what = { 0, PFW_NONE, PFW_NONE };
	unsigned char copy[WARM_UP_BYTES];
	const unsigned char *got;
	const void *data;
	uint32_t slot;
	int rc = pfw_end_receive_next(rank, end, PFW_PROGRAM_WARM_UP, &what,
				      bytes, &data, &slot, err);

	if (!rc && end->memory != PFW_MEM_HOST)
		rc = pfw_rank_read(rank, copy, data, bytes, err);
	if (rc)
		return rc;
	got = end->memory == PFW_MEM_HOST ? data : copy;
	for (uint64_t i = 0; i < bytes; i++)
		if (got[i] != pattern(index, i))
			return pfw_error_set(
				err, EIO,
				"rank %u: the first message from rank %u (%s) "
				"came damaged at byte %llu",
				rank->rank, end->edge->from,
				pfw_channel_kind_name(end->edge->kind),
				(unsigned long long)i);
	return pfw_end_release(rank, end, slot, err);
}

/* A real message over every channel, in one order for all ranks. */
static int warm_up(struct pfw_rank *rank, struct pfw_error *err)
{
	for (uint32_t i = 0; i < rank->job->n_edges; i++) {
		const struct pfw_edge *edge = &rank->job->edges[i];
		uint64_t bytes = edge->slot_bytes < WARM_UP_BYTES ?
					 edge->slot_bytes : WARM_UP_BYTES;
		int rc = 0;

		if (edge->from == edge->to)
			continue;
		if (edge->from == rank->rank)
			rc = warm_up_send(rank, &rank->ends[i], i, bytes, err);
		else if (edge->to == rank->rank)
			rc = warm_up_receive(rank, &rank->ends[i], i, bytes,
					     err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Actions, slots and the order of every edge's messages, of all programs. */
static uint64_t hash_programs(const struct pfw_job *job)
{
	uint64_t hash = PFW_HASH_START;

	for (uint32_t i = 0; i < PFW_PROGRAMS; i++)
		if (job->programs[i].program)
			hash = pfw_hash_u64(hash, job->programs[i].program->hash);
	return hash;
}

/* Different binaries or configs on two hosts would not know it otherwise. */
static int compare_programs(struct pfw_rank *rank, struct pfw_error *err)
{
	uint64_t ours = hash_programs(rank->job), theirs;
	size_t len;
	int rc;

	if (!rank->rank)
		return rank->boot->ops->put(rank->boot, "program", &ours,
					    sizeof(ours), err);
	rc = rank->boot->ops->get(rank->boot, "program", &theirs,
				  sizeof(theirs), &len,
				  pfw_rank_start_deadline(rank), err);
	if (!rc && (len != sizeof(theirs) || ours != theirs))
		rc = pfw_error_set(err, EPROTO,
				   "rank %u compiled another program than rank "
				   "0: the same pipefw and the same config must "
				   "run on all hosts",
				   rank->rank);
	return rc;
}

/* All slots of a channel, where they lie in one piece; 0: they do not. */
static uint64_t slots_span(const struct pfw_end *end)
{
	const char *first = end->ops->slot(end->channel, 0);
	uint64_t bytes = end->edge->slot_bytes;

	for (uint32_t i = 1; i < end->edge->n_slots; i++)
		if ((const char *)end->ops->slot(end->channel, i) !=
		    first + i * bytes)
			return 0;
	return end->edge->n_slots * bytes;
}

/* A device that cannot pin them copies all the same, only slower. */
static void pin_slots(struct pfw_rank *rank, struct pfw_end *end)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	uint64_t span = ops->pin ? slots_span(end) : 0;
	void *first = end->ops->slot(end->channel, 0);

	if (span && !ops->pin(rank->device_object, first, span, NULL))
		end->pinned = first;
}

/* Not where receives are posted: see bind_queue().  (A filter's post() says
 * nothing of what is below it.) */
static int may_bind(const struct pfw_rank *rank, const struct pfw_end *end)
{
	const struct pfw_stack *stack = stack_of(rank, end->edge);

	return end->memory != PFW_MEM_HOST && end->ops->bind_queue &&
	       stack->receive != PFW_RECEIVE_PLANNED &&
	       rank->device_ops->record;
}

/* What a device of its own memory computes on lies there, beside the slots where
 * these do not. */
static int open_mirrors(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc = 0;

	if (rank->device.props.memory == PFW_MEM_HOST)
		return 0;
	for (uint32_t i = 0; !rc && i < rank->job->n_edges; i++) {
		const struct pfw_edge *edge = &rank->job->edges[i];
		struct pfw_end *end = &rank->ends[i];

		if (!is_ours(rank, edge) || edge->from == edge->to ||
		    edge->kind == PFW_CHANNEL_SCALAR)
			continue;
		end->bound = may_bind(rank, end) &&
			     !end->ops->bind_queue(end->channel, rank->queue,
						   NULL);
		end->behind = !end->bound;
		rank->pending.n_bound += end->bound;
		if (end->memory != PFW_MEM_HOST)
			continue;
		rc = pfw_rank_alloc(rank, pfw_size_mul(edge->n_slots,
						       edge->slot_bytes),
				    (void **)&end->mirror, err);
		if (!rc)
			pin_slots(rank, end);
	}
	return rc ? rc : pfw_rank_open_pending(rank, err);
}

int pfw_rank_connect(struct pfw_rank *rank, struct pfw_error *err)
{
	uint32_t n = rank->job->n_edges;
	int rc = 0;

	atomic_store(&rank->boot->status->phase, PFW_PHASE_CONNECTING);
	rank->ends = calloc(n + 1, sizeof(*rank->ends));
	if (!rank->ends)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; !rc && i < n; i++) {
		rank->ends[i].edge = &rank->job->edges[i];
		rank->ends[i].memory = PFW_MEM_HOST;
		if (rank->job->edges[i].from == rank->rank &&
		    rank->job->edges[i].to == rank->rank)
			rc = open_local(rank, &rank->ends[i], err);
	}
	if (!rc)
		rc = compare_programs(rank, err);
	if (!rc && rank->boot->ranks > 1)
		rc = pfw_rank_open_stacks(rank, err);
	if (!rc && rank->boot->ranks > 1)
		rc = bring_ids(rank, err);
	if (!rc && rank->boot->ranks > 1)
		rc = open_channels(rank, err);
	if (!rc)
		rc = pfw_rank_tell_transports(rank, err);
	if (!rc)
		rc = warm_up(rank, err);
	return rc ? rc : open_mirrors(rank, err);
}

void pfw_rank_disconnect(struct pfw_rank *rank)
{
	pfw_rank_let_go(rank);
	pfw_rank_close_pending(rank);
	for (uint32_t i = 0; rank->ends && i < rank->job->n_edges; i++) {
		struct pfw_end *end = &rank->ends[i];

		if (end->pinned)
			rank->device_ops->unpin(rank->device_object,
						end->pinned);
		if (end->ops)
			end->ops->close_channel(end->channel);
	}
	free(rank->ends);
	rank->ends = NULL;
	pfw_rank_close_stacks(rank);
}
