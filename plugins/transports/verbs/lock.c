#include "lock.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A container's own root has no right outside of it, user_namespaces(7). */
static bool is_of_the_host(void)
{
	unsigned long inside = 0, outside = 0, n = 4294967295u;
	FILE *f = fopen("/proc/self/uid_map", "re");

	if (!f)
		return true;
	if (fscanf(f, "%lu %lu %lu", &inside, &outside, &n) != 3)
		n = 0;
	fclose(f);
	return !inside && !outside && n == 4294967295u;
}

static bool may_lock_all(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return !syscall(SYS_capget, &head, data) &&
	       data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &
		       CAP_TO_MASK(CAP_IPC_LOCK) && is_of_the_host();
}

uint64_t verbs_lock_limit(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return limit.rlim_cur == RLIM_INFINITY || may_lock_all() ? UINT64_MAX :
								   limit.rlim_cur;
}
