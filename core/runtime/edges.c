/* Which edges a job has, and how wide they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "runtime/job_make.h"
#include "runtime/planned.h"

/* A report and a decision of one step may be on their way at once. */
#define SCALAR_SLOTS 2u

static int compare(const struct pfw_edge *a, const struct pfw_edge *b)
{
	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	if (a->to != b->to)
		return a->to < b->to ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->param != b->param)
		return a->param < b->param ? -1 : 1;
	return 0;
}

static int compare_void(const void *a, const void *b)
{
	return compare(a, b);
}

uint32_t pfw_job_edge(const struct pfw_job *job, uint32_t from, uint32_t to,
		      uint32_t kind, uint32_t param)
{
	const struct pfw_edge key = { .from = from, .to = to, .kind = kind,
				      .param = param };
	uint32_t low = 0, high = job->n_edges;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = compare(&job->edges[mid], &key);

		if (!order)
			return mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return PFW_NONE;
}

/* Room for all: program channels may coincide, so the sum is enough. */
static uint32_t count_most(const struct pfw_job *job)
{
	uint32_t n = 2 * job->n_ties + 2 * pfw_job_placement(job)->ranks;

	for (uint32_t i = 0; i < PFW_PROGRAMS; i++)
		if (job->programs[i].program)
			n += job->programs[i].program->n_channels;
	return n;
}

/* The widest boundary that a channel of a program carries. */
static uint64_t channel_bytes(const struct pfw_job *job,
			      const struct pfw_channel *c)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < c->n_messages; i++) {
		uint32_t s = c->messages[i].stage;
		uint64_t bytes;

		if (c->kind == PFW_CHANNEL_GRADIENT)
			s--; /* the gradient of what the stage before made */
		bytes = job->model->stages[s].output_bytes;
		most = bytes > most ? bytes : most;
	}
	return pfw_align_up(most);
}

static void add(struct pfw_job *job, uint32_t from, uint32_t to, uint32_t kind,
		uint32_t param, uint32_t n_slots, uint64_t bytes)
{
	job->edges[job->n_edges++] = (struct pfw_edge){
		.from = from, .to = to, .kind = kind, .n_slots = n_slots,
		.slot_bytes = bytes, .param = param,
	};
}

/* Those with the same ends become one, as wide as the widest of them. */
static void merge(struct pfw_job *job)
{
	uint32_t n = 0;

	qsort(job->edges, job->n_edges, sizeof(*job->edges), compare_void);
	for (uint32_t i = 0; i < job->n_edges; i++) {
		const struct pfw_edge *e = &job->edges[i];
		struct pfw_edge *last = n ? &job->edges[n - 1] : NULL;

		if (!last || compare(last, e)) {
			job->edges[n++] = *e;
			continue;
		}
		if (last->n_slots < e->n_slots)
			last->n_slots = e->n_slots;
		if (last->slot_bytes < e->slot_bytes)
			last->slot_bytes = e->slot_bytes;
	}
	job->n_edges = n;
}

static void add_program(struct pfw_job *job, const struct pfw_program *program)
{
	for (uint32_t i = 0; i < program->n_channels; i++) {
		const struct pfw_channel *c = &program->channels[i];

		add(job, c->from, c->to, c->kind, PFW_NONE, c->n_slots,
		    channel_bytes(job, c));
	}
}

static void add_scalars(struct pfw_job *job)
{
	uint64_t bytes = pfw_align_up(sizeof(struct pfw_norm_report) +
				      job->model->n_params * sizeof(double));

	for (uint32_t r = 1; r < pfw_job_placement(job)->ranks; r++) {
		add(job, r, 0, PFW_CHANNEL_SCALAR, PFW_NONE, SCALAR_SLOTS,
		    bytes);
		add(job, 0, r, PFW_CHANNEL_SCALAR, PFW_NONE, SCALAR_SLOTS,
		    bytes);
	}
}

static void add_ties(struct pfw_job *job)
{
	if (!job->programs[PFW_PROGRAM_TRAIN].program)
		return;
	for (uint32_t i = 0; i < job->n_ties; i++) {
		const struct pfw_tie *t = &job->ties[i];
		uint64_t bytes = pfw_align_up(
			job->model->params[t->param].elements * sizeof(float));

		if (t->rank[0] == t->rank[1])
			continue;
		add(job, t->rank[0], t->rank[1], PFW_CHANNEL_TIE, t->param, 1,
		    bytes);
		add(job, t->rank[1], t->rank[0], PFW_CHANNEL_TIE, t->param, 1,
		    bytes);
	}
}

