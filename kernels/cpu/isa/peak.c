/* Multiply-adds that touch no memory. */
#include "isa/isa.h"
#include "isa/vec.h"

#define CHAINS 12 /* more than two units of four cycles need */
#define TURNS 65536u

double ISA(peak)(void *queue)
{
	struct cpu_queue *q = queue;
	vf sums[CHAINS], half = vf_set(0.5f);

	for (int c = 0; c < CHAINS; c++)
		sums[c] = vf_set((float)c);
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		UNROLL(12)
		for (int c = 0; c < CHAINS; c++)
			sums[c] = sums[c] * half + half;
	}
	for (int c = 0; c < CHAINS; c++)
		vf_store(q->scratch + c * VW, sums[c]);
	return 2.0 * TURNS * CHAINS * VW;
}
