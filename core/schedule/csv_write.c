/* PyTorch's text form of a schedule, compute only. */
#include <errno.h>
#include <stdio.h>

#include "schedule/draw.h"

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

int pfw_write_csv(const struct pfw_schedule_plan *plan, FILE *to,
		  struct pfw_error *err)
{
	for (uint32_t r = 0; r < plan->ranks; r++) {
		const struct pfw_plan *list = &plan->lists[r];

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
	return ferror(to) ? pfw_error_set(err, EIO, "the schedule could not be "
					  "written") : 0;
}
