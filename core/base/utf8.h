/*
 * utf8.h: one character of UTF-8 (RFC 3629: no surrogates, nothing over long).
 */
#ifndef PFW_CORE_UTF8_H
#define PFW_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/** Bytes of the character at @p s, 1 to 4; 0: not UTF-8, or @p len is 0. */
size_t pfw_utf8_get(const char *s, size_t len, uint32_t *out);
/** Writes @p c (a valid character) and gives its bytes, 1 to 4. */
size_t pfw_utf8_put(uint32_t c, char out[4]);

#endif
