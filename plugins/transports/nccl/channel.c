#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int no_memory(const struct pfw_channel_info *info, struct pfw_error *err)
{
	return pfw_error_set(err, ENOMEM, "no memory of the GPU, or none of the "
			     "host that it can reach, for %u slots of %llu bytes",
			     info->n_slots, (unsigned long long)info->slot_bytes);
}

/* Memory that NCCL can use where it lies, if it has any to give. */
static int open_memory(struct nccl_channel *c, struct pfw_error *err)
{
	const struct nccl_library *lib = c->lib;
	const struct pfw_channel_info *info = &c->stream.info;
	size_t bytes = info->n_slots * info->slot_bytes;
	void *at = NULL;

	if (lib->alloc ? (int)lib->alloc(&at, bytes) : (int)cudaMalloc(&at, bytes))
		return no_memory(info, err);
	c->device = at;
	/* Faster where it works; where it does not, transfers copy. */
	if (lib->alloc && lib->enlist(c->comm->comm, at, bytes, &c->listed))
		c->listed = NULL;
	if (info->memory != PFW_MEM_HOST)
		return cudaMemset(at, 0, bytes) ? no_memory(info, err) : 0;
	if (cudaHostAlloc(&at, bytes, cudaHostAllocPortable))
		return no_memory(info, err);
	c->host = at;
	memset(at, 0, bytes);
	return 0;
}

static int open_events(struct nccl_channel *c, struct pfw_error *err)
{
	const struct pfw_channel_info *info = &c->stream.info;
	cudaError_t e = cudaSuccess;

	for (uint32_t i = 0; !e && i < info->n_slots; i++) {
		struct nccl_op *op = &c->ops[i];

		op->device = c->device + i * info->slot_bytes;
		op->host = c->host ? c->host + i * info->slot_bytes : NULL;
		op->sending = info->sending;
		e = cudaEventCreateWithFlags(&op->gate, cudaEventDisableTiming);
		if (!e)
			e = cudaEventCreateWithFlags(&op->done,
						     cudaEventDisableTiming);
	}
	if (e)
		return pfw_error_set(err, EIO, "no CUDA event for a slot: %s",
				     cudaGetErrorString(e));
	return 0;
}

int nccl_channel_open(struct nccl_channel *c, struct nccl_comm *comm,
		      struct pfw_error *err)
{
	uint32_t n = c->stream.info.n_slots;
	int rc;

	c->comm = comm;
	c->lib = comm->lib;
	c->ops = calloc(n, sizeof(*c->ops));
	c->posted.list = calloc(n, sizeof(*c->posted.list));
	if (!c->ops || !c->posted.list)
		return pfw_error_set(err, ENOMEM, "out of memory");
	rc = open_memory(c, err);
	return rc ? rc : open_events(c, err);
}

/* What an abort finds listed it takes off itself. */
void nccl_channel_delist(struct nccl_channel *c)
{
	const struct nccl_comm *comm = c->comm;

	if (c->listed && comm->comm && !comm->first &&
	    !cudaStreamQuery(comm->stream))
		c->lib->strike(comm->comm, c->listed);
	cudaGetLastError();
	c->listed = NULL;
}

void nccl_channel_close(struct nccl_channel *c)
{
	const struct nccl_library *lib = c->lib;

	if (!lib)
		return;
	for (uint32_t i = 0; c->ops && i < c->stream.info.n_slots; i++) {
		if (c->ops[i].gate)
			cudaEventDestroy(c->ops[i].gate);
		if (c->ops[i].done)
			cudaEventDestroy(c->ops[i].done);
	}
	if (c->host)
		cudaFreeHost(c->host);
	if (c->device && lib->alloc)
		lib->free(c->device);
	else if (c->device)
		cudaFree(c->device);
	free(c->posted.list);
	free(c->ops);
}

void *nccl_channel_slot(struct nccl_channel *c, uint32_t slot)
{
	char *base = c->host ? c->host : c->device;

	return base + slot * c->stream.info.slot_bytes;
}

int nccl_channel_error(const struct nccl_channel *c, struct pfw_error *err)
{
	if (c->failed.code)
		return pfw_error_set(err, c->failed.code, "%s", c->failed.text);
	if (c->comm->failed.code)
		return nccl_comm_error(c->comm, err);
	return c->stream.failed ? tcp_stream_error(&c->stream, err) : 0;
}

