/* What --dry-run tells programs. */
#include "cli/summary.h"

#include <inttypes.h>
#include <pipefw/json.h>

static void print_stages(const struct pfw_job *job, FILE *to)
{
	const struct pfw_program *program = pfw_job_placement(job);
	const struct pfw_model *model = job->model;

	for (uint32_t s = 0; s < program->stages; s++) {
		const struct pfw_model_stage *st = &model->stages[s];

		fprintf(to, "%s{\"stage\":%u,\"rank\":%u,\"layers\":[",
			s ? "," : "", s, program->rank_of[s]);
		for (uint32_t i = 0; i < st->n_layers; i++) {
			if (i)
				fputc(',', to);
			pfw_json_print(to,
				       model->layers[st->first_layer + i].name);
		}
		fprintf(to, "],\"parameters\":%" PRIu64 "}", st->elements);
	}
}

static void print_memory(const struct pfw_job *job,
			 const struct pfw_summary_host *host, FILE *to)
{
	for (uint32_t i = 0; i < host->binding.ranks; i++) {
		uint32_t r = job->first_here + i;
		struct pfw_rank_memory m;

		pfw_footprint_memory(&host->footprint, job, r, &m);
		fprintf(to, "%s{\"rank\":%u,\"weights\":%" PRIu64
			",\"gradients\":%" PRIu64 ",\"optimizer\":%" PRIu64
			",\"activations\":%" PRIu64 ",\"scratch\":%" PRIu64
			",\"slots\":%" PRIu64 "}",
			i ? "," : "", r, m.weights, m.gradients, m.optimizer,
			m.saved, m.work, m.slots);
	}
}

static void print_channels(const struct pfw_job *job, FILE *to)
{
	const struct pfw_program *program = pfw_job_placement(job);

	for (uint32_t i = 0; i < program->n_channels; i++) {
		const struct pfw_channel *c = &program->channels[i];

		fprintf(to, "%s{\"from\":%u,\"to\":%u,\"kind\":\"%s\""
			",\"slots\":%u,\"least_live\":%u,\"least_ideal\":%u"
			",\"messages\":%u}",
			i ? "," : "", c->from, c->to,
			pfw_channel_kind_name(c->kind), c->n_slots,
			c->least_live, c->least_ideal, c->n_messages);
	}
}

static void print_numbers(const struct pfw_binding *b, const uint32_t *numbers,
			  uint32_t rank, FILE *to)
{
	numbers += (size_t)rank * b->threads;
	for (uint32_t i = 0; i < b->threads; i++)
		if (numbers[i] == PFW_NONE)
			fprintf(to, "%snull", i ? "," : "");
		else
			fprintf(to, "%s%u", i ? "," : "", numbers[i]);
}

/* A rank's threads, one after the other. */
static void print_binding(const struct pfw_job *job,
			  const struct pfw_binding *b, FILE *to)
{
	for (uint32_t r = 0; b->pinned && r < b->ranks; r++) {
		fprintf(to, "%s{\"rank\":%u,\"processors\":[", r ? "," : "",
			job->first_here + r);
		print_numbers(b, b->cpu, r, to);
		fputs("],\"numa_nodes\":[", to);
		print_numbers(b, b->node, r, to);
		fputs("]}", to);
	}
}

void pfw_summary_json(const struct pfw_job *job,
		      const struct pfw_summary_host *host, FILE *to)
{
	fputs("{\"event\":\"plan\",\"stages\":[", to);
	print_stages(job, to);
	fputs("],\"bytes\":[", to);
	print_memory(job, host, to);
	fputs("],\"channels\":[", to);
	print_channels(job, to);
	fprintf(to, "],\"launcher_bytes\":%" PRIu64 ",\"threads\":%u"
		",\"binding\":[", host->footprint.process,
		host->binding.threads);
	print_binding(job, &host->binding, to);
	fputs("]}\n", to);
}
