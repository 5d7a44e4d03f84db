#include "data/order.h"

#include "base/philox.h"

#define FEISTEL_ROUNDS 6u
/** Counter word of the draw that is not a round's. */
#define DRAW_START FEISTEL_ROUNDS

struct epoch {
	uint64_t seed, number;
};

static uint64_t draw(const struct epoch *e, uint32_t what, uint32_t x)
{
	uint32_t counter[4] = { x, what, (uint32_t)e->number,
				(uint32_t)(e->number >> 32) };
	uint32_t out[4];

	pfw_philox(counter, e->seed, out);
	return (uint64_t)out[1] << 32 | out[0];
}

/**
 * A keyed permutation of [0, @p n): a Feistel network on the next larger even
 * number of bits, walked on until it lands inside (Black and Rogaway, CT-RSA
 * 2002, doi 10.1007/3-540-45760-7_9).  Fewer than 4 steps on average.
 */
static uint64_t permute(const struct epoch *e, uint64_t n, uint64_t x)
{
	uint32_t half = 1;
	uint64_t mask;

	while (half < 32 && (uint64_t)1 << (2 * half) < n)
		half++;
	mask = ((uint64_t)1 << half) - 1;
	do {
		uint64_t left = x >> half, right = x & mask;

		for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
			uint64_t next = left ^
					(draw(e, round, (uint32_t)right) & mask);

			left = right;
			right = next;
		}
		x = left << half | right;
	} while (x >= n);
	return x;
}

uint64_t pfw_order_epoch(uint64_t tokens, uint32_t seq)
{
	uint64_t fit = (tokens - 1) / seq;

	return fit > 1 ? fit - 1 : 1;
}

uint64_t pfw_order_train(uint64_t seed, uint64_t tokens, uint32_t seq,
			 uint64_t sample)
{
	uint64_t n = pfw_order_epoch(tokens, seq);
	struct epoch e = { seed, sample / n };
	uint64_t starts = tokens - n * seq; /* places the first may begin at */

	return draw(&e, DRAW_START, 0) % starts +
	       permute(&e, n, sample % n) * seq;
}

uint64_t pfw_order_even(uint64_t tokens, uint32_t seq, uint64_t i, uint64_t n)
{
	uint64_t starts = tokens - seq;

	/* i * starts / n without overflow: i < n are not that many */
	return starts / n * i + starts % n * i / n;
}