void nccl_channel_turn(struct nccl_channel *c)
{
	if (!c->stream.failed) {
		tcp_stream_push(&c->stream);
		tcp_stream_pull(&c->stream);
	}
	nccl_comm_turn(c->comm);
	/* NCCL does not tell the peer that this end has given up. */
	if (c->comm->failed.code && !c->stream.failed)
		shutdown(c->stream.socket, SHUT_WR);
}

/* What was launched is done, or what comes next on the queue waits for it.  An
 * abort lets the event happen too: so nothing counts that was not known before the
 * communicator failed, and NCCL is asked, once an operation, whether it has. */
static bool is_done(struct nccl_channel *c, struct nccl_op *op, bool tie)
{
	cudaError_t e;

	if (op->state != NCCL_OP_LAUNCHED)
		return op->state != NCCL_OP_QUEUED;
	if (c->comm->failed.code)
		return false;
	if (c->bound && !tie)
		return true;
	e = c->bound ? cudaStreamWaitEvent(c->queue, op->done, 0) :
		       cudaEventQuery(op->done);
	if (e == cudaErrorNotReady) {
		cudaGetLastError(); /* the next kernel's launch would have it */
		return false;
	}
	if (e)
		nccl_comm_fail(c->comm, EIO, cudaGetErrorString(e));
	if (!nccl_comm_is_well(c->comm))
		return false;
	if (!c->bound)
		op->state = NCCL_OP_DONE;
	return true;
}

int nccl_channel_acquire(struct nccl_channel *c, uint32_t slot,
			 struct pfw_error *err)
{
	struct tcp_stream *s = &c->stream;
	int rc;

	if (slot >= s->info.n_slots)
		return pfw_error_set(err, EINVAL, "slot %u of %u", slot,
				     s->info.n_slots);
	nccl_channel_turn(c);
	if (s->state[slot] == TCP_SLOT_TAKEN)
		return 0;
	if (s->state[slot] == TCP_SLOT_FREE && is_done(c, &c->ops[slot], true)) {
		c->ops[slot].state = NCCL_OP_IDLE;
		s->state[slot] = TCP_SLOT_TAKEN;
		return 0;
	}
	rc = nccl_channel_error(c, err);
	return rc ? rc : -EAGAIN;
}

/* With the communicator, behind what the queue has been given so far. */
static int start(struct nccl_channel *c, uint32_t slot, uint64_t bytes,
		 struct pfw_error *err)
{
	struct nccl_op *op = &c->ops[slot];
	cudaError_t e = cudaSuccess;

	op->bytes = bytes;
	op->gated = c->bound;
	if (c->bound)
		e = cudaEventRecord(op->gate, c->queue);
	if (e)
		return pfw_error_set(err, EIO, "the device's queue takes no "
				     "event: %s", cudaGetErrorString(e));
	nccl_comm_add(c->comm, op);
	return nccl_comm_error(c->comm, err);
}

static int too_many(const struct nccl_channel *c, uint64_t bytes,
		    struct pfw_error *err)
{
	return pfw_error_set(err, EMSGSIZE, "%llu bytes for a slot of %llu",
			     (unsigned long long)bytes,
			     (unsigned long long)c->stream.info.slot_bytes);
}

int nccl_channel_send(struct nccl_channel *c, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	struct tcp_stream *s = &c->stream;
	int rc;

	if (bytes > s->info.slot_bytes)
		return too_many(c, bytes, err);
	if (slot >= s->info.n_slots || s->state[slot] != TCP_SLOT_TAKEN)
		return pfw_error_set(err, EINVAL, "slot %u was not acquired",
				     slot);
	rc = nccl_channel_error(c, err);
	if (!rc)
		rc = start(c, slot, bytes, err);
	if (rc)
		return rc;
	s->heads[slot] = (struct tcp_head){ .magic = TCP_MAGIC, .slot = slot,
					    .bytes = bytes, .id = *id };
	s->state[slot] = TCP_SLOT_FULL;
	tcp_queue_put(&s->out, s->info.n_slots, slot);
	s->stats.messages++;
	s->stats.bytes += bytes;
	s->stats.copied_bytes += c->host ? bytes : 0;
	tcp_stream_push(s);
	return 0;
}

/* NCCL matches by order alone: what the sender announced must be what is posted,
 * here the nth from now of both. */
