/*
 * handover.c: a hand-over moves no payload, so its cost does not grow with it.
 *
 * One run, rounds interleaved, medians: 32 MiB cost at most twice 4 KiB.
 */
#include "pingpong.h"

#include <stdio.h>
#include <unistd.h>

int main(void)
{
	struct pingpong p = {
		.spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 20000 : 0,
		.rounds = 21,
		.n_sizes = 3,
		.bytes = { 8, 4096, 32u << 20 },
		.times = { 1000, 1000, 1000 },
	};
	struct pfw_registry *registry;
	struct subject shm;
	struct pfw_error err;
	double ratio;

	if (pfw_registry_open(NULL, &registry, &err) ||
	    subject_load(registry, "shm", "", NULL, &shm, &err) ||
	    pingpong_run(&shm, &p, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	ratio = p.half[2] / p.half[1];
	printf("half a round trip in place: 8 B %.0f ns, 4 KiB %.0f ns, "
	       "32 MiB %.0f ns (%.2f times 4 KiB)\n", p.half[0], p.half[1],
	       p.half[2], ratio);
	subject_free(&shm);
	pfw_registry_close(registry);
	return ratio <= 2 ? 0 : 1;
}
