#include "bench/steps.h"

#include <errno.h>
#include <limits.h>
#include <pipefw/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/philox.h"

#define STEPS 6u         /* of a run; the first is warm-up */
#define FEW_STEPS 3u     /* where they are long, or it has to be quick */
#define STEP_PATIENCE 120.0
#define CORPUS 400000u   /* tokens, uniformly random */

static const struct pfw_bench_model models[] = {
	{ "d256 L4", 4, 4, 256, 256, 4096, 4, 3, 0 },
	{ "d384 L6", 6, 6, 384, 256, 96, 4, 3, 1 },
	{ "GPT-2 124M", 12, 12, 768, 512, 50304, 1, 9, 1 },
};

#define N_MODELS (sizeof(models) / sizeof(models[0]))

const struct pfw_bench_model *
pfw_bench_model_next(const struct pfw_bench *bench,
		     const struct pfw_bench_model *model)
{
	model = model ? model + 1 : models;
	while (model < models + N_MODELS && model->large &&
	       bench->quick)
		model++;
	return model < models + N_MODELS ? model : NULL;
}

/* nanoGPT's format: tokens as uint16, nothing else. */
static int write_corpus(struct pfw_bench_steps *s, uint32_t vocab,
			struct pfw_error *err)
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

int pfw_bench_steps_open(struct pfw_bench_steps *s, struct pfw_bench *bench,
			 struct pfw_error *err)
{
	const struct pfw_bench_model *m = NULL;
	ssize_t n = readlink("/proc/self/exe", s->program,
			     sizeof(s->program) - 1);
	int rc = pfw_bench_room_open(&s->room, err);

	if (rc)
		return rc;
	s->bench = bench;
	s->program[n > 0 ? n : 0] = 0;
	while (!rc && (m = pfw_bench_model_next(bench, m)))
		rc = write_corpus(s, m->vocab, err);
	if (rc)
		pfw_bench_room_close(&s->room);
	return rc;
}

void pfw_bench_steps_close(struct pfw_bench_steps *s)
{
	pfw_bench_child_end(&s->torch);
	pfw_bench_room_close(&s->room);
}

uint32_t pfw_bench_steps_count(const struct pfw_bench_steps *s,
			       uint32_t microbatches)
{
	return s->bench->quick || microbatches > 1 ? FEW_STEPS : STEPS;
}

static int write_config(struct pfw_bench_steps *s,
			const struct pfw_bench_run *run, char *path, size_t len,
			struct pfw_error *err)
{
	const struct pfw_bench_model *m = run->model;
	char text[2048];
	int n;

	n = snprintf(text, sizeof(text),
		"run = { steps = %u; seed = 1; out = \"run\"; };\n"
		"model = { stage = \"gpt2\"; layers = %u; heads = %u; hidden = %u;"
		" context = %u; vocab = %u; };\n"
		"pipeline = { schedule = \"1f1b\"; ranks = %u; microbatches = %u;"
		" microbatch_size = %u;"
		" ranks_per_process = %u; };\n"
		"transport = \"shm\";\n"
		"device = { name = \"%s\"; dtype = \"%s\"; threads = %u; };\n"
		"optimizer = { name = \"adamw\"; lr = 1e-4; };\n"
		"data = { train = \"%u.bin\"; validation = 0.0; };\n",
		run->steps, m->layers, m->heads, m->hidden, m->context, m->vocab,
		run->ranks, run->microbatches, m->batch,
		run->ranks_per_process, s->bench->device, run->dtype,
		run->threads, m->vocab);
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

int pfw_bench_steps_start(struct pfw_bench_steps *s,
			  const struct pfw_bench_run *run, const char *option,
			  struct pfw_bench_child *child, struct pfw_error *err)
{
	char config[PATH_MAX], path[64];
	const char *argv[] = { "env", path, s->program, "run", config, "--json",
			       "--quiet", "--overwrite", option, NULL };
	int rc = write_config(s, run, config, sizeof(config), err);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "PIPEFW_CPU=%s", run->cpu ? run->cpu : "");
	return pfw_bench_child_start(child, run->cpu ? argv : argv + 2,
				     s->room.stop, err);
}

int pfw_bench_steps_ours(struct pfw_bench_steps *s,
			 const struct pfw_bench_run *run, double *seconds,
			 struct pfw_error *err)
{
	char line[PFW_BENCH_LINE], why[256] = "no steps";
	struct pfw_bench_run one = *run;
	struct pfw_bench_child child;
	double each[STEPS];
	uint32_t n = 0;
	int rc;

	one.ranks_per_process = one.threads = 1;
	one.steps = pfw_bench_steps_count(s, run->microbatches);
	rc = pfw_bench_steps_start(s, &one, NULL, &child, err);
	if (rc)
		return rc;
	while (!(rc = pfw_bench_child_line(&child, STEP_PATIENCE, line,
					   sizeof(line))))
		take_event(line, each, &n, why, sizeof(why));
	pfw_bench_child_end(&child);
	if (rc == -EINTR)
		return pfw_error_set(err, EINTR, "stopped as asked");
	if (rc != -ENODATA || n < one.steps)
		return pfw_error_set(err, EIO, "%s, %s, %u rank%s: %s",
				     run->model->name, run->dtype, run->ranks,
				     run->ranks > 1 ? "s" : "",
				     rc == -ETIMEDOUT ? "it hangs" : why);
	*seconds = pfw_bench_median(each + 1, n - 1);
	return 0;
}

void pfw_bench_torch_open(struct pfw_bench_steps *s, const char *script)
{
	char path[PATH_MAX], line[PFW_BENCH_LINE];
	const char *argv[] = { s->bench->python, path, NULL };

	pfw_bench_child_end(&s->torch);
	s->no_torch = NULL;
	if (pfw_bench_find(script, path, sizeof(path), s->why,
			   sizeof(s->why))) {
		s->no_torch = s->why;
		return;
	}
	if (pfw_bench_child_start(&s->torch, argv, s->room.stop, NULL) ||
	    pfw_bench_child_line(&s->torch, STEP_PATIENCE, line,
				 sizeof(line)) ||
	    strncmp(line, "torch ", 6)) {
		pfw_bench_child_end(&s->torch);
		snprintf(s->why, sizeof(s->why),
			 "%.60s has no torch (python3 -m venv DIR; DIR/bin/pip "
			 "install torch; PIPEFW_PYTHON=DIR/bin/python)",
			 s->bench->python);
		s->no_torch = s->why;
	}
}

int pfw_bench_torch_ask(struct pfw_bench_steps *s, const char *question,
			double patience, double *value)
{
	char line[PFW_BENCH_LINE];
	int rc = s->no_torch ? -ENOTSUP : 0;

	if (!rc)
		rc = pfw_bench_child_say(&s->torch, question);
	if (!rc)
		rc = pfw_bench_child_line(&s->torch, patience, line,
					  sizeof(line));
	if (rc == -EINTR || s->no_torch)
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
