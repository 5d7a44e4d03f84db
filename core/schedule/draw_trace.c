#include <errno.h>
#include <stdio.h>

#include "schedule/draw.h"

static void print_action(const struct pfw_simulation *sim, uint32_t rank,
			 const struct pfw_sim_action *a, FILE *to)
{
	char text[64];

	pfw_action_text(a->type, a->stage, a->microbatch, text, sizeof(text));
	/* Microseconds, as the format has it; ns are its third digit. */
	fprintf(to, ",\n{\"ph\": \"X\", \"pid\": 0, \"tid\": %u, \"name\": \"%s\", "
		"\"cat\": \"%s\", \"ts\": %.3f, \"dur\": %.3f, \"args\": "
		"{\"stage\": %u, \"chunk\": %u, \"microbatch\": %u}}", rank, text,
		pfw_action_name(a->type), (double)a->start / 1e3,
		(double)(a->end - a->start) / 1e3, a->stage,
		sim->chunk_of[a->stage], a->microbatch);
}

/* From the end of what was waited for to the start of what waited. */
static void print_wait(const struct pfw_simulation *sim, uint32_t i, FILE *to)
{
	const struct pfw_sim_action *a = &sim->actions[i];
	const struct pfw_sim_action *from = &sim->actions[a->after];
	const char *what = a->cause == PFW_CAUSE_SLOT ? "slot" : "message";

	fprintf(to, ",\n{\"ph\": \"s\", \"id\": %u, \"pid\": 0, \"tid\": %u, "
		"\"name\": \"%s\", \"cat\": \"wait\", \"ts\": %.3f},\n"
		"{\"ph\": \"f\", \"bp\": \"e\", \"id\": %u, \"pid\": 0, "
		"\"tid\": %u, \"name\": \"%s\", \"cat\": \"wait\", \"ts\": %.3f}",
		i, sim->rank_of[from->stage], what,
		/* Arrows start inside a box; the last ns of it. */
		(double)(from->end - (from->end > from->start)) / 1e3, i,
		sim->rank_of[a->stage], what, (double)a->start / 1e3);
}

int pfw_write_trace(const struct pfw_simulation *sim, FILE *to,
		    struct pfw_error *err)
{
	fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n"
	      "{\"ph\": \"M\", \"pid\": 0, \"name\": \"process_name\", "
	      "\"args\": {\"name\": \"simulated step\"}}", to);
	for (uint32_t r = 0; r < sim->ranks; r++) {
		const struct pfw_sim_rank *rank = &sim->rank[r];

		fprintf(to, ",\n{\"ph\": \"M\", \"pid\": 0, \"tid\": %u, \"name\": "
			"\"thread_name\", \"args\": {\"name\": \"rank %u\"}},\n"
			"{\"ph\": \"M\", \"pid\": 0, \"tid\": %u, \"name\": "
			"\"thread_sort_index\", \"args\": {\"sort_index\": %u}}",
			r, r, r, r);
		for (uint32_t i = rank->first; i < rank->first + rank->n; i++) {
			uint32_t cause = sim->actions[i].cause;

			print_action(sim, r, &sim->actions[i], to);
			if (cause == PFW_CAUSE_MESSAGE || cause == PFW_CAUSE_SLOT)
				print_wait(sim, i, to);
		}
	}
	fputs("\n]}\n", to);
	return ferror(to) ? pfw_error_set(err, EIO, "the trace could not be "
					  "written") : 0;
}
