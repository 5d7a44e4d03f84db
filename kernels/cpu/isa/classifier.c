/*
 * Softmax and cross entropy: one pass that finds the maximum and the sum, chunk
 * by chunk (Milakov and Gimelshein, arXiv 1805.02867), one that writes
 * gradients.  Probabilities are never stored.
 */
#include "isa/isa.h"
#include "isa/vec.h"
#include "isa/vmath.h"

#define CHUNK 1024 /* logits; the second look at a chunk is in L1 */

static float chunk_max(const act *x, size_t n)
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

static float chunk_sum(const act *x, size_t n, float max)
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
static double row_sum(const act *x, size_t vocab, float *maximum)
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

static float at(const act *x)
{
	return lanes_load(x, 1, 0.0f).v[0][0];
}

/* The target's is made apart, lest p - 1 is made of a p rounded to act. */
static void row_gradient(act *x, size_t vocab, size_t target, float max,
			 float factor, float scale)
{
	const vf p = vf_exp(vf_set(at(x + target)) - max) * factor;

	for (size_t i = 0; i < vocab; i += VW) {
		size_t left = vocab - i;

		STORE(x, vf_exp(LOAD(x) - max) * factor);
	}
	vec_store_n(x + target, vf_set(p[0] - scale), 1);
}

struct rows {
	act *logits;
	const int32_t *targets;
	double *loss; /* of each row */
	size_t vocab;
	float scale;
};

static void some_rows(const void *context, size_t first, size_t end,
		      float *scratch)
{
	const struct rows *c = context;

	(void)scratch;
	for (size_t r = first; r < end; r++) {
		const size_t target = (size_t)c->targets[r];
		act *x = c->logits + r * c->vocab;
		float max;
		double sum = row_sum(x, c->vocab, &max);

		c->loss[r] = max + log(sum) - at(x + target);
		if (c->scale != 0.0f)
			row_gradient(x, c->vocab, target, max,
				     (float)(c->scale / sum), c->scale);
	}
}

/* Logits that are worth handing over: some microseconds. */
#define GRAIN 8192
/* Rows whose losses fit into the scratch. */
#define MOST_ROWS (CPU_SCRATCH * sizeof(float) / sizeof(double))

void ISA(classifier)(void *queue, void *logits, const int32_t *targets,
		     uint32_t rows, uint32_t vocab, float scale, double *loss)
{
	struct rows c = { logits, targets,
			  (void *)((struct cpu_queue *)queue)->shared, vocab,
			  scale };
	const size_t grain = vocab < GRAIN ? GRAIN / vocab : 1;
	double total = *loss;

	for (size_t done = 0; done < rows; done += MOST_ROWS) {
		size_t n = rows - done < MOST_ROWS ? rows - done : MOST_ROWS;

		cpu_each(queue, n, grain, some_rows, &c);
		for (size_t r = 0; r < n; r++)
			total += c.loss[r];
		c.logits += n * vocab;
		c.targets += n;
	}
	*loss = total;
}
