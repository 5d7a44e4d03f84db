#include "cli/trace_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/status.h"
#include "runtime/trace.h"
#include "schedule/program.h"

struct traces {
	uint32_t ranks;
	struct pfw_trace_record **records; /* [ranks] */
	size_t *n;                         /* [ranks] */
	uint64_t zero;                     /* earliest begin */
};

static void close_traces(struct traces *t)
{
	for (uint32_t r = 0; t->records && r < t->ranks; r++)
		free(t->records[r]);
	free(t->records);
	free(t->n);
}

static int open_traces(const char *run_dir, uint32_t ranks, struct traces *t,
		       struct pfw_error *err)
{
	int rc = 0;

	*t = (struct traces){ .ranks = ranks, .zero = UINT64_MAX };
	t->records = calloc(ranks, sizeof(*t->records));
	t->n = calloc(ranks, sizeof(*t->n));
	if (!t->records || !t->n)
		rc = pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t r = 0; !rc && r < ranks; r++) {
		struct pfw_error fault = { 0 };

		rc = pfw_trace_read(run_dir, r, &t->records[r], &t->n[r],
				    &fault);
		if (rc == -ENOENT)
			rc = 0;
		else if (rc)
			*err = fault;
		if (!rc && t->n[r] && t->records[r][0].begin < t->zero)
			t->zero = t->records[r][0].begin;
	}
	if (rc)
		close_traces(t);
	return rc;
}

static double us(const struct traces *t, uint64_t ns)
{
	return (double)(ns - t->zero) / 1e3;
}

static void print_span(FILE *f, const struct traces *t, uint32_t rank,
		       const char *name, const char *category, uint64_t from,
		       uint64_t to, uint64_t step)
{
	fprintf(f, ",\n{\"ph\":\"X\",\"pid\":0,\"tid\":%u,\"name\":\"%s\","
		   "\"cat\":\"%s\",\"ts\":%.3f,\"dur\":%.3f,"
		   "\"args\":{\"step\":%" PRIu64 "}}",
		rank, name, category, us(t, from), (double)(to - from) / 1e3,
		step);
}

static void print_record(FILE *f, const struct traces *t, uint32_t rank,
			 const struct pfw_trace_record *r)
{
	char action[48], wait[64];

	pfw_action_text(r->type, r->stage, r->microbatch, action,
			sizeof(action));
	if (r->start > r->begin && r->peer != PFW_NONE) {
		snprintf(wait, sizeof(wait), "wait for rank %u (%s)", r->peer,
			 r->wait == PFW_WAIT_SLOT ? "slot" : "message");
		print_span(f, t, rank, wait, "wait", r->begin, r->start,
			   r->step);
	}
	print_span(f, t, rank, action, pfw_action_name(r->type), r->start,
		   r->end, r->step);
}

int pfw_trace_file_write(const char *run_dir, uint32_t ranks, const char *path,
			 struct pfw_error *err)
{
	struct traces t;
	FILE *f;
	int rc = open_traces(run_dir, ranks, &t, err);

	if (rc)
		return rc;
	f = fopen(path, "we");
	if (!f) {
		rc = pfw_error_set(err, errno, "%s: %s", path, strerror(errno));
		close_traces(&t);
		return rc;
	}
	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
	      "{\"ph\":\"M\",\"pid\":0,\"name\":\"process_name\","
	      "\"args\":{\"name\":\"pipefw\"}}", f);
	for (uint32_t r = 0; r < ranks; r++) {
		fprintf(f, ",\n{\"ph\":\"M\",\"pid\":0,\"tid\":%u,\"name\":"
			   "\"thread_name\",\"args\":{\"name\":\"rank %u\"}}",
			r, r);
		for (size_t i = 0; i < t.n[r]; i++)
			print_record(f, &t, r, &t.records[r][i]);
	}
	fputs("\n]}\n", f);
	rc = ferror(f);
	if (fclose(f) || rc)
		rc = pfw_error_set(err, EIO, "%s: cannot be written whole",
				   path);
	close_traces(&t);
	return rc;
}
