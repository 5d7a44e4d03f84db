#include "unit.h"

#include <pipefw/base.h>
#include <string.h>

#include "base/hash.h"
#include "base/philox.h"
#include "base/size.h"

static void error_sentence(void)
{
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(pfw_error_set(&err, 22, "p=%d is too many", 9), -22);
	pfw_error_prefix(&err, "%s:%d: ", "a.cfg", 3);
	CU_ASSERT_STRING_EQUAL(err.text, "a.cfg:3: p=9 is too many");
	CU_ASSERT_EQUAL(err.code, 22);
	CU_ASSERT_EQUAL(pfw_error_set(NULL, 5, "x"), -5);
}

/* Known answers of the Random123 distribution (kat_vectors, philox4x32 10). */
static void philox_known_answers(void)
{
	const uint32_t zero[4] = { 0 }, ones[4] = { ~0u, ~0u, ~0u, ~0u };
	const uint32_t want_zero[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c,
					0x9b00dbd8 };
	const uint32_t want_ones[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
					0x6d5451fd };
	uint32_t out[4];

	pfw_philox(zero, 0, out);
	CU_ASSERT_EQUAL(memcmp(out, want_zero, sizeof(out)), 0);
	pfw_philox(ones, ~0ull, out);
	CU_ASSERT_EQUAL(memcmp(out, want_ones, sizeof(out)), 0);
}

static void hash_known_answers(void)
{
	CU_ASSERT_EQUAL(pfw_hash(PFW_HASH_START, "", 0), 0xcbf29ce484222325ull);
	CU_ASSERT_EQUAL(pfw_hash(PFW_HASH_START, "foobar", 6),
			0x85944171f73967e8ull);
}

static void sizes_stay_at_the_top(void)
{
	CU_ASSERT_EQUAL(pfw_size_mul(1ull << 32, 1ull << 31), 1ull << 63);
	CU_ASSERT_EQUAL(pfw_size_mul(1ull << 32, 1ull << 32), PFW_SIZE_MAX);
	CU_ASSERT_EQUAL(pfw_size_mul(PFW_SIZE_MAX, 0), 0);
	CU_ASSERT_EQUAL(pfw_size_add(PFW_SIZE_MAX, 1), PFW_SIZE_MAX);
	CU_ASSERT_EQUAL(pfw_size_add(PFW_SIZE_MAX - 1, 1), PFW_SIZE_MAX);
	CU_ASSERT_EQUAL(pfw_size_add(2, 3), 5);
	CU_ASSERT_EQUAL(pfw_size_align(65), 128);
	CU_ASSERT_EQUAL(pfw_size_align(PFW_SIZE_MAX), PFW_SIZE_MAX);
	CU_ASSERT_EQUAL(pfw_size_align(PFW_SIZE_MAX - 62), PFW_SIZE_MAX);
}

static const struct unit_test tests[] = {
	{ "error: sentence, prefix, code", error_sentence },
	{ "philox: known answers", philox_known_answers },
	{ "size: what does not fit stays at the top", sizes_stay_at_the_top },
	{ "hash: known answers", hash_known_answers },
};

UNIT_MAIN("base", tests)
