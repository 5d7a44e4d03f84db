/* Sums: of squares, and of columns. */
#include "isa/isa.h"
#include "isa/vec.h"

#define DW (VW / 2)
typedef double vd __attribute__((vector_size(DW * 8)));
typedef float vhalf __attribute__((vector_size(DW * 4), aligned(4), may_alias));

/* Elements that are asked for ahead of their use: gradients come from beyond the
 * caches, from where a processor fetches ahead by itself too late. */
#define AHEAD 1024

/* Elements of one term of the sum, of which each has its own lanes. */
#define BLOCK ((size_t)1 << 16)

static double block_squares(const float *x, size_t n)
{
	vd sum[LANES / DW] = { 0 };
	double total[LANES];
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES) {
		for (int l = 0; l < LANES / 16; l++)
			__builtin_prefetch(x + i + AHEAD + 16 * l, 0, 2);
		UNROLL(8)
		for (int l = 0; l < LANES / DW; l++) {
			vd y = __builtin_convertvector(
				*(const vhalf *)(x + i + l * DW), vd);

			sum[l] += y * y;
		}
	}
	memcpy(total, sum, sizeof(total));
	for (int l = 0; i < n; i++, l++)
		total[l] += (double)x[i] * x[i];
	for (int h = LANES / 2; h; h /= 2)
		for (int l = 0; l < h; l++)
			total[l] += total[l + h];
	return total[0];
}

struct squares {
	const float *x;
	size_t n;
	double *terms;
};

static void some_squares(const void *context, size_t first, size_t end,
			 float *scratch)
{
	const struct squares *s = context;

	(void)scratch;
	for (size_t i = first; i < end; i++) {
		size_t at = i * BLOCK, left = s->n - at;

		s->terms[i] = block_squares(s->x + at,
					    left < BLOCK ? left : BLOCK);
	}
}

/* Blocks whose terms fit into the scratch: 2^37 elements. */
#define MOST_BLOCKS (CPU_SCRATCH * sizeof(float) / sizeof(double))

void ISA(sum_squares)(void *queue, const float *x, uint64_t n, double *out)
{
	struct squares s = {
		x, n, (void *)((struct cpu_queue *)queue)->shared
	};
	double total = 0.0;

	while (s.n) {
		size_t blocks = (s.n + BLOCK - 1) / BLOCK, done;

		blocks = blocks < MOST_BLOCKS ? blocks : MOST_BLOCKS;
		cpu_each(queue, blocks, 1, some_squares, &s);
		for (size_t i = 0; i < blocks; i++)
			total += s.terms[i];
		done = s.n < blocks * BLOCK ? s.n : blocks * BLOCK;
		s.x += done;
		s.n -= done;
	}
	*out = total;
}

struct columns {
	float *dbias;
	const act *dy;
	size_t rows, n;
	int accumulate;
};

static void sum_columns(const void *context, size_t first, size_t end,
			float *scratch)
{
	const struct columns *c = context;
	const size_t n = c->n;
	const act *row = c->dy;
	size_t r = 0;

	(void)scratch;
	if (!c->accumulate)
		memset(c->dbias + first, 0, (end - first) * sizeof(float));
	/* Four rows for each visit to dbias, still one after the other. */
	for (; r + 4 <= c->rows; r += 4, row += 4 * n)
		for (size_t i = first; i < end; i += VW) {
			size_t left = end - i;
			vf sum = LOAD(c->dbias) + LOAD(row);

			sum += LOAD(row + n);
			sum += LOAD(row + 2 * n);
			sum += LOAD(row + 3 * n);
			STORE(c->dbias, sum);
		}
	for (; r < c->rows; r++, row += n)
		for (size_t i = first; i < end; i += VW) {
			size_t left = end - i;

			STORE(c->dbias, LOAD(c->dbias) + LOAD(row));
		}
}

void ISA(bias_backward)(void *queue, float *dbias, const void *dy,
			uint32_t rows, uint32_t n, int accumulate)
{
	const struct columns c = { dbias, dy, rows, n, accumulate };

	cpu_each(queue, n, cpu_columns(queue, n), sum_columns, &c);
}
