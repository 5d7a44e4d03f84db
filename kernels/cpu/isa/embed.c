/* Token and position embeddings. */
#include "isa/isa.h"
#include "isa/vec.h"

void ISA(embed_forward)(void *queue, void *out, const int32_t *tokens,
			const float *wte, const float *wpe, uint32_t batch,
			uint32_t seq, uint32_t c)
{
	float *row = out;

	for (uint32_t b = 0; b < batch; b++)
		for (uint32_t t = 0; t < seq; t++, row += c)
			ISA(add)(queue, row, wte + (size_t)*tokens++ * c,
				 wpe + (size_t)t * c, c);
}

/* Rows of a token are met in the order of positions, so no two orders of the
 * same sum are possible; the price of a large vocabulary is only its zeros. */
void ISA(embed_backward)(void *queue, float *dwte, float *dwpe,
			 const void *dout, const int32_t *tokens,
			 uint32_t batch, uint32_t seq, uint32_t c,
			 uint32_t vocab, uint32_t context, int accumulate)
{
	const float *row = dout;

	if (!accumulate) {
		memset(dwte, 0, (size_t)vocab * c * sizeof(*dwte));
		memset(dwpe, 0, (size_t)context * c * sizeof(*dwpe));
	}
	for (uint32_t b = 0; b < batch; b++)
		for (uint32_t t = 0; t < seq; t++, row += c) {
			float *word = dwte + (size_t)*tokens++ * c;
			float *place = dwpe + (size_t)t * c;

			ISA(add)(queue, word, word, row, c);
			ISA(add)(queue, place, place, row, c);
		}
}
