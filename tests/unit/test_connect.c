/* Opening channels over a transport that only pretends to. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/rank.h"

#define EDGES 50u

/* What the transport does in the call of a channel, and what it was asked. */
static struct scene {
	uint64_t takes_ns;  /**< each call */
	uint32_t abort_at;  /**< in this call somebody else fails */
	uint32_t calls;
	uint64_t waits_until; /* deadline of the last wait for another rank */
	int aborted;
} scene;

static int fake_open(const struct pfw_values *opt,
		     const struct pfw_transport_info *info,
		     const struct pfw_below *below, void **transport,
		     struct pfw_address *self, struct pfw_error *err)
{
	(void)opt;
	(void)info;
	(void)below;
	(void)self;
	(void)err;
	*transport = &scene;
	return 0;
}

static void fake_close(void *object)
{
	(void)object;
}

static void fake_props(const struct pfw_values *opt,
		       struct pfw_transport_props *out)
{
	(void)opt;
	out->memory = PFW_MEM_HOST;
}

static int fake_open_channel(void *transport,
			     const struct pfw_channel_info *info,
			     const struct pfw_address *peer, void **channel,
			     struct pfw_error *err)
{
	uint64_t end = pfw_now() + scene.takes_ns;

	(void)transport;
	(void)info;
	(void)peer;
	(void)channel;
	(void)err;
	while (pfw_now() < end)
		;
	scene.aborted |= ++scene.calls == scene.abort_at;
	return -EAGAIN;
}

static const struct pfw_loaded fake_transport = {
	.ops.transport = {
		.size = sizeof(struct pfw_transport_ops),
		.props = fake_props,
		.open = fake_open,
		.close = fake_close,
		.open_channel = fake_open_channel,
		.close_channel = fake_close,
	},
};

static int boot_put(struct pfw_boot *boot, const char *key, const void *value,
		    size_t len, struct pfw_error *err)
{
	(void)boot;
	(void)key;
	(void)value;
	(void)len;
	(void)err;
	return 0;
}

static int boot_get(struct pfw_boot *boot, const char *key, void *value,
		    size_t size, size_t *len, uint64_t deadline,
		    struct pfw_error *err)
{
	(void)boot;
	(void)key;
	(void)err;
	scene.waits_until = deadline;
	memset(value, 0, size);
	*len = size;
	return 0;
}

static int boot_aborted(const struct pfw_boot *boot)
{
	(void)boot;
	return scene.aborted;
}

static const struct pfw_boot_ops boot_ops = {
	.put = boot_put, .get = boot_get, .aborted = boot_aborted,
};

static int connect_rank(double timeout, struct pfw_error *err)
{
	struct pfw_config cfg = { .run.timeout = timeout,
				  .transport.transport.plugin = &fake_transport };
	struct pfw_program program = { .ranks = 2 };
	struct pfw_edge edges[EDGES];
	struct pfw_job job = { .cfg = &cfg, .edges = edges, .n_edges = EDGES,
			       .programs[0].program = &program };
	struct pfw_status status = { .phase = PFW_PHASE_STARTING };
	struct pfw_place place = { .ranks = 2, .n = 2, .cores = 2 };
	struct pfw_boot boot = { .ops = &boot_ops, .ranks = 2, .threads = 1, .place = &place,
				 .status = &status };
	struct pfw_rank rank = { .job = &job, .boot = &boot };
	int rc;

	for (uint32_t i = 0; i < EDGES; i++)
		edges[i] = (struct pfw_edge){ .from = 0, .to = 1, .kind = i,
					      .n_slots = 1, .slot_bytes = 64 };
	rc = pfw_rank_connect(&rank, err);
	pfw_rank_disconnect(&rank);
	return rc;
}

/* Before the first round is over, too. */
static void an_abort_is_heard(void)
{
	struct pfw_error err = { 0 };

	scene = (struct scene){ .abort_at = 3 };
	CU_ASSERT_EQUAL(connect_rank(10, &err), -ECANCELED);
	CU_ASSERT_EQUAL(scene.calls, 3);
}

/* Time that a transport spends in its calls counts. */
static void the_deadline_holds(void)
{
	struct pfw_error err = { 0 };

	scene = (struct scene){ .takes_ns = 4 * PFW_MS };
	CU_ASSERT_EQUAL(connect_rank(0.02, &err), -ETIMEDOUT);
	CU_ASSERT(scene.calls < EDGES);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "run.timeout"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "for rank 1 to open the"));
}

/* Until ranks have found each other they may be slow, channels may not. */
static void starting_has_time(void)
{
	static const struct {
		double timeout;
		uint64_t seconds;
	} cases[] = { { 0.02, 30 }, { 1, 30 }, { 100, 100 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before = pfw_now(), after;

		scene = (struct scene){ .abort_at = 1 };
		CU_ASSERT_EQUAL(connect_rank(cases[i].timeout, NULL),
				-ECANCELED);
		after = pfw_now();
		CU_ASSERT(scene.waits_until >= before + cases[i].seconds * PFW_S);
		CU_ASSERT(scene.waits_until <= after + cases[i].seconds * PFW_S);
	}
}

static const struct unit_test tests[] = {
	{ "an abort is heard between two channels", an_abort_is_heard },
	{ "the deadline holds", the_deadline_holds },
	{ "a slow start is waited for", starting_has_time },
};

UNIT_MAIN("connect", tests)
