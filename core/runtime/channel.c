/* Waiting on channels: with a deadline, an ear for aborts, and a status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/rank.h"

#define SLICE_NS (100 * PFW_MS)
#define BRIEF_NS 20000ull /* while something waits for the device */

#define SET(status, field, value)                                              \
	atomic_store_explicit(&(status)->field, value, memory_order_relaxed)
#define GET(status, field)                                                     \
	atomic_load_explicit(&(status)->field, memory_order_relaxed)

static uint32_t peer_of(const struct pfw_rank *rank, const struct pfw_end *end)
{
	return end->edge->from == rank->rank ? end->edge->to : end->edge->from;
}

static void wait_begins(struct pfw_rank *rank, const struct pfw_end *end,
			uint32_t wait, const struct pfw_awaited *what)
{
	struct pfw_status *s = rank->boot->status;

	SET(s, peer, peer_of(rank, end));
	SET(s, kind, end->edge->kind);
	SET(s, wait_type, what->type);
	SET(s, wait_stage, what->stage);
	SET(s, wait_microbatch, what->microbatch);
	SET(s, since, pfw_now());
	SET(s, wait, wait);
}

static void wait_ends(struct pfw_rank *rank)
{
	struct pfw_status *s = rank->boot->status;
	uint64_t waited;

	if (rank->trace) {
		waited = pfw_now() - GET(s, since);
		if (waited >= rank->wait_ns) {
			rank->wait_ns = waited;
			rank->wait_peer = GET(s, peer);
			rank->wait_wait = GET(s, wait);
			rank->wait_kind = GET(s, kind);
		}
	}
	SET(s, wait, PFW_WAIT_NOTHING);
}

/* The status stays as it is: it says what this rank gave up. */
static int gave_up(struct pfw_rank *rank, double waited, struct pfw_error *err)
{
	char text[400];

	pfw_status_text(rank->boot->status, rank->rank, "", text, sizeof(text));
	return pfw_error_set(err, ETIMEDOUT,
			     "no progress for %.1f s (run.timeout): %s", waited,
			     text);
}

/* One slice of a wait; 0: look again.  A transport may wake us early, also
 * because the peer died, so it is the time that counts. */
static int wait_slice(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		      uint64_t *waited, struct pfw_error *err)
{
	uint64_t start = pfw_now(), slices = *waited / SLICE_NS, spent;
	int rc = pfw_rank_settle(rank, err);

	if (rc)
		return rc;
	rc = end->ops->wait(end->channel, slot,
			    start + (rank->pending.n ? BRIEF_NS : SLICE_NS));
	if (rc == -EDEADLK)
		return pfw_error_set(err, EDEADLK,
				     "rank %u waits for itself on its own edge",
				     rank->rank);
	/* What the clock did while the whole run was stopped does not count, nor
	 * while a rank waits for the launcher to listen. */
	spent = pfw_now() - start;
	if (!rank->boot->ops->held(rank->boot))
		*waited += spent < 2 * SLICE_NS ? spent : 2 * SLICE_NS;
	if (rank->boot->ops->aborted(rank->boot))
		return pfw_error_set(err, ECANCELED, "another rank failed");
	if (*waited / SLICE_NS == slices)
		return 0;
	rc = end->ops->check(end->channel, err);
	if (rc)
		return rc;
	if ((double)*waited > rank->job->cfg->run.timeout * 1e9)
		return gave_up(rank, (double)*waited / 1e9, err);
	return 0;
}

static uint32_t maker(const struct pfw_edge *edge)
{
	return edge->kind == PFW_CHANNEL_GRADIENT ? PFW_BACKWARD : PFW_FORWARD;
}

