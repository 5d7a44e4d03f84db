#include "base/cgroup.h"

#include <string.h>

/* Linux, Documentation/admin-guide/cgroup-v2.rst: "0::/path" is ours. */
static void find_group(char *path, size_t len)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[512];

	*path = 0;
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::", 3))
			snprintf(path, len, "%.*s",
				 (int)strcspn(line + 3, "\n"), line + 3);
	fclose(f);
}

uint64_t pfw_cgroup_least(const char *file, uint64_t (*read)(FILE *f))
{
	char group[512], path[600], *end = group;
	uint64_t least = UINT64_MAX;

	for (find_group(group, sizeof(group)); end; *end = 0) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", group, file);
		f = fopen(path, "re");
		if (f) {
			uint64_t limit = read(f);

			least = limit < least ? limit : least;
			fclose(f);
		}
		end = strrchr(group, '/');
		if (!end)
			break;
	}
	return least;
}
