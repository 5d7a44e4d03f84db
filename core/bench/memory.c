/* What runs take of this host's memory, beside what --dry-run said of them. */
#include <ctype.h>
#include <errno.h>
#include <pipefw/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/steps.h"

#define STEPS_BEFORE 3u /* after these a run has touched all it will */
#define PATIENCE 300.0  /* seconds of a step, or of a plan */
#define WITHIN 0.03
#define MIB (1024.0 * 1024.0)

/* Where the program itself and the threads' scratch weigh most. */
static const struct pfw_bench_model small = {
	"d64 L4", 4, 2, 64, 128, 4096, 4, 2, 0
};

static const struct kind {
	const char *name, *dtype;
	uint32_t ranks, ranks_per_process, threads;
} kinds[] = {
	{ "fp32, p=1", "fp32", 1, 1, 1 },
	{ "fp32, p=2", "fp32", 2, 1, 1 },
	{ "bf16, p=1", "bf16", 1, 1, 1 },
	{ "bf16, p=2", "bf16", 2, 1, 1 },
	{ "fp32, p=2 in one process", "fp32", 2, 2, 1 },
	{ "fp32, 3 threads", "fp32", 1, 1, 3 },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Adds what a process has: anonymous pages, and its share of pages without a
 * file's name that it shares, so that the sum over processes has each once. */
static int add_process(pid_t pid, uint64_t *bytes)
{
	unsigned long long kib;
	int rc = -ENODATA, shared = 0;
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/smaps", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		/* Addresses begin a mapping, capitals its members. */
		if (!isupper((unsigned char)*line)) {
			shared = strstr(line, "memfd:") != NULL;
			continue;
		}
		if (sscanf(line, shared ? "Pss: %llu kB" : "Anonymous: %llu kB",
			   &kib) == 1) {
			*bytes += kib * 1024;
			rc = 0;
		}
	}
	free(line);
	fclose(f);
	return rc;
}

/* Of a launcher and its ranks. */
static int add_run(pid_t launcher, uint64_t *bytes)
{
	int rc = add_process(launcher, bytes);
	char path[64];
	long pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children",
		 (long)launcher, (long)launcher);
	f = rc ? NULL : fopen(path, "re");
	if (!f)
		return rc ? rc : -errno;
	while (!rc && fscanf(f, "%ld", &pid) == 1)
		rc = add_process((pid_t)pid, bytes);
	fclose(f);
	return rc;
}

/* Up to the line of the event, which is parsed. */
static int await(struct pfw_bench_child *child, const char *event,
		 struct pfw_json_doc **doc, struct pfw_error *err)
{
	char line[PFW_BENCH_LINE];
	const struct pfw_json *root;
	const char *got;
	int rc;

	while (!(rc = pfw_bench_child_line(child, PATIENCE, line,
					   sizeof(line)))) {
		rc = pfw_json_parse(line, strlen(line), doc, err);
		if (rc)
			return rc;
		root = pfw_json_root(*doc);
		got = pfw_json_string(pfw_json_get(root, "event"));
		if (got && !strcmp(got, event))
			return 0;
		if (got && !strcmp(got, "error"))
			rc = pfw_error_set(err, EIO, "%s", pfw_json_text(
				pfw_json_get(root, "text")));
		pfw_json_free(*doc);
		if (rc)
			return rc;
	}
	if (rc == -EINTR)
		return pfw_error_set(err, EINTR, "stopped as asked");
	return pfw_error_set(err, -rc, "a run %s before it said \"%s\"",
			     rc == -ETIMEDOUT ? "hung" : "ended", event);
}

static uint64_t number(const struct pfw_json *v)
{
	uint64_t n = 0;

	return pfw_json_u64(v, &n) ? 0 : n;
}

static uint64_t planned_bytes(const struct pfw_json *plan)
{
	const struct pfw_json *rank, *m;
	uint64_t sum = number(pfw_json_get(plan, "launcher_bytes"));

	rank = pfw_json_first(pfw_json_get(plan, "bytes"));
	for (; rank; rank = pfw_json_next(pfw_json_get(plan, "bytes"), rank))
		for (m = pfw_json_first(rank); m; m = pfw_json_next(rank, m))
			if (strcmp(pfw_json_name(m), "rank"))
				sum += number(m);
	return sum;
}

