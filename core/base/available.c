#include "base/available.h"

#include <stdio.h>

#include "base/cgroup.h"

/* Linux 3.14, proc(5): what can be had without swapping. */
static uint64_t of_machine(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib;
	uint64_t bytes = UINT64_MAX;
	char line[128];

	if (!f)
		return bytes;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			bytes = kib * 1024;
	fclose(f);
	return bytes;
}

/* "max", or bytes.  What is in use counts caches too, and is therefore not taken
 * off. */
static uint64_t read_limit(FILE *f)
{
	unsigned long long limit;

	return fscanf(f, "%llu", &limit) == 1 ? limit : UINT64_MAX;
}

uint64_t pfw_available_bytes(void)
{
	uint64_t group = pfw_cgroup_least("memory.max", read_limit);
	uint64_t machine = of_machine();

	return group < machine ? group : machine;
}
