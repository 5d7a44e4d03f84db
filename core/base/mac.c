#include <pipefw/mac.h>
#include <string.h>

#include "base/sha256.h"

_Static_assert(PFW_MAC_BYTES == PFW_SHA256_BYTES, "a MAC is a digest");

void pfw_mac(const void *key, size_t key_len, const struct pfw_mac_part *parts,
	     size_t n_parts, uint8_t out[PFW_MAC_BYTES])
{
	uint8_t pad[PFW_SHA256_BLOCK] = { 0 }, inner[PFW_SHA256_BYTES];
	struct pfw_sha256 s;

	if (key_len > sizeof(pad)) {
		pfw_sha256_begin(&s);
		pfw_sha256_add(&s, key, key_len);
		pfw_sha256_end(&s, pad);
	} else if (key_len) {
		memcpy(pad, key, key_len);
	}
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	pfw_sha256_begin(&s);
	pfw_sha256_add(&s, pad, sizeof(pad));
	for (size_t i = 0; i < n_parts; i++)
		pfw_sha256_add(&s, parts[i].data, parts[i].len);
	pfw_sha256_end(&s, inner);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	pfw_sha256_begin(&s);
	pfw_sha256_add(&s, pad, sizeof(pad));
	pfw_sha256_add(&s, inner, sizeof(inner));
	pfw_sha256_end(&s, out);
}

int pfw_mac_equal(const uint8_t a[PFW_MAC_BYTES],
		  const uint8_t b[PFW_MAC_BYTES])
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < PFW_MAC_BYTES; i++)
		differ |= (uint8_t)(x[i] ^ y[i]);
	return differ == 0;
}