/* The message that came must be the one the program wants. */
static int check_id(const struct pfw_end *end, const struct pfw_message_id *want,
		    const struct pfw_message_id *got, struct pfw_error *err)
{
	char a[48], b[48], why[64] = "the two run different programs";
	uint32_t type = maker(end->edge);

	if (got->sequence == want->sequence && got->step == want->step &&
	    got->stage == want->stage && got->microbatch == want->microbatch &&
	    got->kind == want->kind && got->program == want->program)
		return 0;
	pfw_action_text(type, want->stage, want->microbatch, a, sizeof(a));
	pfw_action_text(type, got->stage, got->microbatch, b, sizeof(b));
	if (got->sequence > want->sequence && got->kind == want->kind)
		snprintf(why, sizeof(why), "message %llu was lost on the way",
			 (unsigned long long)want->sequence);
	return pfw_error_set(
		err, EPROTO,
		"rank %u expects from rank %u the %s of %s (step %llu, message "
		"%llu, program %u) but was sent that of %s (step %llu, message "
		"%llu, program %u): %s",
		end->edge->to, end->edge->from,
		pfw_channel_kind_name(end->edge->kind), a,
		(unsigned long long)want->step + 1,
		(unsigned long long)want->sequence, want->program, b,
		(unsigned long long)got->step + 1,
		(unsigned long long)got->sequence, got->program, why);
}

/* Waits for the next message, whatever it is. */
static int next_message(struct pfw_rank *rank, struct pfw_end *end,
			const struct pfw_awaited *what, uint32_t *slot,
			uint64_t *bytes, struct pfw_message_id *id,
			struct pfw_error *err)
{
	uint64_t waited = 0;
	int failed = 0, rc = end->ops->recv(end->channel, slot, bytes, id, err);

	if (rc != -EAGAIN)
		return rc;
	wait_begins(rank, end, PFW_WAIT_MESSAGE, what);
	/* What a peer sent before it went counts: so one more look. */
	for (;;) {
		rc = end->ops->recv(end->channel, slot, bytes, id, err);
		if (rc != -EAGAIN)
			break;
		if (failed)
			return failed;
		failed = wait_slice(rank, end, PFW_NONE, &waited, err);
	}
	wait_ends(rank);
	return rc;
}

static struct pfw_message_id identity(const struct pfw_rank *rank,
				      const struct pfw_end *end, uint64_t nth,
				      uint32_t program, uint32_t stage,
				      uint32_t microbatch)
{
	return (struct pfw_message_id){
		.sequence = nth,
		.step = rank->state.step,
		.stage = stage,
		.microbatch = microbatch,
		.kind = end->edge->kind,
		.program = program,
	};
}

int pfw_end_post(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		 uint64_t bytes, struct pfw_error *err)
{
	if (!end->ops->post)
		return 0;
	return pfw_rank_post(rank, end, slot, bytes, err);
}

int pfw_end_receive(struct pfw_rank *rank, struct pfw_end *end,
		    uint32_t program, const struct pfw_channel *channel,
		    uint32_t index, struct pfw_error *err)
{
	while (end->arrived <= index) {
		const struct pfw_planned_message *m =
			&channel->messages[end->arrived];
		struct pfw_awaited what = { maker(end->edge), m->stage,
					    m->microbatch };
		struct pfw_message_id got, want;
		uint64_t bytes;
		uint32_t slot;
		int rc = next_message(rank, end, &what, &slot, &bytes, &got,
				      err);

		if (rc)
			return rc;
		want = identity(rank, end, end->received, program, m->stage,
				m->microbatch);
		rc = check_id(end, &want, &got, err);
		if (rc)
			return rc;
		if (slot != m->slot)
			return pfw_error_set(err, EPROTO,
					     "rank %u: message %llu from rank "
					     "%u came in slot %u, not %u",
					     rank->rank,
					     (unsigned long long)want.sequence,
					     end->edge->from, slot, m->slot);
		end->received++;
		end->arrived++;
		rc = pfw_end_fetch(rank, end, slot, bytes, err);
		if (rc)
			return rc;
	}
	return 0;
}

int pfw_end_receive_next(struct pfw_rank *rank, struct pfw_end *end,
			 uint32_t program, const struct pfw_awaited *what,
			 uint64_t bytes, const void **data, uint32_t *slot,
			 struct pfw_error *err)
{
	uint32_t next = (uint32_t)(end->received % end->edge->n_slots);
	struct pfw_message_id got, want;
	uint64_t came;
	int rc = pfw_end_post(rank, end, next, bytes, err);

	if (!rc)
		rc = next_message(rank, end, what, slot, &came, &got, err);
	if (rc)
		return rc;
	want = identity(rank, end, end->received, program, what->stage,
			what->microbatch);
	rc = check_id(end, &want, &got, err);
	if (rc)
		return rc;
	if (came != bytes)
		return pfw_error_set(err, EPROTO,
				     "rank %u expects %llu bytes of %s from rank "
				     "%u but was sent %llu",
				     rank->rank, (unsigned long long)bytes,
				     pfw_channel_kind_name(end->edge->kind),
				     end->edge->from, (unsigned long long)came);
	end->received++;
	*data = end->ops->slot(end->channel, *slot);
	return 0;
}

