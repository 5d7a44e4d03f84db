/* Whole training steps of one rank, beside PyTorch doing the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pipeline.h"
#include "bench/steps.h"

#define PATIENCE 120.0         /* seconds of some steps of PyTorch */
#define COMPILE_PATIENCE 900.0 /* of the first */

static const char *const dtypes[] = { "fp32", "bf16" };
static const char *const ways[] = { "eager", "compiled" };

/* What we run: fp32 never uses AMX. */
static const struct kind {
	const char *name, *dtype, *cpu;
} kinds[] = {
	{ "fp32", "fp32", NULL },
	{ "bf16", "bf16", NULL },
	{ "bf16 without AMX", "bf16", "avx512" },
};

#define N_KINDS 3u
#define N_DTYPES 2u
#define N_WAYS 2u

/* Milliseconds of a step, round by round. */
struct times {
	double ours[N_KINDS][PFW_BENCH_MAX_ROUNDS];
	double torch[N_DTYPES][N_WAYS][PFW_BENCH_MAX_ROUNDS];
	/* why; empty: measured */
	char not_ours[N_KINDS][256], skipped[N_DTYPES][N_WAYS][256];
};

static const struct comparison {
	uint32_t ours, theirs; /* in kinds[], in dtypes[] */
	double aim;
} comparisons[] = { { 0, 0, 1.2 }, { 1, 0, 6 }, { 1, 1, 2.5 }, { 2, 0, 1.2 } };

#define N_COMPARISONS (sizeof(comparisons) / sizeof(comparisons[0]))

static int ask_model(struct pfw_bench_steps *s, const struct pfw_bench_model *m,
		     uint32_t dtype, uint32_t way, double patience,
		     double *value)
{
	char question[160];

	snprintf(question, sizeof(question), "%u %u %u %u %u %u %s %s %u\n",
		 m->layers, m->heads, m->hidden, m->context, m->vocab, m->batch,
		 dtypes[dtype], ways[way], pfw_bench_steps_count(s, 1));
	return pfw_bench_torch_ask(s, question, patience, value);
}

static int measure_ours(struct pfw_bench_steps *s,
			const struct pfw_bench_model *m, uint32_t kind,
			double *ms, struct pfw_error *err)
{
	const struct pfw_bench_run run = { .model = m,
					   .dtype = kinds[kind].dtype,
					   .cpu = kinds[kind].cpu,
					   .ranks = 1,
					   .microbatches = 1 };
	double seconds;
	int rc = pfw_bench_steps_ours(s, &run, &seconds, err);

	if (!rc)
		*ms = 1e3 * seconds;
	return rc;
}

/* A path that was asked for may not be there. */
static int try_forced(struct pfw_bench_steps *s,
		      const struct pfw_bench_model *m, struct times *t,
		      struct pfw_error *err)
{
	for (uint32_t k = 0; k < N_KINDS; k++) {
		struct pfw_error fault = { 0 };
		double ms;
		int rc;

		if (!kinds[k].cpu)
			continue;
		rc = measure_ours(s, m, k, &ms, &fault);
		if (rc == -EINTR) {
			*err = fault;
			return rc;
		}
		if (rc)
			snprintf(t->not_ours[k], sizeof(t->not_ours[k]),
				 "%.250s", fault.text);
	}
	return 0;
}

/* Once for nothing: it compiles, and what it cannot do is known then. */
static int warm_up(struct pfw_bench_steps *s, const struct pfw_bench_model *m,
		   struct times *t, struct pfw_error *err)
{
	double value;

	for (uint32_t d = 0; d < N_DTYPES; d++)
		for (uint32_t w = 0; w < N_WAYS; w++) {
			int rc = ask_model(s, m, d, w, COMPILE_PATIENCE,
					   &value);

			if (rc == -EINTR)
				return pfw_error_set(err, EINTR,
						     "stopped as asked");
			if (rc)
				snprintf(t->skipped[d][w],
					 sizeof(t->skipped[d][w]), "%s",
					 s->why);
		}
	return try_forced(s, m, t, err);
}

