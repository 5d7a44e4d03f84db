/* From traces: what each action costs, and where the time of a step went. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

/* The last so many steps say enough. */
#define STEPS_MAX 200u

/* What one step's records of one rank say. */
struct window {
	uint64_t first; /* begin of the earliest compute action of any rank */
	uint64_t norm;  /* begin of the latest NORM of any rank */
};

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t median(int64_t *values, size_t n)
{
	if (!n)
		return 0;
	qsort(values, n, sizeof(*values), compare_ns);
	return values[n / 2];
}

static int is_looked_at(const struct pfw_report *r,
			const struct pfw_trace_record *record)
{
	return record->step >= r->first_step && record->step <= r->last_step;
}

/* The first step warms caches up and is left out where there are others; only
 * steps that every rank has recorded whole count. */
static int choose_steps(struct pfw_report *r, struct pfw_error *err)
{
	uint64_t low = 0, high = UINT64_MAX;

	for (uint32_t k = 0; k < r->program->ranks; k++) {
		const struct pfw_trace_record *a = r->records[k];
		size_t n = r->n_records[k];
		uint64_t last;

		while (n && a[n - 1].type != PFW_OPT)
			n--;
		if (!n)
			return pfw_error_set(err, ENODATA,
					     "%s: rank %u recorded no whole step",
					     r->dir, k);
		last = a[n - 1].step;
		if (a[0].step > low)
			low = a[0].step;
		if (last < high)
			high = last;
	}
	if (low > high)
		return pfw_error_set(err, ENODATA,
				     "%s: the ranks recorded no step in common",
				     r->dir);
	r->first_step = low < high ? low + 1 : low;
	if (high - r->first_step >= STEPS_MAX)
		r->first_step = high - STEPS_MAX + 1;
	r->last_step = high;
	return 0;
}

static int64_t *collect(const struct pfw_report *r, uint32_t stage,
			uint32_t type, size_t *n)
{
	uint32_t k = r->program->rank_of[stage];
	int64_t *values = malloc((r->n_records[k] + 1) * sizeof(*values));

	*n = 0;
	for (size_t i = 0; values && i < r->n_records[k]; i++) {
		const struct pfw_trace_record *a = &r->records[k][i];

		if (a->stage == stage && a->type == type && is_looked_at(r, a))
			values[(*n)++] = (int64_t)(a->end - a->start);
	}
	return values;
}

static int cost_of(const struct pfw_report *r, uint32_t stage, uint32_t type,
		   int64_t *out, struct pfw_error *err)
{
	size_t n;
	int64_t *values = collect(r, stage, type, &n);

	if (!values)
		return pfw_error_set(err, ENOMEM, "out of memory");
	*out = median(values, n);
	free(values);
	return 0;
}

/* A full backward counts as input: where it is not taken apart, only the sum
 * matters. */
static int measure_costs(struct pfw_report *r, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t s = 0; !rc && s < r->program->stages; s++) {
		int64_t whole = 0;

		rc = cost_of(r, s, PFW_FORWARD, &r->forward[s], err);
		if (!rc)
			rc = cost_of(r, s, PFW_BACKWARD, &whole, err);
		if (!rc)
			rc = cost_of(r, s, PFW_BACKWARD_INPUT, &r->input[s],
				     err);
		if (!rc)
			rc = cost_of(r, s, PFW_BACKWARD_WEIGHT, &r->weight[s],
				     err);
		if (!rc && !r->input[s])
			r->input[s] = whole;
	}
	return rc;
}

static const struct pfw_trace_record *find(const struct pfw_report *r,
					   uint64_t step, uint32_t type,
					   uint32_t stage, uint32_t microbatch)
{
	uint32_t k = r->program->rank_of[stage];

	for (size_t i = 0; i < r->n_records[k]; i++) {
		const struct pfw_trace_record *a = &r->records[k][i];

		if (a->step == step && a->type == type && a->stage == stage &&
		    a->microbatch == microbatch)
			return a;
	}
	return NULL;
}