/* To the transport a slot that is not sent yet is free still. */
static int try_acquire(const struct pfw_rank *rank, const struct pfw_end *end,
		       uint32_t slot, struct pfw_error *err)
{
	if (pfw_rank_is_deferred(rank, end, slot))
		return -EAGAIN;
	return end->ops->acquire(end->channel, slot, err);
}

int pfw_end_acquire(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		    const struct pfw_awaited *what, struct pfw_error *err)
{
	uint64_t waited = 0;
	int failed = 0, rc = try_acquire(rank, end, slot, err);

	if (rc != -EAGAIN)
		return rc;
	wait_begins(rank, end, PFW_WAIT_SLOT, what);
	/* As above: what it gave back. */
	for (;;) {
		rc = try_acquire(rank, end, slot, err);
		if (rc != -EAGAIN)
			break;
		if (failed)
			return failed;
		failed = wait_slice(rank, end, slot, &waited, err);
	}
	wait_ends(rank);
	return rc;
}

void *pfw_end_slot(const struct pfw_end *end, uint32_t slot)
{
	if (end->mirror)
		return end->mirror + slot * end->edge->slot_bytes;
	return end->ops->slot(end->channel, slot);
}

int pfw_end_fetch(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		  uint64_t bytes, struct pfw_error *err)
{
	if (!end->mirror)
		return 0;
	return pfw_rank_bring_in(rank, pfw_end_slot(end, slot),
				 end->ops->slot(end->channel, slot), bytes,
				 err);
}

int pfw_end_send(struct pfw_rank *rank, struct pfw_end *end, uint32_t program,
		 uint32_t slot, uint64_t bytes, uint32_t stage,
		 uint32_t microbatch, struct pfw_error *err)
{
	struct pfw_deferred what = {
		.end = end,
		.id = identity(rank, end, end->sent, program, stage, microbatch),
		.bytes = bytes,
		.slot = slot,
		.does = PFW_LATER_SEND,
	};
	int rc = 0;

	if (end->mirror)
		rc = pfw_rank_take_out(rank, end->ops->slot(end->channel, slot),
				       end->mirror +
					       slot * end->edge->slot_bytes,
				       bytes, err);
	if (!rc && end->behind)
		rc = pfw_rank_send_later(rank, &what, err);
	else if (!rc)
		rc = end->ops->send(end->channel, slot, bytes, &what.id, err);
	end->sent += !rc;
	return rc;
}

int pfw_end_release(struct pfw_rank *rank, struct pfw_end *end, uint32_t slot,
		    struct pfw_error *err)
{
	const struct pfw_deferred what = { .end = end, .slot = slot };

	if (!end->behind)
		return end->ops->release(end->channel, slot, err);
	return pfw_rank_release_later(rank, &what, err);
}

/* Done on return: the data may go. */
static int fill_slot(struct pfw_rank *rank, const struct pfw_end *end,
		     uint32_t slot, const void *data, uint64_t bytes,
		     struct pfw_error *err)
{
	void *to = end->ops->slot(end->channel, slot);
	int rc;

	if (end->memory == PFW_MEM_HOST) {
		memcpy(to, data, bytes);
		return 0;
	}
	rc = rank->device_ops->copy(rank->queue, to, data, bytes, PFW_COPY_IN,
				    err);
	return rc ? rc : pfw_rank_sync(rank, err);
}

int pfw_end_send_next(struct pfw_rank *rank, struct pfw_end *end,
		      uint32_t program, const struct pfw_awaited *what,
		      const void *data, uint64_t bytes, struct pfw_error *err)
{
	uint32_t slot = (uint32_t)(end->sent % end->edge->n_slots);
	int rc = pfw_end_acquire(rank, end, slot, what, err);

	if (!rc)
		rc = fill_slot(rank, end, slot, data, bytes, err);
	return rc ? rc : pfw_end_send(rank, end, program, slot, bytes,
				      what->stage, what->microbatch, err);
}