static int one_round(struct pfw_bench_steps *s, const struct pfw_bench_model *m,
		     struct times *t, uint32_t round, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t k = 0; !rc && k < N_KINDS; k++)
		if (!*t->not_ours[k])
			rc = measure_ours(s, m, k, &t->ours[k][round], err);
	for (uint32_t i = 0; !rc && i < N_DTYPES * N_WAYS; i++) {
		uint32_t d = i / N_WAYS, w = i % N_WAYS;

		if (*t->skipped[d][w])
			continue;
		rc = ask_model(s, m, d, w, PATIENCE, &t->torch[d][w][round]);
		if (rc)
			pfw_error_set(err, -rc, "%s: PyTorch: %s", m->name,
				      s->why);
	}
	return rc;
}

static void print_beside(struct pfw_bench_steps *s,
			 const struct pfw_bench_model *m, const struct times *t,
			 const struct comparison *c, uint32_t way)
{
	struct pfw_bench_row row = { .unit = "ms", .less_is_better = 1,
				     .aim = c->aim };
	const char *why = t->skipped[c->theirs][way];
	char work[64], peer[64];

	if (*t->not_ours[c->ours])
		why = t->not_ours[c->ours];
	snprintf(work, sizeof(work), "%s, %s", m->name, kinds[c->ours].name);
	snprintf(peer, sizeof(peer), "torch %s %s", dtypes[c->theirs],
		 ways[way]);
	row.work = work;
	row.peer = peer;
	memcpy(row.ours, t->ours[c->ours], sizeof(row.ours));
	memcpy(row.theirs, t->torch[c->theirs][way], sizeof(row.theirs));
	if (*why)
		pfw_bench_skip(s->bench, work, peer, why);
	else
		pfw_bench_print(s->bench, &row);
}

/* Ours, where there is nobody beside it. */
static void print_alone(struct pfw_bench_steps *s,
			const struct pfw_bench_model *m, const struct times *t,
			uint32_t kind)
{
	struct pfw_bench_row row = { .unit = "ms", .less_is_better = 1 };
	char work[64];

	snprintf(work, sizeof(work), "%s, %s", m->name, kinds[kind].name);
	row.work = work;
	memcpy(row.ours, t->ours[kind], sizeof(row.ours));
	if (*t->not_ours[kind])
		pfw_bench_skip(s->bench, work, "PyTorch", t->not_ours[kind]);
	else
		pfw_bench_print(s->bench, &row);
}

static int one_rank(struct pfw_bench_steps *s, const struct pfw_bench_model *m,
		    struct pfw_error *err)
{
	struct times *t = calloc(1, sizeof(*t));
	int rc = t ? 0 : pfw_error_set(err, ENOMEM, "out of memory");

	if (!rc)
		rc = warm_up(s, m, t, err);
	for (uint32_t i = 0; !rc && i < s->bench->rounds; i++)
		rc = one_round(s, m, t, i, err);
	for (uint32_t i = 0; !rc && !s->no_torch && i < N_COMPARISONS; i++)
		for (uint32_t w = 0; w < N_WAYS; w++)
			print_beside(s, m, t, &comparisons[i], w);
	for (uint32_t k = 0; !rc && s->no_torch && k < N_KINDS; k++)
		print_alone(s, m, t, k);
	free(t);
	return rc;
}

int pfw_bench_train(struct pfw_bench *bench, struct pfw_error *err)
{
	const struct pfw_bench_model *m = NULL;
	struct pfw_bench_steps s = { 0 };
	int rc = pfw_bench_steps_open(&s, bench, err);

	if (rc)
		return rc;
	bench->part = "train";
	pfw_bench_torch_open(&s, "torch_train.py");
	pfw_bench_heading(bench, "train step, one rank on one core");
	if (s.no_torch)
		pfw_bench_skip(bench, "train step", "PyTorch", s.no_torch);
	while (!rc && (m = pfw_bench_model_next(bench, m)))
		rc = one_rank(&s, m, err);
	if (!rc)
		rc = pfw_bench_pipeline(&s, err);
	pfw_bench_steps_close(&s);
	return rc;
}
