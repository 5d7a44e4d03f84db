#include "launch/topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

#include "base/cgroup.h"

#define MOST_CPUS (1u << 20)

cpu_set_t *pfw_cpu_set(uint32_t n, size_t *bytes)
{
	cpu_set_t *set = CPU_ALLOC(n);

	*bytes = CPU_ALLOC_SIZE(n);
	if (set)
		CPU_ZERO_S(*bytes, set);
	return set;
}

/* Processors this process may run on; a set that is too small for the system's
 * is refused, so it grows.  *n: so many it has room for. */
static cpu_set_t *allowed(uint32_t *n, size_t *bytes)
{
	for (*n = 1024; *n <= MOST_CPUS; *n *= 2) {
		cpu_set_t *set = pfw_cpu_set(*n, bytes);

		if (!set)
			return NULL;
		if (!sched_getaffinity(0, *bytes, set))
			return set;
		CPU_FREE(set);
		if (errno != EINVAL)
			return NULL;
	}
	return NULL;
}

/* "max 100000", or so many microseconds of each so many. */
static uint64_t read_quota(FILE *f)
{
	unsigned long long quota, period;

	if (fscanf(f, "%llu %llu", &quota, &period) != 2 || !period)
		return UINT64_MAX;
	return quota < period ? 1 : quota / period;
}

static uint32_t at_a_time(uint32_t cpus)
{
	uint64_t quota = pfw_cgroup_least("cpu.max", read_quota);

	return quota < cpus ? (uint32_t)quota : cpus;
}

uint32_t pfw_cores(void)
{
	size_t bytes;
	uint32_t n;
	cpu_set_t *set = allowed(&n, &bytes);
	uint32_t cpus = set ? (uint32_t)CPU_COUNT_S(bytes, set) : 1;

	CPU_FREE(set);
	return at_a_time(cpus);
}

static struct pfw_cpu *add(struct pfw_topology *t, uint32_t number)
{
	struct pfw_cpu *cpu = &t->cpus[t->n_cpus++];

	*cpu = (struct pfw_cpu){ .number = number };
	cpu->near[PFW_NEAR_NODE] = PFW_NONE;
	return cpu;
}

#ifdef HAVE_HWLOC
/* The node with the fewest processors that this one is of. */
static uint32_t node_of(hwloc_topology_t topology, hwloc_obj_t pu)
{
	hwloc_obj_t node = NULL;
	uint32_t best = PFW_NONE;
	int least = 0;

	while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE,
						  node))) {
		int weight = hwloc_bitmap_weight(node->cpuset);

		if (!hwloc_bitmap_isset(node->cpuset, pu->os_index) ||
		    (best != PFW_NONE && weight >= least))
			continue;
		best = node->os_index;
		least = weight;
	}
	return best;
}

static uint32_t above(hwloc_topology_t topology, hwloc_obj_t pu,
		      hwloc_obj_type_t type, uint32_t otherwise)
{
	hwloc_obj_t obj = hwloc_get_ancestor_obj_by_type(topology, type, pu);

	return obj ? obj->logical_index : otherwise;
}

static void take(struct pfw_topology *t, hwloc_topology_t topology,
		 hwloc_obj_t pu, uint32_t *last_core)
{
	struct pfw_cpu *cpu = add(t, pu->os_index);
	uint32_t core = above(topology, pu, HWLOC_OBJ_CORE, PFW_NONE);

	cpu->near[PFW_NEAR_PACKAGE] =
		above(topology, pu, HWLOC_OBJ_PACKAGE, 0);
	cpu->near[PFW_NEAR_NODE] = node_of(topology, pu);
	cpu->near[PFW_NEAR_CACHE] = above(topology, pu, HWLOC_OBJ_L3CACHE,
					  cpu->near[PFW_NEAR_PACKAGE]);
	if (t->n_cpus > 1 && core != PFW_NONE && core == *last_core)
		cpu->sibling = cpu[-1].sibling + 1;
	*last_core = core;
}

/* hwloc may be told of another machine (HWLOC_SYNTHETIC, HWLOC_XMLFILE): then all
 * of it is ours, to see what --dry-run makes of it. */
static int by_hwloc(struct pfw_topology *t, uint32_t n, size_t bytes,
		    const cpu_set_t *set)
{
	hwloc_topology_t topology;
	uint32_t last_core = PFW_NONE;
	hwloc_obj_t pu = NULL;
	int ours;

	if (hwloc_topology_init(&topology))
		return -ENOMEM;
	if (hwloc_topology_load(topology))
		goto err_destroy;
	ours = hwloc_topology_is_thissystem(topology);
	t->cpus = calloc((size_t)hwloc_get_nbobjs_by_type(topology,
							  HWLOC_OBJ_PU),
			 sizeof(*t->cpus));
	while (t->cpus && (pu = hwloc_get_next_obj_by_type(topology,
							   HWLOC_OBJ_PU, pu)))
		if (!ours || (pu->os_index < n &&
			      CPU_ISSET_S(pu->os_index, bytes, set)))
			take(t, topology, pu, &last_core);
	t->known = 1;
	hwloc_topology_destroy(topology);
	return t->n_cpus ? 0 : -ENOENT;
err_destroy:
	hwloc_topology_destroy(topology);
	return -ENOENT;
}
#else
static int by_hwloc(struct pfw_topology *t, uint32_t n, size_t bytes,
		    const cpu_set_t *set)
{
	(void)t;
	(void)n;
	(void)bytes;
	(void)set;
	return -ENOSYS;
}
#endif

static int by_number(struct pfw_topology *t, uint32_t n, size_t bytes,
		     const cpu_set_t *set)
{
	t->cpus = calloc((size_t)CPU_COUNT_S(bytes, set), sizeof(*t->cpus));
	if (!t->cpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (CPU_ISSET_S(i, bytes, set))
			add(t, i);
	return 0;
}

int pfw_topology_read(struct pfw_topology *out, struct pfw_error *err)
{
	struct pfw_topology t = { 0 };
	size_t bytes;
	uint32_t n;
	cpu_set_t *set = allowed(&n, &bytes);
	int rc;

	if (!set)
		return pfw_error_set(err, errno, "cannot learn which processors "
				     "may be used: %s", strerror(errno));
	if (by_hwloc(&t, n, bytes, set)) {
		free(t.cpus);
		t = (struct pfw_topology){ 0 };
		rc = by_number(&t, n, bytes, set);
		if (rc) {
			CPU_FREE(set);
			return pfw_error_set(err, -rc, "out of memory");
		}
	}
	CPU_FREE(set);
	for (uint32_t i = 0; i < t.n_cpus; i++)
		t.n_cores += !t.cpus[i].sibling;
	t.usable = at_a_time(t.n_cpus);
	*out = t;
	return 0;
}

void pfw_topology_free(struct pfw_topology *t)
{
	free(t->cpus);
	t->cpus = NULL;
}
