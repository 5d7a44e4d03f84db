#include "ready.h"

#include "lock.h"
#include "memory.h"

#include <errno.h>

/*
 * The kernel charges each registration, and each rail has its own.  Queues are
 * charged too where the adapter has them in memory of the process: how much they
 * take it does not say, so what is left out here is told when they are made; as is
 * memory of a GPU that turns out to be staged.
 */
static int check_lock(const struct pfw_channel_info *channels, uint32_t n,
		      uint32_t rails, struct pfw_error *err)
{
	uint64_t limit = verbs_lock_limit(), need = 0;

	for (uint32_t i = 0; i < n; i++)
		need += rails * verbs_memory_locked(&channels[i]);
	if (need <= limit)
		return 0;
	return pfw_error_set(err, ENOMEM, "verbs locks %llu KiB for the slots of the "
			     "process of rank %u (%u ends of channels, %u rail%s), and "
			     "ulimit -l is %llu KiB: " VERBS_RAISE_LOCK
			     "; else fewer micro-batches in flight",
			     (unsigned long long)(need + 1023) >> 10,
			     channels->sending ? channels->from : channels->to, n,
			     rails, rails == 1 ? "" : "s",
			     (unsigned long long)limit >> 10);
}

int verbs_ready(const struct pfw_values *values,
		const struct pfw_channel_info *channels, uint32_t n,
		struct pfw_error *err)
{
	struct verbs_options opt;
	struct verbs_rails rails;
	int rc;

	verbs_options_read(values, &opt);
	if (!n)
		return verbs_rails_check(&opt, err);
	rc = verbs_rails_open(&rails, &opt, err);
	if (rc)
		return rc;
	rc = check_lock(channels, n, rails.n, err);
	verbs_rails_close(&rails);
	return rc;
}