static int map_program(struct pfw_job *job, struct pfw_job_program *jp,
		       struct pfw_error *err)
{
	if (!jp->program)
		return 0;
	jp->edge = calloc(jp->program->n_channels + 1, sizeof(*jp->edge));
	if (!jp->edge)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < jp->program->n_channels; i++) {
		const struct pfw_channel *c = &jp->program->channels[i];

		jp->edge[i] = pfw_job_edge(job, c->from, c->to, c->kind,
					   PFW_NONE);
	}
	return 0;
}

int pfw_job_make_edges(struct pfw_job *job, struct pfw_error *err)
{
	int rc = 0;

	job->edges = calloc(count_most(job) + 1, sizeof(*job->edges));
	if (!job->edges)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < PFW_PROGRAMS; i++)
		if (job->programs[i].program)
			add_program(job, job->programs[i].program);
	add_scalars(job);
	add_ties(job);
	merge(job);
	for (uint32_t i = 0; !rc && i < PFW_PROGRAMS; i++)
		rc = map_program(job, &job->programs[i], err);
	return rc;
}

static int make_tie(struct pfw_job *job, uint32_t param, struct pfw_error *err)
{
	const struct pfw_model *model = job->model;
	const struct pfw_model_param *p = &model->params[param];
	struct pfw_tie *tie = &job->ties[job->n_ties];
	uint32_t n = 0;

	if (p->n_uses > 2)
		return pfw_error_set(err, EINVAL,
				     "%s is shared by %u layers; two is the most "
				     "that can be tied",
				     p->info.name, p->n_uses);
	tie->param = param;
	for (uint32_t u = 0; u < model->n_uses; u++) {
		if (model->uses[u].param != param)
			continue;
		tie->use[n] = u;
		tie->rank[n++] = pfw_job_placement(job)
					 ->rank_of[model->uses[u].stage];
	}
	job->n_ties++;
	return 0;
}

int pfw_job_make_ties(struct pfw_job *job, struct pfw_error *err)
{
	int rc = 0;

	job->ties = calloc(job->model->n_params + 1, sizeof(*job->ties));
	if (!job->ties)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; !rc && i < job->model->n_params; i++)
		if (job->model->params[i].n_uses > 1)
			rc = make_tie(job, i, err);
	return rc;
}

static int rank_holds(const struct pfw_job *job, uint32_t rank, uint32_t param,
		      uint32_t before)
{
	const struct pfw_program *program = pfw_job_placement(job);

	for (uint32_t u = 0; u < before; u++)
		if (job->model->uses[u].param == param &&
		    program->rank_of[job->model->uses[u].stage] == rank)
			return 1;
	return 0;
}

/* Each channel's slots are counted where they are read. */
static uint64_t slot_memory(const struct pfw_job *job, uint32_t rank)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < job->n_edges; i++) {
		const struct pfw_edge *e = &job->edges[i];

		if (e->to == rank ||
		    (e->from == rank && !job->props.shared_slots))
			bytes = pfw_size_add(
				bytes, pfw_size_mul(e->n_slots, e->slot_bytes));
	}
	return bytes;
}

void pfw_job_memory(const struct pfw_job *job, uint32_t rank,
		    struct pfw_rank_memory *out)
{
	const struct pfw_program *program = pfw_job_placement(job);
	const struct pfw_program *train =
		job->programs[PFW_PROGRAM_TRAIN].program;
	const struct pfw_model *model = job->model;
	struct pfw_rank_memory m = { .slots = slot_memory(job, rank) };

	if (train)
		m.saved = pfw_planned_saved_bytes(train, model, rank);
	for (uint32_t u = 0; u < model->n_uses; u++) {
		uint64_t bytes = model->params[model->uses[u].param].elements *
				 sizeof(float);

		if (program->rank_of[model->uses[u].stage] != rank)
			continue;
		m.gradients += train ? bytes : 0;
		if (rank_holds(job, rank, model->uses[u].param, u))
			continue;
		m.weights += bytes;
		m.optimizer += train ? 2 * bytes : 0;
	}
	for (uint32_t s = 0; s < program->stages; s++) {
		if (program->rank_of[s] != rank)
			continue;
		if (model->stages[s].work_bytes > m.work)
			m.work = model->stages[s].work_bytes;
	}
	*out = m;
}
