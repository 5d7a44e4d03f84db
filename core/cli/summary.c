#include "cli/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "cli/text.h"
#include "base/size.h"

/* "842 496" */
static void grouped(uint64_t n, char *buf, size_t len)
{
	char digits[24];
	int total = snprintf(digits, sizeof(digits), "%" PRIu64, n), used = 0;

	for (int i = 0; i < total && (size_t)used + 2 < len; i++) {
		if (i && (total - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = 0;
}

/* "  NAME       TEXT", which goes on below itself where it is long. */
static void PFW_PRINTF(3, 4) line(FILE *to, const char *name, const char *fmt,
				  ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(to, "  %-10s ", name);
	pfw_text_wrap(to, 13, text);
}

static void print_schedule(const struct pfw_job *job, FILE *to)
{
	const struct pfw_config *cfg = job->cfg;
	const struct pfw_loaded *plugin = cfg->schedule.plugin;
	struct pfw_shape shape = {
		.size = sizeof(shape),
		.ranks = cfg->pipeline.ranks,
		.chunks = pfw_job_placement(job)->chunks,
		.microbatches = cfg->pipeline.microbatches,
	};
	char text[128] = "";

	if (plugin && plugin->ops.schedule.describe)
		plugin->ops.schedule.describe(&shape, cfg->schedule.values,
					      text, sizeof(text));
	line(to, "pipeline", "%s%s%s%s, p=%u v=%u m=%u, micro-batches of %u x "
	     "%u tokens", pfw_config_schedule(cfg), *text ? " (" : "", text,
	     *text ? ")" : "", shape.ranks, shape.chunks, shape.microbatches,
	     job->model->shape.batch, job->model->shape.seq);
}

static void stack_text(const struct pfw_transport_choice *t, char names[512])
{
	char *at = names, *end = names + 512;

	at += snprintf(at, 512, "%.48s", t->transport.plugin->info.name);
	for (uint32_t i = 0; i < t->n_filters; i++)
		at += snprintf(at, (size_t)(end - at), " + %.48s",
			       t->filters[i].plugin->info.name);
}

static void print_transport(const struct pfw_job *job, FILE *to)
{
	char names[1100], far[512];

	stack_text(&job->cfg->transport, names);
	if (job->cfg->remote.transport.plugin) {
		stack_text(&job->cfg->remote, far);
		strcat(strcat(names, ", between hosts "), far);
	}
	if (job->cfg->pipeline.ranks_per_process > 1)
		line(to, "transport", "%s, %u ranks per process", names,
		     job->cfg->pipeline.ranks_per_process);
	else
		line(to, "transport", "%s", names);
}

static void print_data(const struct pfw_job *job, FILE *to)
{
	struct pfw_dataset_info info;
	char tokens[32];

	if (!job->data)
		return;
	pfw_dataset_info(job->data, &info);
	grouped(info.tokens, tokens, sizeof(tokens));
	line(to, "data", "%s tokens (%s), %.1f %% for validation", tokens,
	     info.format, 100.0 * (double)(info.valid_to - info.valid_from) /
	     (double)info.tokens);
	if (!isnan(info.byte_entropy))
		line(to, "entropy", "%.4f nats a byte, each taken singly",
		     info.byte_entropy);
}

void pfw_summary_header(const struct pfw_job *job, FILE *to)
{
	char n[32], layout[512];

	grouped(job->model->elements, n, sizeof(n));
	pfw_model_layout_text(job->model, layout, sizeof(layout));
	fprintf(to, "pipefw %s\n", PACKAGE_VERSION);
	line(to, "model", "%s, %s parameters, layers %s",
	     job->cfg->model.plugin->info.name, n, layout);
	print_schedule(job, to);
	print_transport(job, to);
	print_data(job, to);
	if (job->run_dir)
		fprintf(to, "  run        %s\n", job->run_dir);
}

static void print_stages(const struct pfw_job *job, FILE *to)
{
	const struct pfw_program *program = pfw_job_placement(job);
	const struct pfw_model *model = job->model;

	fprintf(to, "\nstage  rank  layers                parameters  GFLOP F+B\n");
	for (uint32_t s = 0; s < program->stages; s++) {
		const struct pfw_model_stage *st = &model->stages[s];
		char n[32], layers[64];

		grouped(st->elements, n, sizeof(n));
		if (st->n_layers == 1)
			snprintf(layers, sizeof(layers), "%s",
				 model->layers[st->first_layer].name);
		else
			snprintf(layers, sizeof(layers), "%s..%s",
				 model->layers[st->first_layer].name,
				 model->layers[st->first_layer + st->n_layers -
					       1].name);
		fprintf(to, "%5u %5u  %-20s %11s %10.3f\n", s,
			program->rank_of[s], layers, n,
			(st->flops_forward + st->flops_input +
			 st->flops_weight) / 1e9);
	}
}

static void print_sizes(const uint64_t sizes[7], FILE *to)
{
	for (unsigned i = 0; i < 7; i++) {
		char text[24];

		pfw_text_size(sizes[i], text, sizeof(text));
		fprintf(to, " %*s", i == 3 ? 11 : 9, text);
	}
	fputc('\n', to);
}

static void print_memory(const struct pfw_job *job,
			 const struct pfw_summary_host *host, FILE *to)
{
	uint64_t all = host->footprint.process;
	char text[24];

	fputs("\nrank   weights gradients optimizer activations   scratch"
	      "     slots     total\n", to);
	for (uint32_t i = 0; i < host->binding.ranks; i++) {
		uint32_t r = job->first_here + i;
		struct pfw_rank_memory m;
		uint64_t sizes[7];

		pfw_footprint_memory(&host->footprint, job, r, &m);
		memcpy(sizes, (uint64_t[]){ m.weights, m.gradients, m.optimizer,
					    m.saved, m.work, m.slots, 0 },
		       sizeof(sizes));
		for (unsigned k = 0; k < 6; k++)
			sizes[6] = pfw_size_add(sizes[6], sizes[k]);
		all = pfw_size_add(all, sizes[6]);
		fprintf(to, "%4u", r);
		print_sizes(sizes, to);
	}
	pfw_text_size(all, text, sizeof(text));
	fprintf(to, "with the launcher %58s\n", text);
}

static void print_channels(const struct pfw_job *job, FILE *to)
{
	const struct pfw_program *program = pfw_job_placement(job);

	if (!program->n_channels)
		return;
	fprintf(to, "\nchannel              slots  least live  least ideal  "
		"messages\n");
	for (uint32_t i = 0; i < program->n_channels; i++) {
		const struct pfw_channel *c = &program->channels[i];

		fprintf(to, "%3u -> %-3u %-10s %5u %11u %12u %9u\n", c->from,
			c->to, pfw_channel_kind_name(c->kind), c->n_slots,
			c->least_live, c->least_ideal, c->n_messages);
	}
}

int pfw_summary_host_open(const struct pfw_job *job,
			  struct pfw_summary_host *out, struct pfw_error *err)
{
	const struct pfw_binding_wish wish = {
		.ranks = job->n_here ? job->n_here :
				       pfw_job_placement(job)->ranks,
		.threads = job->cfg->threads,
		.sleeps = !!(job->model->ops->flags & PFW_STAGE_SLEEPS),
	};
	struct pfw_summary_host host;
	int rc = pfw_binding_open(&wish, &host.binding, err);

	if (rc)
		return rc;
	rc = pfw_footprint_open(job, host.binding.threads, &host.footprint,
				err);
	if (rc)
		pfw_binding_close(&host.binding);
	else
		*out = host;
	return rc;
}

void pfw_summary_host_close(struct pfw_summary_host *host)
{
	pfw_footprint_close(&host->footprint);
	pfw_binding_close(&host->binding);
}

static void print_topology(const struct pfw_binding *b, FILE *to)
{
	const char *how = "one core each";

	if (!b->pinned)
		how = "not pinned";
	else if (!pfw_binding_enough(b))
		how = b->threads == 1 ? "neighbours share a core" :
					"more threads than cores";
	else if (b->threads > 1)
		how = "one core a thread";
	if (b->threads > 1)
		line(to, "topology", "%u rank%s of %u threads on %u core%s of "
		     "this host: %s", b->ranks, b->ranks == 1 ? "" : "s",
		     b->threads, b->n_cores, b->n_cores == 1 ? "" : "s", how);
	else
		line(to, "topology", "%u rank%s on %u core%s of this host: %s",
		     b->ranks, b->ranks == 1 ? "" : "s", b->n_cores,
		     b->n_cores == 1 ? "" : "s", how);
}

static void print_binding(const struct pfw_job *job,
			  const struct pfw_binding *b, FILE *to)
{
	if (!b->pinned)
		return;
	fprintf(to, "\nrank  NUMA node  processors\n");
	for (uint32_t r = 0; r < b->ranks; r++) {
		char nodes[64], cpus[256];

		pfw_binding_text(b, b->node, r, nodes, sizeof(nodes));
		pfw_binding_text(b, b->cpu, r, cpus, sizeof(cpus));
		fprintf(to, "%4u  %9s  %s\n", job->first_here + r,
			*nodes ? nodes : "?", cpus);
	}
}

void pfw_summary_dry_run(const struct pfw_job *job,
			 const struct pfw_summary_host *host, FILE *to)
{
	pfw_summary_header(job, to);
	print_topology(&host->binding, to);
	print_binding(job, &host->binding, to);
	print_stages(job, to);
	print_memory(job, host, to);
	print_channels(job, to);
}
