/* Several schedules of one shape, side by side. */
#include <errno.h>
#include <pipefw/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/schedule_show.h"
#include "cli/text.h"

/* One line of the table. */
struct entry {
	const char *name;
	int one_chunk;     /* ran at v = 1, though more was asked for */
	double step, bubble, span_bubble, peak;
	uint64_t bytes;    /* of activations, with --cost-from */
	unsigned long long messages;
	char *problem;     /* NULL, or why it cannot run */
};

/* A schedule that is refused is a line; one that is not there is an error. */
static int measure(struct pfw_registry *registry,
		   const struct pfw_schedule_args *args, const char *name,
		   struct entry *entry, int *status, struct pfw_error *err)
{
	struct pfw_schedule_job job;
	int rc;

	*entry = (struct entry){ .name = name };
	rc = pfw_schedule_job_beside(registry, args, name, &job,
				     &entry->one_chunk, status, err);
	if (rc == -ELIBACC || (rc && *status == PFW_EXIT_CONFIG &&
			       !pfw_schedule_is_file(name))) {
		entry->problem = strdup(err->text);
		return entry->problem ? 0 : -ENOMEM;
	}
	if (rc)
		return rc;
	entry->step = (double)job.sim->step_time / job.unit;
	entry->bubble = pfw_simulation_bubble(job.sim);
	entry->span_bubble = pfw_simulation_span_bubble(job.sim);
	entry->peak = pfw_schedule_job_peak(&job);
	entry->bytes = pfw_schedule_job_bytes(&job);
	entry->messages = job.sim->messages;
	pfw_schedule_job_close(&job);
	return 0;
}

/* Fastest first, then the one that keeps less; refused ones last. */
static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (!x->problem != !y->problem)
		return x->problem ? 1 : -1;
	if (x->problem && strcmp(x->problem, y->problem))
		return strcmp(x->problem, y->problem);
	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	if (x->peak != y->peak)
		return x->peak < y->peak ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void print_row(const struct pfw_schedule_args *args,
		      const struct entry *e, int width)
{
	char bytes[16];

	printf("%s%-*s  %9.5g  %5.1f %%  %5.1f %%  %11.4g  %8llu", e->name,
	       width - (int)strlen(e->name), e->one_chunk ? "*" : "", e->step,
	       100 * e->bubble, 100 * e->span_bubble, e->peak, e->messages);
	pfw_text_size(e->bytes, bytes, sizeof(bytes));
	if (args->run)
		printf("  %9s", bytes);
	putchar('\n');
}

/* A sentence that begins with its schedule goes alone; others say whose they are,
 * once for all of them. */
static void print_problems(const struct entry *entries, size_t n)
{
	const char *last = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &entries[i];

		if (!e->problem)
			continue;
		if (last && !strcmp(last, e->problem)) {
			printf(", %s", e->name);
			continue;
		}
		printf("%s%s", last ? "\n" : "\ncannot run:\n", e->problem);
		if (strncmp(e->problem, e->name, strlen(e->name)))
			printf("\n  %s", e->name);
		last = e->problem;
	}
	if (last)
		putchar('\n');
}

static void print_table(const struct pfw_schedule_args *args,
			const struct entry *entries, size_t n)
{
	int width = 8, marked = 0;

	for (size_t i = 0; i < n; i++) {
		int len = (int)strlen(entries[i].name) + entries[i].one_chunk;

		width = len > width ? len : width;
		marked |= entries[i].one_chunk && !entries[i].problem;
	}
	if (args->ranks)
		printf("p=%u v=%u m=%u, ", args->ranks,
		       args->chunks ? args->chunks : 2, args->microbatches);
	printf("time in %s\n\n", strcmp(args->unit_name, "F") ?
	       args->unit_name : "forwards of a rank");
	printf("%-*s  %9s  %7s  %7s  %11s  %8s%s\n", width, "schedule", "step",
	       "bubble", "of span", "activations", "messages",
	       args->run ? "     memory" : "");
	for (size_t i = 0; i < n; i++)
		if (!entries[i].problem)
			print_row(args, &entries[i], width);
	if (marked)
		puts("\n* takes one chunk per rank: at v=1");
	print_problems(entries, n);
}

static void print_json(const struct entry *entries, size_t n)
{
	char text[1100];

	putchar('[');
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &entries[i];

		pfw_json_quote(e->name, text, sizeof(text));
		printf("%s\n {\"name\": %s, ", i ? "," : "", text);
		if (e->problem) {
			pfw_json_quote(e->problem, text, sizeof(text));
			printf("\"problem\": %s}", text);
			continue;
		}
		printf("\"step_time\": %.12g, \"bubble\": %.12g, "
		       "\"span_bubble\": %.12g, \"peak_activations\": %.12g, "
		       "\"messages\": %llu, \"one_chunk\": %s", e->step,
		       e->bubble, e->span_bubble, e->peak, e->messages,
		       e->one_chunk ? "true" : "false");
		if (e->bytes)
			printf(", \"peak_bytes\": %llu",
			       (unsigned long long)e->bytes);
		putchar('}');
	}
	puts("\n]");
}

static int print_entries(struct pfw_registry *registry,
			 const struct pfw_schedule_args *args,
			 const char *const *names, size_t n, int *status,
			 struct pfw_error *err)
{
	struct entry *entries = calloc(n + 1, sizeof(*entries));
	size_t done = 0;
	int rc = 0;

	if (!entries)
		return pfw_error_set(err, ENOMEM, "no memory for a table");
	while (done < n && !rc) {
		rc = measure(registry, args, names[done], &entries[done], status,
			     err);
		done += !rc;
	}
	if (!rc) {
		qsort(entries, n, sizeof(*entries), entry_compare);
		if (strcmp(args->format, "json"))
			print_table(args, entries, n);
		else
			print_json(entries, n);
	}
	while (done)
		free(entries[--done].problem);
	free(entries);
	return rc;
}

/* Every schedule there is. */
static int print_all(struct pfw_registry *registry,
		     const struct pfw_schedule_args *args, int *status,
		     struct pfw_error *err)
{
	const char *names[PFW_MAX_NAMES];
	struct pfw_listed *list;
	size_t n_listed, n = 0;
	int rc = pfw_registry_list(registry, &list, &n_listed, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < n_listed && n < PFW_MAX_NAMES; i++)
		if (list[i].kind == PFW_KIND_SCHEDULE && list[i].loaded)
			names[n++] = list[i].name;
	rc = print_entries(registry, args, names, n, status, err);
	pfw_listed_free(list, n_listed);
	return rc;
}

int pfw_schedule_compare(struct pfw_registry *registry,
			 const struct pfw_schedule_args *args, int *status,
			 struct pfw_error *err)
{
	if (!args->n_names)
		return print_all(registry, args, status, err);
	return print_entries(registry, args, args->names, args->n_names, status,
			     err);
}
