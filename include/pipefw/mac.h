/*
 * pipefw/mac.h: proving that one knows a secret without showing it.
 *
 * SHA-256 as in FIPS 180-4, HMAC as in RFC 2104.  For hellos and control
 * messages; not made for bulk data.
 */
#ifndef PIPEFW_MAC_H
#define PIPEFW_MAC_H

#include <pipefw/base.h>

PFW_BEGIN_DECLS

/** Bytes of a key that a run hands to its ranks, and of a MAC. */
#define PFW_MAC_BYTES 32u

/** A piece of what is signed. */
struct pfw_mac_part {
	const void *data;
	size_t len;
};

/** HMAC-SHA-256 over the parts, one after the other. */
PFW_API void pfw_mac(const void *key, size_t key_len,
		     const struct pfw_mac_part *parts, size_t n_parts,
		     uint8_t out[PFW_MAC_BYTES]);

/** 1: equal.  Takes as long wherever the first difference is. */
PFW_API int pfw_mac_equal(const uint8_t a[PFW_MAC_BYTES],
			  const uint8_t b[PFW_MAC_BYTES]);

PFW_END_DECLS

#endif
