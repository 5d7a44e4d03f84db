/* Sums: of squares, and of columns. */
#include "isa/isa.h"
#include "isa/vec.h"

#define DW (VW / 2)
typedef double vd __attribute__((vector_size(DW * 8)));
typedef float vhalf __attribute__((vector_size(DW * 4), aligned(4), may_alias));

void ISA(sum_squares)(void *queue, const float *x, uint64_t n, double *out)
{
	vd sum[LANES / DW] = { 0 };
	double total[LANES];
	uint64_t i;

	(void)queue;
	for (i = 0; i + LANES <= n; i += LANES) {
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
	*out = total[0];
}

void ISA(bias_backward)(void *queue, float *dbias, const void *dy,
			uint32_t rows, uint32_t n, int accumulate)
{
	const float *row = dy;
	uint32_t r = 0;

	(void)queue;
	if (!accumulate)
		memset(dbias, 0, n * sizeof(*dbias));
	/* Four rows for each visit to dbias, still one after the other. */
	for (; r + 4 <= rows; r += 4, row += 4 * (size_t)n)
		for (size_t i = 0; i < n; i += VW) {
			size_t left = n - i;
			vf sum = LOAD(dbias) + LOAD(row);

			sum += LOAD(row + n);
			sum += LOAD(row + 2 * (size_t)n);
			sum += LOAD(row + 3 * (size_t)n);
			STORE(dbias, sum);
		}
	for (; r < rows; r++, row += n)
		for (size_t i = 0; i < n; i += VW) {
			size_t left = n - i;

			STORE(dbias, LOAD(dbias) + LOAD(row));
		}
}
