/* Whole training steps: pipefw runs, and PyTorch doing the same. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pipefw/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/philox.h"
#include "bench/bench.h"
#include "bench/room.h"
#include "launch/launcher.h"

#define STEPS 6u         /* of a run; the first is warm-up */
#define QUICK_STEPS 3u
#define STEP_PATIENCE 120.0
#define COMPILE_PATIENCE 900.0
#define CORPUS 400000u   /* tokens, uniformly random */

/* Beside PyTorch a step is one micro-batch; beside two ranks so many. */
#define PIPE_MICROBATCHES 8u

struct model {
	const char *name;
	uint32_t layers, heads, hidden, context, vocab, batch;
	int large; /* left out by --quick */
};

static const struct model models[] = {
	{ "d256 L4", 4, 4, 256, 256, 4096, 4, 0 },
	{ "d384 L6", 6, 6, 384, 256, 96, 4, 1 },
	{ "GPT-2 124M", 12, 12, 768, 512, 50304, 1, 1 },
};

#define N_MODELS (sizeof(models) / sizeof(models[0]))

struct scene {
	struct pfw_bench *bench;
	struct pfw_bench_room room; /* with the corpus and the runs' config */
	char program[PATH_MAX];
	char peer[PATH_MAX]; /* etc/bench/torch_train.py */
	struct pfw_bench_child torch;
	char torch_version[64];
	const char *no_torch; /* why, or NULL */
	char why[256];
};

/* nanoGPT's format: tokens as uint16, nothing else. */
static int write_corpus(struct scene *s, uint32_t vocab, struct pfw_error *err)
{
	uint16_t *tokens = malloc(CORPUS * sizeof(*tokens));
	char path[PATH_MAX];
	int rc;

	if (!tokens)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < CORPUS; i++) {
		const uint32_t counter[4] = { i, 0, 0, 0 };
		uint32_t words[4];

		pfw_philox(counter, vocab, words);
		tokens[i] = (uint16_t)(words[0] % vocab);
	}
	snprintf(path, sizeof(path), "%s/%u.bin", s->room.dir, vocab);
	rc = pfw_file_replace(path, tokens, CORPUS * sizeof(*tokens), err);
	free(tokens);
	return rc;
}

static uint32_t n_steps(const struct scene *s)
{
	return s->bench->quick ? QUICK_STEPS : STEPS;
}

static int write_config(struct scene *s, const struct model *m,
			const char *dtype, uint32_t ranks,
			uint32_t microbatches, char *path, size_t len,
			struct pfw_error *err)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
		"run = { steps = %u; seed = 1; out = \"run\"; };\n"
		"model = { stage = \"gpt2\"; layers = %u; heads = %u; hidden = %u;"
		" context = %u; vocab = %u; };\n"
		"pipeline = { schedule = \"1f1b\"; ranks = %u; microbatches = %u;"
		" microbatch_size = %u; };\n"
		"transport = \"shm\";\n"
		"device = { name = \"%s\"; dtype = \"%s\"; threads = 1; };\n"
		"optimizer = { name = \"adamw\"; lr = 1e-4; };\n"
		"data = { train = \"%u.bin\"; validation = 0.0; };\n",
		n_steps(s), m->layers, m->heads, m->hidden, m->context, m->vocab,
		ranks, microbatches, m->batch, s->bench->device, dtype,
		m->vocab);

	snprintf(path, len, "%s/bench.cfg", s->room.dir);
	return pfw_file_replace(path, text, (size_t)n, err);
}