static int predict(struct pfw_bench_steps *s, const struct pfw_bench_run *run,
		   double *mib, struct pfw_error *err)
{
	struct pfw_bench_child child;
	struct pfw_json_doc *doc;
	int rc = pfw_bench_steps_start(s, run, "--dry-run", &child, err);

	if (rc)
		return rc;
	rc = await(&child, "plan", &doc, err);
	if (!rc) {
		*mib = (double)planned_bytes(pfw_json_root(doc)) / MIB;
		pfw_json_free(doc);
	}
	pfw_bench_child_end(&child);
	return rc;
}

/* In the middle of a run.  -ENOTSUP with a sentence: not on this kernel. */
static int measure(struct pfw_bench_steps *s, const struct pfw_bench_run *run,
		   double *mib, struct pfw_error *err)
{
	struct pfw_bench_child child;
	struct pfw_json_doc *doc;
	uint64_t bytes = 0;
	int rc = pfw_bench_steps_start(s, run, NULL, &child, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; !rc && i < STEPS_BEFORE; i++) {
		rc = await(&child, "step", &doc, err);
		if (!rc)
			pfw_json_free(doc);
	}
	if (!rc && add_run(child.pid, &bytes))
		rc = pfw_error_set(err, ENOTSUP, "this kernel does not tell a "
				   "process's children, or what it maps");
	*mib = (double)bytes / MIB;
	kill(child.pid, SIGKILL);
	pfw_bench_child_end(&child);
	return rc;
}

static int one_kind(struct pfw_bench_steps *s, const struct pfw_bench_model *m,
		    const struct kind *kind, struct pfw_error *err)
{
	const struct pfw_bench_run run = {
		.model = m, .dtype = kind->dtype, .ranks = kind->ranks,
		.ranks_per_process = kind->ranks_per_process,
		.threads = kind->threads, .microbatches = 4, .steps = 1000000,
	};
	struct pfw_bench_row row = { .unit = "MiB", .less_is_better = 1,
				     .peer = "--dry-run", .within = WITHIN };
	struct pfw_error fault = { 0 };
	char work[64];
	int rc;

	snprintf(work, sizeof(work), "%s, %s", m->name, kind->name);
	row.work = work;
	rc = predict(s, &run, row.theirs, &fault);
	if (!rc)
		rc = measure(s, &run, row.ours, &fault);
	if (!rc)
		pfw_bench_print(s->bench, &row);
	if (rc == -ENOTSUP)
		pfw_bench_skip(s->bench, work, row.peer, fault.text);
	else if (rc)
		pfw_error_set(err, -rc, "%s: %s", work, fault.text);
	return rc == -ENOTSUP ? 0 : rc;
}

int pfw_bench_memory(struct pfw_bench *bench, struct pfw_error *err)
{
	struct pfw_bench once = *bench; /* bytes do not waver */
	const struct pfw_bench_model *m = &small;
	struct pfw_bench_steps s = { 0 };
	const struct pfw_loaded *device;
	int rc;

	once.rounds = 1;
	once.part = "memory";
	rc = pfw_registry_get(bench->registry, PFW_KIND_DEVICE, bench->device,
			      &device, err);
	if (!rc && device->ops.device.memory & ~PFW_MEM_HOST) {
		pfw_bench_skip(&once, "memory", "--dry-run", "the device's is "
			       "not this host's, which is all that is weighed");
		return 0;
	}
	if (!rc)
		rc = pfw_bench_steps_open(&s, &once, err);
	if (rc)
		return rc;
	pfw_bench_heading(&once, "memory of a run, all its processes");
	while (!rc && m) {
		for (size_t i = 0; !rc && i < N_KINDS; i++)
			rc = one_kind(&s, m, &kinds[i], err);
		m = pfw_bench_model_next(&once, m == &small ? NULL : m);
	}
	pfw_bench_steps_close(&s);
	return rc;
}
