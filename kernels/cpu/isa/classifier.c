/*
 * Softmax and cross entropy: one pass that finds the maximum and the sum, chunk
 * by chunk (Milakov and Gimelshein, arXiv 1805.02867), one that writes
 * gradients.  Probabilities are never stored.
 */
#include "isa/isa.h"
#include "isa/vec.h"
#include "isa/vmath.h"

#define CHUNK 1024 /* floats; the second look at a chunk is in L1 */

static float chunk_max(const float *x, size_t n)
{
	struct lanes m, y;

	m = lanes_load(x, n, -INFINITY);
	for (size_t i = LANES; i < n; i += LANES) {
		y = lanes_load(x + i, n - i, -INFINITY);
		UNROLL(4)
		for (int l = 0; l < NV; l++)
			m.v[l] = vf_max(m.v[l], y.v[l]);
	}
	return lanes_max(m);
}

static float chunk_sum(const float *x, size_t n, float max)
{
	struct lanes s = { 0 }, y;

	for (size_t i = 0; i < n; i += LANES) {
		y = lanes_load(x + i, n - i, -INFINITY);
		UNROLL(4)
		for (int l = 0; l < NV; l++)
			s.v[l] += vf_exp(y.v[l] - max);
	}
	return lanes_sum(s);
}

/* The maximum of a row, and the sum of exp(x - maximum). */
static double row_sum(const float *x, size_t vocab, float *maximum)
{
	double sum = 0.0;
	float max = -INFINITY;

	for (size_t i = 0; i < vocab; i += CHUNK) {
		size_t n = vocab - i < CHUNK ? vocab - i : CHUNK;
		float m = chunk_max(x + i, n);

		if (m > max) {
			sum *= exp((double)max - m);
			max = m;
		}
		sum += chunk_sum(x + i, n, max);
	}
	*maximum = max;
	return sum;
}

static void row_gradient(float *x, size_t vocab, float max, float factor)
{
	for (size_t i = 0; i < vocab; i += VW) {
		size_t left = vocab - i;

		STORE(x, vf_exp(LOAD(x) - max) * factor);
	}
}

void ISA(classifier)(void *queue, void *logits, const int32_t *targets,
		     uint32_t rows, uint32_t vocab, float scale, double *loss)
{
	float *x = logits;
	double total = *loss;

	(void)queue;
	for (uint32_t r = 0; r < rows; r++, x += vocab) {
		float max;
		double sum = row_sum(x, vocab, &max);

		total += max + log(sum) - x[targets[r]];
		if (scale == 0.0f)
			continue;
		row_gradient(x, vocab, max, (float)(scale / sum));
		x[targets[r]] -= scale;
	}
	*loss = total;
}
