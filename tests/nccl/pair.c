/* Both ends in one process: see pair.h. */
#include "nccl/pair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cuda/fake_cuda.h"
#include "nccl/fake_nccl.h"
#include "unit/unit.h"

#define LIBRARY "library=tests/nccl/.libs/libfakenccl.so"

extern const struct pfw_plugin pfw_plugin;

/* Queues of the tests are streams. */
static void *native(void *queue)
{
	return queue;
}

static const struct pfw_device_ops device = { .size = sizeof(device),
					      .native = native };

int pair_open_transports(struct pair *p, const char *option)
{
	const char *texts[] = { LIBRARY, option };
	int rc;

	*p = (struct pair){ .ops = pfw_plugin.ops };
	rc = pfw_values_from_texts(pfw_plugin.options, pfw_plugin.n_options,
				   "nccl", texts, option ? 2 : 1, &p->opt,
				   &p->err);
	for (uint32_t r = 0; !rc && r < 2; r++) {
		struct pfw_transport_info info = {
			.size = sizeof(info), .rank = r, .ranks = 2, .job = 9,
			.host = "here",
		};

		rc = p->ops->open(p->opt, &info, NULL, &p->transport[r],
				  &p->address[r], &p->err);
	}
	return rc;
}

static struct pfw_channel_info info_of(uint32_t kind, uint32_t memory,
				       uint64_t slot_bytes)
{
	return (struct pfw_channel_info){
		.size = sizeof(struct pfw_channel_info), .from = 0, .to = 1,
		.kind = kind, .n_slots = 3, .slot_bytes = slot_bytes,
		.memory = memory, .device_ops = &device,
	};
}

static int open_both(struct pair *p, struct pfw_channel_info info, void *end[2])
{
	uint64_t stop = pfw_now() + 20 * PFW_S;
	int rc[2] = { -EAGAIN, -EAGAIN };

	while ((rc[0] == -EAGAIN || rc[1] == -EAGAIN) && pfw_now() < stop)
		for (uint32_t r = 0; r < 2; r++) {
			info.sending = !r;
			if (rc[r] == -EAGAIN)
				rc[r] = p->ops->open_channel(
					p->transport[r], &info, &p->address[!r],
					&end[r], &p->err);
			if (rc[r] && rc[r] != -EAGAIN)
				return rc[r];
		}
	return rc[0] ? rc[0] : rc[1];
}

int pair_open_ends(struct pair *p, uint32_t kind, uint32_t memory,
		   uint64_t slot_bytes, void *end[2])
{
	return open_both(p, info_of(kind, memory, slot_bytes), end);
}

int pair_open_one(struct pair *p, uint64_t slot_bytes)
{
	struct pfw_channel_info info = info_of(0, PFW_MEM_CUDA, slot_bytes);
	int rc = pair_open_transports(p, NULL);

	info.n_slots = 1;
	return rc ? rc : open_both(p, info, p->end);
}

int pair_open_invited(struct pair *p, uint32_t kind, uint32_t memory,
		      uint64_t slot_bytes, void *end[2])
{
	struct pfw_channel_info info = info_of(kind, memory, slot_bytes);
	struct pfw_group_id id;
	int rc;

	info.sending = 1;
	rc = p->ops->invite(p->transport[0], &info, &id, &p->err);
	info.id = &id;
	return rc ? rc : open_both(p, info, end);
}

int pair_open(struct pair *p, const char *option, uint32_t memory,
	      uint64_t slot_bytes)
{
	int rc = pair_open_transports(p, option);

	return rc ? rc : pair_open_ends(p, 0, memory, slot_bytes, p->end);
}

void pair_close(struct pair *p)
{
	p->ops->close_channel(p->end[0]);
	p->ops->close_channel(p->end[1]);
	p->ops->close(p->transport[0]);
	p->ops->close(p->transport[1]);
	pfw_values_free(p->opt);
	fake_nccl_fail("", 0, ncclSuccess);
	fake_cuda_fail("", 0, cudaSuccess);
	CU_ASSERT_EQUAL(fake_nccl_alive(), 0);
	CU_ASSERT_EQUAL(fake_cuda_alive(), 0);
}

void pair_expect(const struct pair *p, const char *words)
{
	if (strstr(p->err.text, words))
		return;
	fprintf(stderr, "no \"%s\" in: %s\n", words, p->err.text);
	CU_FAIL("see above");
}

int pair_await(struct pair *p, int end, uint32_t slot)
{
	return p->ops->wait(p->end[end], slot, pfw_now() + 20 * PFW_S);
}

int pair_send(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes)
{
	struct pfw_message_id id = { .sequence = m };
	int rc;

	while ((rc = p->ops->acquire(p->end[0], slot, &p->err)) == -EAGAIN)
		if (pair_await(p, 0, slot))
			return -ETIMEDOUT;
	if (rc)
		return rc;
	memset(p->ops->slot(p->end[0], slot), (int)(m + 1), bytes);
	return p->ops->send(p->end[0], slot, bytes, &id, &p->err);
}

/* As the core does where it has waited long, at both ends. */
int pair_check(struct pair *p)
{
	int rc = p->ops->check(p->end[0], &p->err);

	return rc ? rc : p->ops->check(p->end[1], &p->err);
}

int pair_take(struct pair *p, uint32_t want, uint64_t m, uint64_t bytes)
{
	struct pfw_message_id id;
	const unsigned char *at;
	uint64_t came;
	uint32_t slot;
	int rc;

	while ((rc = p->ops->recv(p->end[1], &slot, &came, &id, &p->err)) ==
	       -EAGAIN) {
		p->ops->wait(p->end[1], PFW_NONE, pfw_now() + 10 * PFW_MS);
		rc = pair_check(p);
		if (rc)
			return rc;
	}
	if (rc)
		return rc;
	if (id.sequence != m || came != bytes || slot != want)
		return -EBADMSG;
	at = p->ops->slot(p->end[1], slot);
	for (uint64_t i = 0; i < bytes; i++)
		if (at[i] != (unsigned char)(m + 1))
			return -EBADMSG;
	return p->ops->release(p->end[1], slot, &p->err);
}

int pair_pass(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes)
{
	int rc = pair_send(p, slot, m, bytes);

	if (!rc)
		rc = p->ops->post(p->end[1], slot, bytes, &p->err);
	return rc ? rc : pair_take(p, slot, m, bytes);
}
