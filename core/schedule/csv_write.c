#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "schedule/csv.h"

uint64_t pfw_schedule_plan_hash(const struct pfw_schedule_plan *plan)
{
	uint64_t h = PFW_HASH_START;

	h = pfw_hash_u64(h, plan->ranks);
	h = pfw_hash_u64(h, plan->chunks);
	h = pfw_hash_u64(h, plan->microbatches);
	for (uint32_t r = 0; r < plan->ranks; r++) {
		const struct pfw_plan *list = &plan->lists[r];

		h = pfw_hash_u64(h, list->n);
		for (size_t i = 0; i < list->n; i++) {
			const struct pfw_planned *item = &list->items[i];

			h = pfw_hash_u64(h, (uint64_t)item->type << 32 |
						    (item->group != PFW_NONE));
			h = pfw_hash_u64(h, (uint64_t)item->stage << 32 |
						    item->microbatch);
		}
	}
	return h;
}

static void write_header(const struct pfw_schedule_plan *plan, FILE *to)
{
	fprintf(to, "# pipefw schedule 1\n# ranks %u chunks %u microbatches %u\n"
		"# placement", plan->ranks, plan->chunks, plan->microbatches);
	for (uint32_t s = 0; s < plan->stages; s++)
		fprintf(to, " %u", plan->rank_of[s]);
	fprintf(to, "\n# hash %016" PRIx64 "\n", pfw_schedule_plan_hash(plan));
}

static void write_one(const struct pfw_planned *item, FILE *to)
{
	char text[64];

	pfw_action_text(item->type, item->stage, item->microbatch, text,
			sizeof(text));
	fputs(text, to);
}

static int is_pair(const struct pfw_plan *list, size_t i)
{
	return list->items[i].group != PFW_NONE && i + 1 < list->n &&
	       list->items[i + 1].group == list->items[i].group;
}

static void write_row(const struct pfw_plan *list, FILE *to)
{
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			fputc(',', to);
		if (!is_pair(list, i)) {
			write_one(&list->items[i], to);
			continue;
		}
		fputc('(', to);
		write_one(&list->items[i++], to);
		fputc(';', to);
		write_one(&list->items[i], to);
		fputs(")OVERLAP_F_B", to);
	}
	fputc('\n', to);
}

int pfw_csv_write(const struct pfw_schedule_plan *plan, int header, FILE *to,
		  struct pfw_error *err)
{
	if (header)
		write_header(plan, to);
	for (uint32_t r = 0; r < plan->ranks; r++)
		write_row(&plan->lists[r], to);
	if (ferror(to))
		return pfw_error_set(err, EIO, "the schedule could not be "
				     "written");
	return 0;
}
