/* Weights in bf16, rounded at random. */
#include "isa/isa.h"
#include "isa/random.h"

struct rounding {
	act *copy;
	const float *weight;
	size_t cols;
	uint32_t key;
};

/* Up to RANDOM_COLUMNS of a row from @p col on. */
INLINE void round_columns(const struct rounding *r, size_t row, size_t col)
{
	const float *weight = r->weight + row * r->cols;
	act *copy = r->copy + row * r->cols;

	for (size_t first = col; first < col + 16; first += VW) {
		vu words = random_words(r->key, (uint32_t)row, (uint32_t)first);

		for (size_t i = first; i < r->cols && i <= first + 16; i += 16) {
			size_t left = r->cols - i;

			STORE(copy, random_round(LOAD(weight), words & 0xffff));
			words >>= 16;
		}
	}
}

static void round_rows(const void *context, size_t first, size_t end,
		       float *scratch)
{
	const struct rounding *r = context;

	(void)scratch;
	for (size_t row = first; row < end; row++)
		for (size_t col = 0; col < r->cols; col += RANDOM_COLUMNS)
			round_columns(r, row, col);
}

/* Elements that are worth handing over: some microseconds. */
#define GRAIN 16384

void ISA(copy_at_random)(void *queue, void *copy, uint32_t rows, uint32_t cols,
			 const float *weight, uint32_t key)
{
	const struct rounding r = { copy, weight, cols, key };
	const size_t grain = GRAIN / (cols ? cols : 1);

	cpu_each(queue, rows, grain ? grain : 1, round_rows, &r);
}
