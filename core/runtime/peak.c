/* The arithmetic peak of this rank's device, measured. */
#include <math.h>

#include "base/clock.h"
#include "runtime/rank.h"

#define BURSTS 16u
#define LONG_ENOUGH_NS (20 * PFW_MS) /* on a slow machine */

/* A burst is that of all of a rank's threads, which have no more than the cores that
 * there are; where ranks share these, each gets its share. */
static double share(const struct pfw_rank *rank)
{
	const struct pfw_place *place = rank->boot->place;
	double cores = place->cores;
	double burst = fmin(rank->boot->threads, cores) * place->n;

	return cores < burst ? cores / burst : 1;
}

/* Best of some bursts: a neighbour can only take from a peak. */
double pfw_rank_peak(struct pfw_rank *rank)
{
	double (*burst)(void *) = rank->device.kernels->peak;
	uint64_t from = pfw_now();
	double best = 0;

	for (uint32_t i = 0; burst && i < BURSTS; i++) {
		uint64_t start = pfw_now();
		double flops = burst(rank->queue);

		if (rank->device_ops->sync(rank->queue, NULL))
			return NAN;
		best = fmax(best, flops * 1e9 / (double)(pfw_now() - start));
		if (pfw_now() - from > LONG_ENOUGH_NS)
			break;
	}
	return best > 0 ? best * share(rank) : NAN;
}
