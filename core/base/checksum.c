#include "base/checksum.h"

#include <string.h>

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull
#define P5 0x27d4eb2f165667c5ull

#define STRIPE sizeof(((struct pfw_sum *)0)->rest)

static uint64_t rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

/* Numbers are little-endian in the specification. */
static uint64_t number(const unsigned char *p, int bytes)
{
	uint64_t v = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	if (bytes == 8) {
		memcpy(&v, p, sizeof(v));
		return v;
	}
#endif
	for (int i = bytes; i--;)
		v = v << 8 | p[i];
	return v;
}

static uint64_t mix(uint64_t lane, uint64_t in)
{
	return rotate(lane + in * P2, 31) * P1;
}

void pfw_sum_start(struct pfw_sum *sum)
{
	*sum = (struct pfw_sum){ .lane = { P1 + P2, P2, 0, 0 - P1 } };
}

static void add_stripes(struct pfw_sum *sum, const unsigned char *p, size_t n)
{
	uint64_t a = sum->lane[0], b = sum->lane[1], c = sum->lane[2],
		 d = sum->lane[3];

	for (; n; n--, p += STRIPE) {
		a = mix(a, number(p, 8));
		b = mix(b, number(p + 8, 8));
		c = mix(c, number(p + 16, 8));
		d = mix(d, number(p + 24, 8));
	}
	sum->lane[0] = a;
	sum->lane[1] = b;
	sum->lane[2] = c;
	sum->lane[3] = d;
}

void pfw_sum_add(struct pfw_sum *sum, const void *data, size_t len)
{
	size_t have = sum->len % STRIPE, n = STRIPE - have;
	const unsigned char *p = data;

	if (!len)
		return;
	sum->len += len;
	if (len < n || have) {
		n = len < n ? len : n;
		memcpy(sum->rest + have, p, n);
		if (have + n < STRIPE)
			return;
		add_stripes(sum, sum->rest, 1);
		p += n;
		len -= n;
	}
	add_stripes(sum, p, len / STRIPE);
	memcpy(sum->rest, p + len / STRIPE * STRIPE, len % STRIPE);
}

static uint64_t add_rest(uint64_t h, const unsigned char *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8)
		h = rotate(h ^ mix(0, number(p, 8)), 27) * P1 + P4;
	if (n >= 4) {
		h = rotate(h ^ number(p, 4) * P1, 23) * P2 + P3;
		n -= 4;
		p += 4;
	}
	for (; n; n--, p++)
		h = rotate(h ^ *p * P5, 11) * P1;
	return h;
}

uint64_t pfw_sum_end(const struct pfw_sum *sum)
{
	const uint64_t *v = sum->lane;
	uint64_t h = P5;

	if (sum->len >= STRIPE) {
		h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) +
		    rotate(v[3], 18);
		for (int i = 0; i < 4; i++)
			h = (h ^ mix(0, v[i])) * P1 + P4;
	}
	h = add_rest(h + sum->len, sum->rest, sum->len % STRIPE);
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
