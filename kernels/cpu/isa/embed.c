/* Token and position embeddings. */
#include "isa/isa.h"
#include "isa/vec.h"

/* Floats that are worth handing over: some microseconds. */
#define GRAIN 8192

static size_t rows_of(size_t floats, size_t c)
{
	return floats > c ? floats / c : 1;
}

struct forward {
	act *out;
	const int32_t *tokens;
	const float *wte, *wpe;
	size_t seq, c;
};

static void embed_some(const void *context, size_t first, size_t end,
		       float *scratch)
{
	const struct forward *f = context;

	(void)scratch;
	for (size_t r = first; r < end; r++) {
		const float *word = f->wte + (size_t)f->tokens[r] * f->c;
		const float *place = f->wpe + r % f->seq * f->c;
		act *out = f->out + r * f->c;

		VEC_ADD(out, word, place, f->c);
	}
}

void ISA(embed_forward)(void *queue, void *out, const int32_t *tokens,
			const float *wte, const float *wpe, uint32_t batch,
			uint32_t seq, uint32_t c)
{
	const struct forward f = { out, tokens, wte, wpe, seq, c };

	cpu_each(queue, (size_t)batch * seq, rows_of(GRAIN, c), embed_some, &f);
}

struct backward {
	float *dwte, *dwpe;
	const act *dout;
	const int32_t *tokens;
	size_t rows, seq, c, vocab, context;
};

/* Of words and then places. */
static void zero_rows(const void *context, size_t first, size_t end,
		      float *scratch)
{
	const struct backward *b = context;

	(void)scratch;
	for (size_t i = first; i < end; i++)
		memset(i < b->vocab ? b->dwte + i * b->c
				    : b->dwpe + (i - b->vocab) * b->c,
		       0, b->c * sizeof(float));
}

/* Rows of a token are met in the order of positions, so no two orders of the
 * same sum are possible; the price of a large vocabulary is only its zeros. */
static void add_columns(const void *context, size_t first, size_t end,
			float *scratch)
{
	const struct backward *b = context;
	const act *row = b->dout + first;
	const size_t n = end - first;

	(void)scratch;
	for (size_t r = 0; r < b->rows; r++, row += b->c) {
		float *word = b->dwte + (size_t)b->tokens[r] * b->c + first;
		float *place = b->dwpe + r % b->seq * b->c + first;

		VEC_ADD(word, word, row, n);
		VEC_ADD(place, place, row, n);
	}
}

void ISA(embed_backward)(void *queue, float *dwte, float *dwpe,
			 const void *dout, const int32_t *tokens,
			 uint32_t batch, uint32_t seq, uint32_t c,
			 uint32_t vocab, uint32_t context, int accumulate)
{
	const struct backward b = {
		.dwte = dwte, .dwpe = dwpe, .dout = dout, .tokens = tokens,
		.rows = (size_t)batch * seq, .seq = seq, .c = c,
		.vocab = vocab, .context = context,
	};

	if (!accumulate)
		cpu_each(queue, (size_t)vocab + context, rows_of(4 * GRAIN, c),
			 zero_rows, &b);
	cpu_each(queue, c, cpu_columns(queue, c), add_columns, &b);
}