/* From the end of what was waited for to the start of what waited for it. */
static int measure_hop(struct pfw_report *r, struct pfw_error *err)
{
	size_t n = 0, most = 0;
	int64_t *hops;

	for (uint32_t k = 0; k < r->program->ranks; k++)
		most += r->n_records[k];
	hops = malloc((most + 1) * sizeof(*hops));
	if (!hops)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t k = 0; k < r->program->ranks; k++)
		for (size_t i = 0; i < r->n_records[k]; i++) {
			const struct pfw_trace_record *a = &r->records[k][i];
			const struct pfw_trace_record *made;

			if (a->type != PFW_FORWARD || a->peer == PFW_NONE ||
			    a->wait != 1 || !a->stage || a->step != r->typical)
				continue;
			made = find(r, a->step, PFW_FORWARD, a->stage - 1,
				    a->microbatch);
			if (made && made->end < a->start)
				hops[n++] = (int64_t)(a->start - made->end);
		}
	r->hop = median(hops, n);
	free(hops);
	return 0;
}

static struct window window_of(const struct pfw_report *r, uint64_t step)
{
	struct window w = { UINT64_MAX, 0 };

	for (uint32_t k = 0; k < r->program->ranks; k++)
		for (size_t i = 0; i < r->n_records[k]; i++) {
			const struct pfw_trace_record *a = &r->records[k][i];

			if (a->step != step)
				continue;
			if (pfw_is_compute(a->type) && a->start < w.first)
				w.first = a->start;
			if (a->type == PFW_NORM && a->begin > w.norm)
				w.norm = a->begin;
		}
	return w;
}

/* Steps are few and records many: one pass a step is fast enough for both. */
static void add_step(struct pfw_report *r, uint64_t step, const struct window *w)
{
	double length = (double)(w->norm - w->first);

	r->window += length;
	for (uint32_t k = 0; k < r->program->ranks; k++) {
		struct pfw_report_rank *rank = &r->rank[k];
		double known = 0;

		for (size_t i = 0; i < r->n_records[k]; i++) {
			const struct pfw_trace_record *a = &r->records[k][i];
			double wait = (double)(a->start - a->begin);

			if (a->step != step || !pfw_is_compute(a->type))
				continue;
			rank->compute += (double)(a->end - a->start);
			rank->transfer += (double)(a->left - a->end);
			known += (double)(a->left - a->start);
			if (a->peer >= r->program->ranks || a->begin < w->first)
				continue;
			rank->waits[a->peer] += wait;
			known += wait;
		}
		rank->idle += length - known;
	}
}

static int measure_ranks(struct pfw_report *r, struct pfw_error *err)
{
	size_t steps = (size_t)(r->last_step - r->first_step + 1), i = 0;
	struct window *w = malloc(steps * sizeof(*w));
	int64_t *lengths = malloc(2 * steps * sizeof(*lengths));
	int64_t middle;

	if (!w || !lengths) {
		free(w);
		free(lengths);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	for (i = 0; i < steps; i++) {
		w[i] = window_of(r, r->first_step + i);
		lengths[i] = lengths[steps + i] =
			(int64_t)(w[i].norm - w[i].first);
		add_step(r, r->first_step + i, &w[i]);
	}
	middle = median(lengths + steps, steps);
	for (i = 0; i < steps && lengths[i] != middle; i++)
		;
	r->typical = r->first_step + i;
	free(w);
	free(lengths);
	return 0;
}

static void take_means(struct pfw_report *r)
{
	double n = (double)(r->last_step - r->first_step + 1), busy = 0;

	r->window /= n;
	for (uint32_t k = 0; k < r->program->ranks; k++) {
		struct pfw_report_rank *rank = &r->rank[k];

		rank->compute /= n;
		rank->transfer /= n;
		rank->idle /= n;
		for (uint32_t q = 0; q < r->program->ranks; q++)
			rank->waits[q] /= n;
		busy += rank->compute;
	}
	r->bubble = 1 - busy / (r->program->ranks * r->window);
}

int pfw_report_measure(struct pfw_report *r, struct pfw_error *err)
{
	int rc = choose_steps(r, err);

	if (!rc)
		rc = measure_costs(r, err);
	if (!rc)
		rc = measure_ranks(r, err);
	if (!rc)
		rc = measure_hop(r, err);
	if (!rc)
		take_means(r);
	return rc;
}