/* What a run says: its steps' seconds, or why it failed. */
static void take_event(const char *line, double *each, uint32_t *n, char *why,
		       size_t why_len)
{
	struct pfw_json_doc *doc;
	const struct pfw_json *root;
	const char *event;

	if (pfw_json_parse(line, strlen(line), &doc, NULL))
		return;
	root = pfw_json_root(doc);
	event = pfw_json_string(pfw_json_get(root, "event"));
	if (event && !strcmp(event, "step") && *n < STEPS &&
	    !pfw_json_double(pfw_json_get(root, "step_s"), &each[*n]))
		(*n)++;
	if (event && !strcmp(event, "error") &&
	    pfw_json_string(pfw_json_get(root, "text")))
		snprintf(why, why_len, "%s",
			 pfw_json_string(pfw_json_get(root, "text")));
	pfw_json_free(doc);
}

/* Median seconds of a step. */
static int run_ours(struct scene *s, const struct model *m, const char *dtype,
		    uint32_t ranks, uint32_t microbatches, double *seconds,
		    struct pfw_error *err)
{
	char config[PATH_MAX], line[PFW_BENCH_LINE], why[256] = "no steps";
	const char *argv[] = { s->program, "run", config, "--json", "--quiet",
			       "--overwrite", NULL };
	struct pfw_bench_child child;
	double each[STEPS];
	uint32_t n = 0;
	int rc = write_config(s, m, dtype, ranks, microbatches, config,
			      sizeof(config), err);

	if (!rc)
		rc = pfw_bench_child_start(&child, argv, s->room.stop, err);
	if (rc)
		return rc;
	while (!(rc = pfw_bench_child_line(&child, STEP_PATIENCE, line,
					   sizeof(line))))
		take_event(line, each, &n, why, sizeof(why));
	pfw_bench_child_end(&child);
	if (rc == -EINTR)
		return pfw_error_set(err, EINTR, "stopped as asked");
	if (rc != -ENODATA || n < n_steps(s))
		return pfw_error_set(err, EIO, "%s, %s, %u ranks: %s", m->name,
				     dtype, ranks,
				     rc == -ETIMEDOUT ? "it hangs" : why);
	*seconds = pfw_bench_median(each + 1, n - 1);
	return 0;
}

/* One word of the peer's answer in *value, or its reason in s->why. */
static int ask_torch(struct scene *s, const char *question, double patience,
		     double *value)
{
	char line[PFW_BENCH_LINE];
	int rc = pfw_bench_child_say(&s->torch, question);

	if (!rc)
		rc = pfw_bench_child_line(&s->torch, patience, line,
					  sizeof(line));
	if (rc == -EINTR)
		return rc;
	if (rc) {
		snprintf(s->why, sizeof(s->why), "%s",
			 rc == -ETIMEDOUT ? "it does not answer" : "it ended");
		pfw_bench_child_end(&s->torch);
		s->no_torch = s->why;
		return rc;
	}
	if (sscanf(line, "%lf", value) == 1)
		return 0;
	snprintf(s->why, sizeof(s->why), "%.200s", line);
	return -ENOTSUP;
}

static void open_torch(struct scene *s)
{
	const char *argv[] = { s->bench->python, s->peer, NULL };
	char line[PFW_BENCH_LINE];

	if (pfw_bench_find("torch_train.py", s->peer, sizeof(s->peer))) {
		snprintf(s->why, sizeof(s->why), "no file %.200s", s->peer);
		s->no_torch = s->why;
		return;
	}
	if (pfw_bench_child_start(&s->torch, argv, s->room.stop, NULL) ||
	    pfw_bench_child_line(&s->torch, STEP_PATIENCE, line,
				 sizeof(line)) ||
	    sscanf(line, "torch %63s", s->torch_version) != 1) {
		pfw_bench_child_end(&s->torch);
		snprintf(s->why, sizeof(s->why),
			 "%.60s has no torch (python3 -m venv DIR; DIR/bin/pip "
			 "install torch; PIPEFW_PYTHON=DIR/bin/python)",
			 s->bench->python);
		s->no_torch = s->why;
	}
}

static const char *const dtypes[] = { "fp32", "bf16" };
static const char *const ways[] = { "eager", "compiled" };

#define N_DTYPES 2u
#define N_WAYS 2u

