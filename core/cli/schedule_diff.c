/* Where two schedules part, rank by rank, and what that costs. */
#include <stdio.h>
#include <string.h>

#include "cli/schedule_show.h"

static int same(const struct pfw_planned *a, const struct pfw_planned *b)
{
	return a->type == b->type && a->stage == b->stage &&
	       a->microbatch == b->microbatch;
}

/* Actions that both begin with. */
static size_t common(const struct pfw_plan *a, const struct pfw_plan *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && same(&a->items[i], &b->items[i]))
		i++;
	return i;
}

/* A few actions from @p at on. */
static void print_from(const struct pfw_plan *list, size_t at)
{
	char text[64];

	for (size_t i = at; i < list->n && i < at + 8; i++) {
		pfw_action_text(list->items[i].type, list->items[i].stage,
				list->items[i].microbatch, text, sizeof(text));
		printf(" %s", text);
	}
	puts(at + 8 < list->n ? " ..." : at >= list->n ? " (ends)" : "");
}

static int print_ranks(const struct pfw_schedule_job *a,
		       const struct pfw_schedule_job *b)
{
	int differ = 0;

	for (uint32_t r = 0; r < a->plan->ranks; r++) {
		const struct pfw_plan *x = &a->plan->lists[r];
		const struct pfw_plan *y = &b->plan->lists[r];
		size_t n = common(x, y);

		if (n == x->n && n == y->n)
			continue;
		differ = 1;
		printf("rank %u: the same for %zu actions, then\n  a:", r, n);
		print_from(x, n);
		fputs("  b:", stdout);
		print_from(y, n);
	}
	return differ;
}

static void print_line(const char *what, double a, double b)
{
	printf("%-12s %10.6g %10.6g", what, a, b);
	if (a > 0 && a != b)
		printf("  %+.1f %%", 100 * (b / a - 1));
	putchar('\n');
}

static void print_diff(const struct pfw_schedule_job *a,
		       const struct pfw_schedule_job *b)
{
	printf("a: %s, p=%u v=%u m=%u\nb: %s, p=%u v=%u m=%u\n\n", a->name,
	       a->plan->ranks, a->plan->chunks, a->plan->microbatches, b->name,
	       b->plan->ranks, b->plan->chunks, b->plan->microbatches);
	if (a->plan->ranks != b->plan->ranks)
		puts("of another number of ranks");
	else if (!print_ranks(a, b))
		puts("every rank does the same in the same order");
	printf("\n%-12s %10s %10s\n", "", "a", "b");
	print_line("step", (double)a->sim->step_time / a->unit,
		   (double)b->sim->step_time / b->unit);
	print_line("bubble %", 100 * pfw_simulation_bubble(a->sim),
		   100 * pfw_simulation_bubble(b->sim));
	print_line("of span %", 100 * pfw_simulation_span_bubble(a->sim),
		   100 * pfw_simulation_span_bubble(b->sim));
	print_line("activations", pfw_schedule_job_peak(a),
		   pfw_schedule_job_peak(b));
	print_line("messages", (double)a->sim->messages,
		   (double)b->sim->messages);
}

int pfw_schedule_diff(struct pfw_registry *registry,
		      const struct pfw_schedule_args *args, int *status,
		      struct pfw_error *err)
{
	struct pfw_schedule_job a, b;
	int one, rc;

	rc = pfw_schedule_job_beside(registry, args, args->names[0], &a, &one,
				     status, err);
	if (rc)
		return rc;
	rc = pfw_schedule_job_beside(registry, args, args->names[1], &b, &one,
				     status, err);
	if (!rc) {
		print_diff(&a, &b);
		pfw_schedule_job_close(&b);
	}
	pfw_schedule_job_close(&a);
	return rc;
}