static int compare(struct nccl_channel *c, uint32_t nth, uint32_t slot,
		   uint64_t bytes, struct pfw_error *err)
{
	const struct tcp_stream *s = &c->stream;
	const struct tcp_head *h;

	if (nth >= s->in.count)
		return 0;
	h = &s->heads[s->in.list[(s->in.head + nth) % s->info.n_slots]];
	if (h->slot == slot && h->bytes == bytes)
		return 0;
	pfw_error_set(&c->failed, EPROTO,
		      "%s channel %u -> %u: rank %u sends message %llu, %llu "
		      "bytes in slot %u, where rank %u expects %llu bytes in "
		      "slot %u: the two run different plans",
		      pfw_channel_kind_name(s->info.kind), s->info.from,
		      s->info.to, s->info.from,
		      (unsigned long long)h->id.sequence,
		      (unsigned long long)h->bytes, h->slot, s->info.to,
		      (unsigned long long)bytes, slot);
	nccl_comm_fail(c->comm, EPROTO, c->failed.text);
	return nccl_channel_error(c, err);
}

int nccl_channel_post(struct nccl_channel *c, uint32_t slot, uint64_t bytes,
		      struct pfw_error *err)
{
	struct tcp_stream *s = &c->stream;
	int rc;

	if (bytes > s->info.slot_bytes)
		return too_many(c, bytes, err);
	if (slot >= s->info.n_slots || c->ops[slot].state != NCCL_OP_IDLE)
		return pfw_error_set(err, EINVAL, "slot %u cannot be posted: it "
				     "is in use", slot);
	nccl_channel_turn(c);
	rc = nccl_comm_error(c->comm, err);
	if (!rc)
		rc = compare(c, c->posted.count, slot, bytes, err);
	if (!rc)
		rc = start(c, slot, bytes, err);
	if (!rc)
		tcp_queue_put(&c->posted, s->info.n_slots, slot);
	return rc;
}

/* The next message is announced, posted and whole. */
static bool is_there(struct nccl_channel *c)
{
	uint32_t slot;

	if (!c->stream.in.count || !c->posted.count)
		return false;
	slot = c->posted.list[c->posted.head];
	return is_done(c, &c->ops[slot], false);
}

int nccl_channel_recv(struct nccl_channel *c, uint32_t *slot, uint64_t *bytes,
		      struct pfw_message_id *id, struct pfw_error *err)
{
	struct tcp_stream *s = &c->stream;
	uint32_t n = s->info.n_slots, next;
	int rc = 0;

	nccl_channel_turn(c);
	if (c->posted.count) {
		next = c->posted.list[c->posted.head];
		rc = compare(c, 0, next, c->ops[next].bytes, err);
	}
	if (rc)
		return rc;
	if (!is_there(c)) {
		rc = nccl_channel_error(c, err);
		return rc ? rc : -EAGAIN;
	}
	next = tcp_queue_take(&c->posted, n);
	tcp_queue_take(&s->in, n);
	if (!is_done(c, &c->ops[next], true))
		return nccl_channel_error(c, err);
	s->state[next] = TCP_SLOT_USED;
	*slot = next;
	*bytes = s->heads[next].bytes;
	*id = s->heads[next].id;
	s->stats.messages++;
	s->stats.bytes += *bytes;
	s->stats.copied_bytes += c->host ? *bytes : 0;
	return 0;
}

int nccl_channel_release(struct nccl_channel *c, uint32_t slot,
			 struct pfw_error *err)
{
	struct tcp_stream *s = &c->stream;

	if (slot >= s->info.n_slots || s->state[slot] != TCP_SLOT_USED)
		return pfw_error_set(err, EINVAL, "slot %u holds no message",
				     slot);
	s->state[slot] = TCP_SLOT_FREE;
	c->ops[slot].state = NCCL_OP_IDLE;
	tcp_queue_put(&s->out, s->info.n_slots, slot);
	tcp_stream_push(s);
	return 0;
}

bool nccl_channel_is_due(struct nccl_channel *c, uint32_t slot)
{
	const struct tcp_stream *s = &c->stream;

	if (s->info.sending ?
		    slot < s->info.n_slots && s->state[slot] != TCP_SLOT_FULL &&
			    is_done(c, &c->ops[slot], false) :
		    is_there(c))
		return true;
	if (c->mourned || !nccl_channel_error(c, NULL))
		return false;
	c->mourned = true;
	return true;
}
