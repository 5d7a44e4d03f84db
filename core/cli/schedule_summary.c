#include "cli/schedule_show.h"

#include <stdio.h>
#include <string.h>

#include "cli/text.h"

/* As many ranks as a line shows one by one. */
#define RANKS_SHOWN 16u

static void print_times(const char *unit_name, double unit,
			const struct pfw_simulation *sim)
{
	double step = (double)sim->step_time / unit;
	double ideal = (double)sim->busy / sim->ranks / unit;
	double whole = (double)sim->step_time * sim->ranks / 100;
	int64_t warm_up = 0, steady = 0, cool_down = 0;

	for (uint32_t r = 0; r < sim->ranks; r++) {
		warm_up += sim->rank[r].warm_up;
		steady += sim->rank[r].steady;
		cool_down += sim->rank[r].cool_down;
	}
	printf("\nstep         %.6g %s; %.6g if no rank were ever idle\n", step,
	       unit_name, ideal);
	printf("bubble       %.1f %% of the step (of the longest span %.1f %%;\n"
	       "             idle over ideal %.1f %%)\n",
	       100 * pfw_simulation_bubble(sim),
	       100 * pfw_simulation_span_bubble(sim),
	       100 * pfw_simulation_ratio(sim));
	if (whole > 0)
		printf("             warm-up %.1f %%, steady %.1f %%, cool-down "
		       "%.1f %%\n", (double)warm_up / whole,
		       (double)steady / whole, (double)cool_down / whole);
}

static void print_peaks(const struct pfw_simulation *sim)
{
	uint32_t least = 0, most = 0;
	char text[RANKS_SHOWN * 16 + 64] = "at most ";
	size_t used = strlen(text);

	for (uint32_t r = 0; r < sim->ranks; r++) {
		if (sim->rank[r].peak < sim->rank[least].peak)
			least = r;
		if (sim->rank[r].peak > sim->rank[most].peak)
			most = r;
		if (sim->ranks <= RANKS_SHOWN)
			used += (size_t)snprintf(text + used,
				sizeof(text) - used, "%.4g ",
				(double)sim->rank[r].peak / sim->chunks);
	}
	if (sim->ranks > RANKS_SHOWN && least == most)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%.4g ", (double)sim->rank[most].peak / sim->chunks);
	else if (sim->ranks > RANKS_SHOWN)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%.4g (rank %u) to %.4g (rank %u) ",
			(double)sim->rank[least].peak / sim->chunks, least,
			(double)sim->rank[most].peak / sim->chunks, most);
	snprintf(text + used, sizeof(text) - used, "micro-batches held%s",
		 sim->ranks > 1 && sim->ranks <= RANKS_SHOWN ?
		 ", rank by rank" : "");
	fputs("activations  ", stdout);
	pfw_text_wrap(stdout, 13, text);
}

static void print_bytes(const struct pfw_schedule_job *job)
{
	uint64_t most = pfw_schedule_job_bytes(job);
	char text[16];

	pfw_text_size(most, text, sizeof(text));
	if (job->bytes)
		printf("             %s at most, with the run's model\n", text);
}

static uint32_t most_slots(const struct pfw_program *prog, uint32_t kind,
			   int ideal)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];
		uint32_t n = ideal ? c->least_ideal : c->least_live;

		if (c->kind == kind && n > most)
			most = n;
	}
	return most;
}

static void print_slots(const struct pfw_schedule_job *job)
{
	const struct pfw_program *prog = job->prog;

	if (!prog->n_channels)
		return;
	printf("slots        %u for activations and %u for gradients, to lose "
	       "no time%s\n             %u and %u, to live at all: a step of %.6g "
	       "%s\n",
	       most_slots(prog, PFW_CHANNEL_ACTIVATION, 1),
	       most_slots(prog, PFW_CHANNEL_GRADIENT, 1),
	       job->args->costs_given ? "" : ",\n             a hop taken as 0.1 F",
	       most_slots(prog, PFW_CHANNEL_ACTIVATION, 0),
	       most_slots(prog, PFW_CHANNEL_GRADIENT, 0),
	       (double)job->tight->step_time / job->unit, job->args->unit_name);
}

void pfw_schedule_summary(const struct pfw_schedule_job *job)
{
	print_times(job->args->unit_name, job->unit, job->sim);
	pfw_schedule_idle(job);
	pfw_schedule_path(job);
	print_peaks(job->sim);
	print_bytes(job);
	print_slots(job);
	printf("messages     %llu between ranks in a step\n",
	       (unsigned long long)job->sim->messages);
	if (job->any_order)
		puts("order        gradients do not ascend: runs with order = "
		     "\"any\" only, not\n             bit-identical");
}
