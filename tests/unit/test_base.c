#include "unit.h"

#include <pipefw/base.h>
#include <pipefw/mac.h>
#include <string.h>

#include "base/checksum.h"
#include "base/hash.h"
#include "base/philox.h"
#include "base/size.h"
#include "base/sha256.h"

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

static uint64_t sum_of(const char *text, size_t len, size_t piece)
{
	struct pfw_sum sum;

	pfw_sum_start(&sum);
	for (size_t at = 0; at < len; at += piece)
		pfw_sum_add(&sum, text + at, len - at < piece ? len - at : piece);
	return pfw_sum_end(&sum);
}

/* The implementation of xxHash itself gives these. */
static void checksum_known_answers(void)
{
	static const char text[] = "Nobody inspects the spammish repetition";
	char many[1000];

	CU_ASSERT_EQUAL(sum_of("", 0, 1), 0xef46db3751d8e999ull);
	CU_ASSERT_EQUAL(sum_of("a", 1, 1), 0xd24ec4f1a98c6e5bull);
	CU_ASSERT_EQUAL(sum_of("abc", 3, 3), 0x44bc2cf5ad770999ull);
	CU_ASSERT_EQUAL(sum_of(text, strlen(text), 64), 0xfbcea83c8a378bf1ull);
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = (char)(i * i + i / 7);
	for (size_t piece = 1; piece < 200; piece++)
		CU_ASSERT_EQUAL(sum_of(many, sizeof(many), piece),
				sum_of(many, sizeof(many), sizeof(many)));
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

static void text_of(const uint8_t digest[32], char out[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* FIPS 180-4's own, and a million of one letter: in pieces of every size. */
static void sha256_known_answers(void)
{
	static const struct {
		const char *text, *digest;
	} known[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
		      "7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
			 "61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db"
		  "06c1" },
	};
	struct pfw_sha256 s;
	uint8_t digest[32], a[1000];
	char text[65];
	size_t left = 1000000;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		pfw_sha256_begin(&s);
		pfw_sha256_add(&s, known[i].text, strlen(known[i].text));
		pfw_sha256_end(&s, digest);
		text_of(digest, text);
		CU_ASSERT_STRING_EQUAL(text, known[i].digest);
	}
	memset(a, 'a', sizeof(a));
	pfw_sha256_begin(&s);
	for (size_t n = 1; left; n = n % sizeof(a) + 1) {
		n = n < left ? n : left;
		pfw_sha256_add(&s, a, n);
		left -= n;
	}
	pfw_sha256_end(&s, digest);
	text_of(digest, text);
	CU_ASSERT_STRING_EQUAL(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a4"
				     "97200e046d39ccc7112cd0");
}

/* RFC 4231, 4.2, 4.3, 4.7 and 4.8: a key of a byte's repeats, short or longer
 * than a block. */
static void mac_known_answers(void)
{
	static const struct {
		int key;
		size_t len;
		const char *text, *mac;
	} known[] = {
		{ 0x0b, 20, "Hi There",
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32"
		  "cff7" },
		{ 0, 0, "what do ya want for nothing?",
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec"
		  "3843" },
		{ 0xaa, 131,
		  "Test Using Larger Than Block-Size Key - Hash Key First",
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee3"
		  "7f54" },
		{ 0xaa, 131,
		  "This is a test using a larger than block-size key and a "
		  "larger than block-size data. The key needs to be hashed "
		  "before being used by the HMAC algorithm.",
		  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a"
		  "35e2" },
	};
	uint8_t key[131], mac[PFW_MAC_BYTES], again[PFW_MAC_BYTES];
	char text[65];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i].text), len = known[i].len;
		const struct pfw_mac_part parts[] = {
			{ known[i].text, n / 3 },
			{ known[i].text + n / 3, n - n / 3 },
		};

		memset(key, known[i].key, len);
		if (!len)
			memcpy(key, "Jefe", len = 4);
		pfw_mac(key, len, parts, 2, mac);
		text_of(mac, text);
		CU_ASSERT_STRING_EQUAL(text, known[i].mac);
	}
	memcpy(again, mac, sizeof(mac));
	CU_ASSERT(pfw_mac_equal(mac, again));
	again[31] ^= 1;
	CU_ASSERT(!pfw_mac_equal(mac, again));
}

static const struct unit_test tests[] = {
	{ "error: sentence, prefix, code", error_sentence },
	{ "philox: known answers", philox_known_answers },
	{ "checksum: known answers, in any pieces", checksum_known_answers },
	{ "size: what does not fit stays at the top", sizes_stay_at_the_top },
	{ "hash: known answers", hash_known_answers },
	{ "sha256: known answers", sha256_known_answers },
	{ "mac: RFC 4231", mac_known_answers },
};

UNIT_MAIN("base", tests)
