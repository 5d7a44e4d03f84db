/* Puts, gets and fences as the launcher takes them, in any order. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launch/hub.h"

#define RANKS 3u

/* What each rank was answered. */
static struct {
	uint32_t values, goes;
	struct pfw_control_packet last;
} heard[RANKS];

static struct pfw_hub *hub;
static struct pfw_error err;

static void hear(void *context, uint32_t rank,
		 const struct pfw_control_packet *packet)
{
	CU_ASSERT_PTR_EQUAL(context, heard);
	CU_ASSERT_FATAL(rank < RANKS);
	heard[rank].values += packet->type == PFW_CONTROL_VALUE;
	heard[rank].goes += packet->type == PFW_CONTROL_GO;
	heard[rank].last = *packet;
}

static void begin(void)
{
	memset(heard, 0, sizeof(heard));
	CU_ASSERT_EQUAL_FATAL(pfw_hub_open(RANKS, hear, heard, &hub, &err), 0);
}

static int say(uint32_t rank, uint32_t type, const char *key, const char *value)
{
	struct pfw_control_packet p = { .type = type };

	snprintf(p.key, sizeof(p.key), "%s", key);
	p.len = (uint32_t)strlen(value);
	memcpy(p.value, value, p.len);
	return pfw_hub_take(hub, rank, &p, &err);
}

static void expect(uint32_t rank, uint32_t values, const char *value)
{
	CU_ASSERT_EQUAL(heard[rank].values, values);
	CU_ASSERT_EQUAL(heard[rank].last.len, strlen(value));
	CU_ASSERT(!memcmp(heard[rank].last.value, value, strlen(value)));
}

/* A value is given to who asked before it was there, and after. */
static void values(void)
{
	begin();
	CU_ASSERT_EQUAL(say(0, PFW_CONTROL_GET, "a", ""), 0);
	CU_ASSERT_EQUAL(say(2, PFW_CONTROL_GET, "a", ""), 0);
	CU_ASSERT_EQUAL(say(1, PFW_CONTROL_PUT, "b", "other"), 0);
	CU_ASSERT_EQUAL(heard[0].values + heard[2].values, 0);
	CU_ASSERT_EQUAL(say(1, PFW_CONTROL_PUT, "a", "first"), 0);
	expect(0, 1, "first");
	expect(2, 1, "first");
	CU_ASSERT_EQUAL(say(1, PFW_CONTROL_PUT, "a", "second"), 0);
	CU_ASSERT_EQUAL(heard[0].values, 1);
	CU_ASSERT_EQUAL(say(0, PFW_CONTROL_GET, "a", ""), 0);
	expect(0, 2, "second");
	CU_ASSERT_EQUAL(say(0, PFW_CONTROL_GET, "b", ""), 0);
	expect(0, 3, "other");
	pfw_hub_close(hub);
}

/* All that fits is found again; what does not is refused, and named. */
static void many_values(void)
{
	char key[16];
	uint32_t n = 0;

	begin();
	do
		snprintf(key, sizeof(key), "key %u", n);
	while (!say(1, PFW_CONTROL_PUT, key, key) && ++n < 10000);
	CU_ASSERT(n >= 16 * RANKS && n < 10000);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, key));
	for (uint32_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		CU_ASSERT_EQUAL(say(2, PFW_CONTROL_GET, key, ""), 0);
		expect(2, i + 1, key);
	}
	CU_ASSERT_EQUAL(say(0, PFW_CONTROL_PUT, "key 0", "again"), 0);
	pfw_hub_close(hub);
}

/* A fence opens for all at once, when each has come, however often one says so. */
static void fences(void)
{
	begin();
	for (uint32_t round = 1; round <= 3; round++) {
		for (uint32_t i = 0; i < RANKS; i++)
			CU_ASSERT_EQUAL(say(0, PFW_CONTROL_FENCE, "", ""), 0);
		CU_ASSERT_EQUAL(say(2, PFW_CONTROL_FENCE, "", ""), 0);
		CU_ASSERT_EQUAL(heard[0].goes, round - 1);
		CU_ASSERT_EQUAL(say(1, PFW_CONTROL_FENCE, "", ""), 0);
		for (uint32_t r = 0; r < RANKS; r++)
			CU_ASSERT_EQUAL(heard[r].goes, round);
	}
	pfw_hub_close(hub);
}

static void out_of_form(void)
{
	struct pfw_control_packet p = { .type = PFW_CONTROL_PUT,
					.len = sizeof(p.value) + 1 };

	begin();
	CU_ASSERT_EQUAL(pfw_hub_take(hub, 1, &p, &err), -EPROTO);
	p.len = 0;
	memset(p.key, 'k', sizeof(p.key));
	CU_ASSERT_EQUAL(pfw_hub_take(hub, 1, &p, &err), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "rank 1"));
	CU_ASSERT_EQUAL(say(1, PFW_CONTROL_GO, "", ""), -EPROTO);
	pfw_hub_close(hub);
}

static const struct unit_test tests[] = {
	{ "values", values },
	{ "as many as there is room for", many_values },
	{ "fences", fences },
	{ "out of form", out_of_form },
};

UNIT_MAIN("hub", tests)
