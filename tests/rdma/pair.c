#include "pair.h"

#include <errno.h>
#include <string.h>

#include "settings/config.h"
#include "unit/unit.h"

const struct pfw_transport_ops *ops;

static int open_end(struct pair *p, uint32_t rank, uint32_t n_slots,
		    uint64_t slot_bytes)
{
	const struct pfw_channel_info info = {
		.size = sizeof(info), .from = 0, .to = 1, .n_slots = n_slots,
		.slot_bytes = slot_bytes, .sending = !rank,
		.memory = p->device_ops[rank] ? PFW_MEM_CUDA : PFW_MEM_HOST,
		.device_ops = p->device_ops[rank], .device = p->device[rank],
	};

	return ops->open_channel(p->transport[rank], &info, &p->address[!rank],
				 rank ? &p->rx : &p->tx, &p->err);
}

int pair_open_ends(struct pair *p, uint32_t n_slots, uint64_t slot_bytes)
{
	uint64_t end = pfw_now() + PATIENCE;
	int rc[2] = { -EAGAIN, -EAGAIN };

	while ((rc[0] == -EAGAIN || rc[1] == -EAGAIN) && pfw_now() < end)
		for (uint32_t r = 0; r < 2; r++) {
			if (rc[r] == -EAGAIN)
				rc[r] = open_end(p, r, n_slots, slot_bytes);
			if (rc[r] == -ENOTSUP && p->device_ops[r]) {
				p->device_ops[r] = NULL;
				rc[r] = -EAGAIN;
			}
			if (rc[r] && rc[r] != -EAGAIN)
				return rc[r];
		}
	return rc[0] ? rc[0] : rc[1];
}

int pair_open_rank(struct pair *p, uint32_t rank, const uint8_t *key)
{
	struct pfw_transport_info info = { .size = sizeof(info), .rank = rank,
					   .ranks = 2, .job = 9, .host = "here",
					   .address = "127.0.0.1", .key = key };

	return ops->open(p->opt, &info, NULL, &p->transport[rank],
			 &p->address[rank], &p->err);
}

int pair_make(struct pair *p, const char *option)
{
	const char *texts[] = { "rails=fake0,fake1", option };

	fake_reset();
	ops = pfw_plugin.ops;
	*p = (struct pair){ 0 };
	return pfw_values_from_texts(pfw_plugin.options, pfw_plugin.n_options,
				     "verbs", texts, option ? 2 : 1, &p->opt,
				     &p->err);
}

int pair_open_ranks(struct pair *p, const char *option,
		    const uint8_t *const key[2])
{
	int rc = pair_make(p, option);

	for (uint32_t r = 0; !rc && r < 2; r++)
		rc = pair_open_rank(p, r, key[r]);
	return rc;
}

int pair_open(struct pair *p, const char *option, uint32_t n_slots,
	      uint64_t slot_bytes)
{
	static const uint8_t key[PFW_MAC_BYTES] = "the same";
	const uint8_t *const keys[2] = { key, key };
	int rc = pair_open_ranks(p, option, keys);

	return rc ? rc : pair_open_ends(p, n_slots, slot_bytes);
}

void pair_close_ends(struct pair *p)
{
	ops->close_channel(p->tx);
	ops->close_channel(p->rx);
	p->tx = p->rx = NULL;
}

void pair_close(struct pair *p)
{
	fake_reset();
	fake_deliver();
	fake_complete();
	pair_close_ends(p);
	ops->close(p->transport[0]);
	ops->close(p->transport[1]);
	pfw_values_free(p->opt);
	CU_ASSERT_EQUAL(fake_alive(), 0);
}

/* Where the host sees it. */
static unsigned char *slot_at(void *channel, uint32_t slot)
{
	void *at = ops->slot(channel, slot);
	char *seen = fake.gpu ? fake.gpu(at) : NULL;

	return seen ? (unsigned char *)seen : at;
}

int pair_send(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes)
{
	struct pfw_message_id id = { .sequence = m };
	int rc = ops->acquire(p->tx, slot, &p->err);

	if (rc)
		return rc;
	memset(slot_at(p->tx, slot), (int)(m + 1), bytes);
	return ops->send(p->tx, slot, bytes, &id, &p->err);
}

int pair_take(struct pair *p, uint32_t *slot, uint64_t m, uint64_t bytes)
{
	struct pfw_message_id id;
	const unsigned char *at;
	uint64_t came;
	int rc = ops->recv(p->rx, slot, &came, &id, &p->err);

	if (rc)
		return rc;
	at = slot_at(p->rx, *slot);
	if (id.sequence != m || came != bytes)
		return -EBADMSG;
	for (uint64_t i = 0; i < bytes; i++)
		if (at[i] != (unsigned char)(m + 1))
			return -EBADMSG;
	return 0;
}

int pair_pass(struct pair *p, uint32_t slot, uint64_t m, uint64_t bytes)
{
	uint32_t s;
	int rc = pair_send(p, slot, m, bytes);

	if (!rc)
		rc = pair_take(p, &s, m, bytes);
	return rc ? rc : ops->release(p->rx, s, &p->err);
}

void pair_expect(const struct pair *p, const char *words)
{
	if (strstr(p->err.text, words))
		return;
	fprintf(stderr, "no \"%s\" in: %s\n", words, p->err.text);
	CU_FAIL("see above");
}