/* Milliseconds of a step, round by round. */
struct times {
	double ours[N_DTYPES][PFW_BENCH_MAX_ROUNDS];
	double torch[N_DTYPES][N_WAYS][PFW_BENCH_MAX_ROUNDS];
	char skipped[N_DTYPES][N_WAYS][256]; /* why; empty: measured */
};

static const struct comparison {
	uint32_t ours, theirs; /* in dtypes[] */
	double aim;
} comparisons[] = { { 0, 0, 1.2 }, { 1, 0, 6 }, { 1, 1, 2.5 } };

static int ask_model(struct scene *s, const struct model *m, uint32_t dtype,
		     uint32_t way, double patience, double *value)
{
	char question[160];

	if (s->no_torch)
		return -ENOTSUP;
	snprintf(question, sizeof(question), "%u %u %u %u %u %u %s %s %u\n",
		 m->layers, m->heads, m->hidden, m->context, m->vocab, m->batch,
		 dtypes[dtype], ways[way], n_steps(s));
	return ask_torch(s, question, patience, value);
}

/* Once for nothing: it compiles, and what it cannot do is known then. */
static int warm_up(struct scene *s, const struct model *m, struct times *t)
{
	double value;

	for (uint32_t d = 0; d < N_DTYPES; d++)
		for (uint32_t w = 0; w < N_WAYS; w++) {
			int rc = ask_model(s, m, d, w, COMPILE_PATIENCE,
					   &value);

			if (rc == -EINTR)
				return rc;
			if (rc)
				snprintf(t->skipped[d][w],
					 sizeof(t->skipped[d][w]), "%s",
					 s->why);
		}
	return 0;
}

static int one_round(struct scene *s, const struct model *m, struct times *t,
		     uint32_t round, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t d = 0; !rc && d < N_DTYPES; d++) {
		rc = run_ours(s, m, dtypes[d], 1, 1, &t->ours[d][round], err);
		t->ours[d][round] *= 1e3;
		for (uint32_t w = 0; !rc && w < N_WAYS; w++) {
			if (*t->skipped[d][w])
				continue;
			rc = ask_model(s, m, d, w, STEP_PATIENCE,
				       &t->torch[d][w][round]);
			if (rc)
				pfw_error_set(err, -rc, "%s: PyTorch: %s",
					      m->name, s->why);
		}
	}
	return rc;
}

static void print_times(struct scene *s, const struct model *m,
			const struct times *t)
{
	for (uint32_t i = 0; i < 3 && !s->no_torch; i++)
		for (uint32_t w = 0; w < N_WAYS; w++) {
			const struct comparison *c = &comparisons[i];
			struct pfw_bench_row row = { .unit = "ms",
						     .less_is_better = 1,
						     .aim = c->aim };
			char work[64], peer[64];

			snprintf(work, sizeof(work), "%s, %s", m->name,
				 dtypes[c->ours]);
			snprintf(peer, sizeof(peer), "torch %s %s",
				 dtypes[c->theirs], ways[w]);
			row.work = work;
			row.peer = peer;
			memcpy(row.ours, t->ours[c->ours], sizeof(row.ours));
			memcpy(row.theirs, t->torch[c->theirs][w],
			       sizeof(row.theirs));
			if (*t->skipped[c->theirs][w])
				pfw_bench_skip(s->bench, work, peer,
					       t->skipped[c->theirs][w]);
			else
				pfw_bench_print(s->bench, &row);
		}
}

/* Ours alone, where there is nobody beside it. */
static void print_alone(struct scene *s, const struct model *m,
			const struct times *t)
{
	for (uint32_t d = 0; s->no_torch && d < N_DTYPES; d++) {
		struct pfw_bench_row row = { .unit = "ms",
					     .less_is_better = 1 };
		char work[64];

		snprintf(work, sizeof(work), "%s, %s", m->name, dtypes[d]);
		row.work = work;
		memcpy(row.ours, t->ours[d], sizeof(row.ours));
		pfw_bench_print(s->bench, &row);
	}
}

