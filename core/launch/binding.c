#include "launch/binding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How ranks are laid out. */
struct layout {
	const struct pfw_topology *t;
	enum pfw_near level; /* what the threads of a rank have in common */
	uint32_t siblings;   /* hardware threads of a core that are used */
	struct pfw_binding *b;
};

static void put(struct pfw_binding *b, uint64_t at, const struct pfw_cpu *cpu)
{
	if (at >= (uint64_t)b->ranks * b->threads)
		return;
	b->cpu[at] = cpu->number;
	b->node[at] = cpu->near[PFW_NEAR_NODE];
}

/* Ranks from @p rank on, in the group of @p first; gives how many found place.
 * One that does not is begun again in the next group. */
static uint32_t fill_group(const struct layout *l, const struct pfw_cpu *first,
			   uint32_t rank)
{
	uint64_t base = (uint64_t)rank * l->b->threads;
	uint32_t n = 0;

	for (uint32_t s = 0; s < l->siblings; s++)
		for (uint32_t i = 0; i < l->t->n_cpus; i++) {
			const struct pfw_cpu *cpu = &l->t->cpus[i];

			if (cpu->sibling == s &&
			    cpu->near[l->level] == first->near[l->level])
				put(l->b, base + n++, cpu);
		}
	return n / l->b->threads;
}

static int is_first(const struct layout *l, uint32_t nth)
{
	for (uint32_t i = 0; i < nth; i++)
		if (l->t->cpus[i].near[l->level] ==
		    l->t->cpus[nth].near[l->level])
			return 0;
	return 1;
}

static int fill(const struct layout *l)
{
	uint32_t rank = 0;

	for (uint32_t i = 0; rank < l->b->ranks && i < l->t->n_cpus; i++)
		if (is_first(l, i))
			rank += fill_group(l, &l->t->cpus[i], rank);
	return rank >= l->b->ranks;
}

/* The nearest level at which all ranks find place; the last one always does. */
static void bind_apart(const struct pfw_topology *t, struct pfw_binding *b)
{
	struct layout l = { .t = t, .siblings = 1, .b = b };

	for (uint32_t i = 0; t->n_cores < (uint64_t)b->ranks * b->threads &&
			     i < t->n_cpus; i++)
		if (t->cpus[i].sibling >= l.siblings)
			l.siblings = t->cpus[i].sibling + 1;
	while (!fill(&l) && l.level < PFW_NEAR_HOST)
		l.level++;
}

/* Ranks that sleep share processors as neighbours do: most of their messages then
 * wake somebody on the same one, in 1 us where another's idle sleep takes 30. */
static void bind_shared(const struct pfw_topology *t, struct pfw_binding *b)
{
	for (uint32_t r = 0; r < b->ranks; r++)
		put(b, r, &t->cpus[(uint64_t)r * t->n_cpus / b->ranks]);
}

static uint32_t threads_for(const struct pfw_topology *t,
			    const struct pfw_binding_wish *wish)
{
	uint32_t cores = t->n_cores < t->usable ? t->n_cores : t->usable;

	if (wish->threads)
		return wish->threads;
	return wish->sleeps || cores < wish->ranks ? 1 : cores / wish->ranks;
}

int pfw_binding_make(const struct pfw_topology *t,
		     const struct pfw_binding_wish *wish,
		     struct pfw_binding *out, struct pfw_error *err)
{
	struct pfw_binding b = {
		.ranks = wish->ranks, .threads = threads_for(t, wish),
		.usable = t->usable, .n_cores = t->n_cores,
	};
	uint64_t n = (uint64_t)b.ranks * b.threads;

	if (n <= t->n_cpus || (wish->sleeps && b.threads == 1)) {
		b.cpu = calloc(n, sizeof(*b.cpu));
		b.node = calloc(n, sizeof(*b.node));
		if (!b.cpu || !b.node) {
			pfw_binding_close(&b);
			return pfw_error_set(err, ENOMEM, "out of memory");
		}
		b.pinned = 1;
		if (n <= t->n_cpus)
			bind_apart(t, &b);
		else
			bind_shared(t, &b);
	}
	*out = b;
	return 0;
}

int pfw_binding_open(const struct pfw_binding_wish *wish,
		     struct pfw_binding *out, struct pfw_error *err)
{
	struct pfw_topology t;
	int rc = pfw_topology_read(&t, err);

	if (rc)
		return rc;
	rc = pfw_binding_make(&t, wish, out, err);
	pfw_topology_free(&t);
	return rc;
}

void pfw_binding_close(struct pfw_binding *b)
{
	free(b->cpu);
	free(b->node);
	b->cpu = b->node = NULL;
	b->pinned = 0;
}

void pfw_binding_apply(const struct pfw_binding *b, uint32_t rank)
{
	const uint32_t *cpu = b->cpu + (size_t)rank * b->threads;
	uint32_t most = 0;
	cpu_set_t *set;
	size_t bytes;

	if (!b->pinned)
		return;
	for (uint32_t i = 0; i < b->threads; i++)
		most = cpu[i] > most ? cpu[i] : most;
	set = pfw_cpu_set(most + 1, &bytes);
	if (!set)
		return;
	for (uint32_t i = 0; i < b->threads; i++)
		CPU_SET_S(cpu[i], bytes, set);
	sched_setaffinity(0, bytes, set);
	CPU_FREE(set);
}

/* The least number of a rank's that is at least @p from; PFW_NONE: none. */
static uint32_t next(const struct pfw_binding *b, const uint32_t *numbers,
		     uint32_t from)
{
	uint32_t least = PFW_NONE;

	for (uint32_t i = 0; i < b->threads; i++)
		if (numbers[i] >= from && numbers[i] < least)
			least = numbers[i];
	return least;
}

void pfw_binding_text(const struct pfw_binding *b, const uint32_t *numbers,
		      uint32_t rank, char *buf, size_t len)
{
	size_t used = 0;
	uint32_t from, to;

	*buf = 0;
	if (!b->pinned)
		return;
	numbers += (size_t)rank * b->threads;
	for (from = next(b, numbers, 0); from != PFW_NONE && used < len;
	     from = next(b, numbers, to + 1)) {
		for (to = from; next(b, numbers, to + 1) == to + 1; to++)
			;
		used += (size_t)snprintf(buf + used, len - used,
					 to > from ? "%s%u-%u" : "%s%u",
					 used ? "," : "", from, to);
	}
}
