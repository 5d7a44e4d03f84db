#include "base/available.h"

#include <stdio.h>
#include <string.h>

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

/* A container's limit (cgroup v2: "0::/path" and that folder's memory.max,
 * which is "max" where there is none).  What is in use counts caches too, and
 * is therefore not taken off. */
static uint64_t of_group(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512], path[600] = "";
	unsigned long long limit;
	uint64_t bytes = UINT64_MAX;

	if (!f)
		return bytes;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::", 3))
			snprintf(path, sizeof(path),
				 "/sys/fs/cgroup%.*s/memory.max",
				 (int)strcspn(line + 3, "\n"), line + 3);
	fclose(f);
	f = *path ? fopen(path, "re") : NULL;
	if (!f)
		return bytes;
	if (fscanf(f, "%llu", &limit) == 1)
		bytes = limit;
	fclose(f);
	return bytes;
}

uint64_t pfw_available_bytes(void)
{
	uint64_t machine = of_machine(), group = of_group();

	return group < machine ? group : machine;
}