static int one_rank(struct scene *s, const struct model *m,
		    struct pfw_error *err)
{
	struct times *t = calloc(1, sizeof(*t));
	int rc = t ? 0 : pfw_error_set(err, ENOMEM, "out of memory");

	if (!rc)
		rc = warm_up(s, m, t);
	if (rc == -EINTR)
		pfw_error_set(err, EINTR, "stopped as asked");
	for (uint32_t i = 0; !rc && i < s->bench->rounds; i++)
		rc = one_round(s, m, t, i, err);
	if (!rc) {
		print_times(s, m, t);
		print_alone(s, m, t);
	}
	free(t);
	return rc;
}

/* Tokens a second of two ranks beside twice one rank's, less the bubble. */
static int two_ranks(struct scene *s, const struct model *m, const char *dtype,
		     struct pfw_error *err)
{
	const double bubble = 1.0 / (PIPE_MICROBATCHES + 1);
	struct pfw_bench_row row = { .unit = "tok/s", .aim = 0.97,
				     .peer = "ideal" };
	const double tokens = (double)PIPE_MICROBATCHES * m->batch * m->context;
	char work[64];
	int rc = 0;

	snprintf(work, sizeof(work), "%s, %s, p=2 1f1b m=%u", m->name, dtype,
		 PIPE_MICROBATCHES);
	row.work = work;
	for (uint32_t i = 0; !rc && i < s->bench->rounds; i++) {
		double one = 1, two = 1;

		rc = run_ours(s, m, dtype, 1, PIPE_MICROBATCHES, &one, err);
		if (!rc)
			rc = run_ours(s, m, dtype, 2, PIPE_MICROBATCHES, &two,
				      err);
		row.theirs[i] = 2 * (1 - bubble) * tokens / one;
		row.ours[i] = tokens / two;
	}
	if (!rc)
		pfw_bench_print(s->bench, &row);
	return rc;
}

static int run_all(struct scene *s, struct pfw_error *err)
{
	int rc = 0;

	pfw_bench_heading(s->bench, "train step, one rank on one core");
	if (s->no_torch)
		pfw_bench_skip(s->bench, "train step", "PyTorch", s->no_torch);
	for (size_t i = 0; !rc && i < N_MODELS; i++)
		if (!models[i].large || !s->bench->quick)
			rc = one_rank(s, &models[i], err);
	if (rc || pfw_cores() < 2)
		return rc;
	pfw_bench_heading(s->bench, "two ranks on two cores");
	for (size_t i = 0; !rc && i < N_MODELS; i++)
		if (!models[i].large || !s->bench->quick) {
			rc = two_ranks(s, &models[i], "fp32", err);
			if (!rc)
				rc = two_ranks(s, &models[i], "bf16", err);
		}
	return rc;
}

static int open_scene(struct scene *s, struct pfw_bench *bench,
		      struct pfw_error *err)
{
	ssize_t n = readlink("/proc/self/exe", s->program,
			     sizeof(s->program) - 1);
	int rc = 0;

	s->bench = bench;
	s->program[n > 0 ? n : 0] = 0;
	for (size_t i = 0; !rc && i < N_MODELS; i++)
		rc = write_corpus(s, models[i].vocab, err);
	return rc;
}

int pfw_bench_train(struct pfw_bench *bench, struct pfw_error *err)
{
	struct scene s = { 0 };
	int rc = pfw_bench_room_open(&s.room, err);

	if (rc)
		return rc;
	bench->part = "train";
	rc = open_scene(&s, bench, err);
	if (!rc) {
		open_torch(&s);
		rc = run_all(&s, err);
	}
	pfw_bench_child_end(&s.torch);
	pfw_bench_room_close(&s.room);
	return rc;
}
