/* Two ranks on two cores, beside one, and beside PyTorch's pipelining. */
#include <errno.h>
#include <string.h>

#include "bench/pipeline.h"
#include "launch/launcher.h"

#define PATIENCE 900.0 /* seconds of some steps of PyTorch */

/* Tokens a second, round by round. */
struct rates {
	double ours[PFW_BENCH_MAX_ROUNDS], ideal[PFW_BENCH_MAX_ROUNDS],
		torch[PFW_BENCH_MAX_ROUNDS];
	const char *skipped; /* why PyTorch is; or NULL */
};

/* Twice one rank's, less the bubble. */
static int measure_ours(struct pfw_bench_steps *s,
			const struct pfw_bench_model *m, const char *dtype,
			double *rate, double *ideal, struct pfw_error *err)
{
	const double bubble = 1.0 / (PFW_BENCH_MICROBATCHES + 1);
	const double tokens = (double)PFW_BENCH_MICROBATCHES * m->batch *
			      m->context;
	struct pfw_bench_run run = { .model = m, .dtype = dtype, .ranks = 1,
				     .microbatches = PFW_BENCH_MICROBATCHES };
	double one, two;
	int rc = pfw_bench_steps_ours(s, &run, &one, err);

	run.ranks = 2;
	if (!rc)
		rc = pfw_bench_steps_ours(s, &run, &two, err);
	if (rc)
		return rc;
	*ideal = 2 * (1 - bubble) * tokens / one;
	*rate = tokens / two;
	return 0;
}

/* -EINTR, or 0 and *rate, or 0 and r->skipped. */
static int measure_torch(struct pfw_bench_steps *s,
			 const struct pfw_bench_model *m, const char *dtype,
			 struct rates *r, double *rate)
{
	char question[160];
	double ms;
	int rc;

	snprintf(question, sizeof(question),
		 "%u %u %u %u %u %u %s %u %u %u\n", m->layers, m->heads,
		 m->hidden, m->context, m->vocab, m->batch, dtype, m->cut,
		 PFW_BENCH_MICROBATCHES,
		 pfw_bench_steps_count(s, PFW_BENCH_MICROBATCHES) - 1);
	rc = pfw_bench_torch_ask(s, question, PATIENCE, &ms);
	if (rc == -EINTR)
		return rc;
	if (rc)
		r->skipped = s->why;
	else
		*rate = 1e3 * PFW_BENCH_MICROBATCHES * m->batch * m->context /
			ms;
	return 0;
}

static void print_rates(struct pfw_bench_steps *s,
			const struct pfw_bench_model *m, const char *dtype,
			const struct rates *r)
{
	struct pfw_bench_row row = { .unit = "tok/s", .aim = 0.97,
				     .peer = "ideal" };
	char work[64], peer[64];

	snprintf(work, sizeof(work), "%s, %s, p=2 1f1b m=%u", m->name, dtype,
		 PFW_BENCH_MICROBATCHES);
	snprintf(peer, sizeof(peer), "torch gloo %s", dtype);
	row.work = work;
	memcpy(row.ours, r->ours, sizeof(row.ours));
	memcpy(row.theirs, r->ideal, sizeof(row.theirs));
	pfw_bench_print(s->bench, &row);
	row.peer = peer;
	row.aim = strcmp(dtype, "fp32") ? 3 : 1.5;
	memcpy(row.theirs, r->torch, sizeof(row.theirs));
	if (r->skipped)
		pfw_bench_skip(s->bench, work, peer, r->skipped);
	else
		pfw_bench_print(s->bench, &row);
}

static int two_ranks(struct pfw_bench_steps *s, const struct pfw_bench_model *m,
		     const char *dtype, struct pfw_error *err)
{
	struct rates r = { .skipped = s->no_torch };
	int rc = 0;

	for (uint32_t i = 0; !rc && i < s->bench->rounds; i++) {
		rc = measure_ours(s, m, dtype, &r.ours[i], &r.ideal[i], err);
		if (!rc && !r.skipped &&
		    measure_torch(s, m, dtype, &r, &r.torch[i]))
			rc = pfw_error_set(err, EINTR, "stopped as asked");
	}
	if (!rc)
		print_rates(s, m, dtype, &r);
	return rc;
}

int pfw_bench_pipeline(struct pfw_bench_steps *s, struct pfw_error *err)
{
	const struct pfw_bench_model *m = NULL;
	int rc = 0;

	if (pfw_cores() < 2) {
		pfw_bench_skip(s->bench, "two ranks", "everybody",
			       "this machine has one core");
		return 0;
	}
	pfw_bench_torch_open(s, "torch_pipeline.py");
	pfw_bench_heading(s->bench, "two ranks on two cores");
	while (!rc && (m = pfw_bench_model_next(s->bench, m))) {
		rc = two_ranks(s, m, "fp32", err);
		if (!rc)
			rc = two_ranks(s, m, "bf16", err);
	}
	return rc;
}
