/* Multiply-adds that touch no memory. */
#include "isa/isa.h"
#include "isa/vec.h"

#define CHAINS 12 /* more than two units of four cycles need */
#define TURNS 65536u

static void bursts(const void *context, size_t first, size_t end,
		   float *scratch)
{
	vf sums[CHAINS], half = vf_set(0.5f);

	(void)context;
	for (int c = 0; c < CHAINS; c++)
		sums[c] = vf_set((float)c);
	for (size_t turn = first * TURNS; turn < end * TURNS; turn++) {
		UNROLL(12)
		for (int c = 0; c < CHAINS; c++)
			sums[c] = sums[c] * half + half;
	}
	for (int c = 0; c < CHAINS; c++)
		vf_store(scratch + c * VW, sums[c]);
}

double ISA(peak)(void *queue)
{
	const size_t threads = cpu_threads(queue);

	cpu_each(queue, threads, 1, bursts, NULL);
	return 2.0 * TURNS * CHAINS * VW * (double)threads;
}
